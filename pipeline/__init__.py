"""lt-pipeline: lottery-ticket experiments as a DVC pipeline.

For notebooks and scripts: ``from pipeline import load_rounds, load_curves, load_ticket``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.api.networks import load_binary, load_compact
    from pipeline.api.tables import load_curves, load_rounds
    from pipeline.api.tickets import load_ticket

__all__ = ["load_binary", "load_compact", "load_curves", "load_rounds", "load_ticket"]

_MODULES = {
    "load_binary": "networks",
    "load_compact": "networks",
    "load_curves": "tables",
    "load_rounds": "tables",
    "load_ticket": "tickets",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - imported on use, as stages start often
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"pipeline.api.{_MODULES[name]}"), name)
