"""Import modules of torchvision, even if its compiled operators cannot be loaded.

The wheel on PyPI links CUDA. With a CPU-only torch its operators are missing, and
``import torchvision`` fails when it registers fake kernels for two of them.
"""

import importlib
import sys
from types import ModuleType

MISSING_OPERATOR = "operator torchvision::nms does not exist"
SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_declared: list[object] = []
"""keeps the torch library alive, because its schemas are deleted with it"""


def datasets() -> ModuleType:
    """The module ``torchvision.datasets``; see ``load``."""
    return load("torchvision.datasets")


def load(name: str) -> ModuleType:
    """A module of torchvision, such as ``torchvision.models``.

    If the import fails with exactly that error, the two operators are declared and the
    import is repeated. They are not implemented: a call of one still raises.

    Raises:
        RuntimeError: the import of torchvision fails in any other way.
    """
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if str(error) != MISSING_OPERATOR:
            raise
    _declare_missing_operators()
    _forget_half_imported()
    return importlib.import_module(name)


def _declare_missing_operators() -> None:
    from torch.library import Library

    library = Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(operator + SCHEMA)
    _declared.append(library)


def _forget_half_imported() -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
