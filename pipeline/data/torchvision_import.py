"""torchvision's data sets, also where its compiled operators cannot be loaded.

The wheel on PyPI links CUDA. Beside a CPU-only torch its operators are missing, and
``import torchvision`` stops where it registers fake kernels for two of them.
"""

import importlib
import sys
from types import ModuleType

MISSING_OPERATOR = "operator torchvision::nms does not exist"
SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_declared: list[object] = []
"""a torch library takes its schemas along when it is dropped"""


def datasets() -> ModuleType:
    """The module ``torchvision.datasets``.

    Only after exactly that error, the two operators are declared (not implemented:
    calling them still raises) and the import is repeated; otherwise nothing is touched.

    Raises:
        RuntimeError: whatever else torchvision raises when imported.
    """
    try:
        return importlib.import_module("torchvision.datasets")
    except RuntimeError as error:
        if str(error) != MISSING_OPERATOR:
            raise
    _declare_missing_operators()
    _forget_half_imported()
    return importlib.import_module("torchvision.datasets")


def _declare_missing_operators() -> None:
    from torch.library import Library

    library = Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(operator + SCHEMA)
    _declared.append(library)


def _forget_half_imported() -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
