"""Units of published and measured numbers, and how they are written."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from pipeline.compare.claims import (
    LOSSES,
    Check,
    Difference,
    Equivalence,
    Leaves,
    Reading,
    Winning,
)
from pipeline.core import winning_tickets

UNITS: Mapping[str, Callable[[float], str]] = MappingProxyType(
    {
        "points": lambda v: f"{100 * v:+.2f} pp",
        "percent": lambda v: f"{100 * v:.2f} %",
        "density": lambda v: f"{100 * v:.3g} %",
        "share": lambda v: f"{100 * v:.0f} %",
        "ratio": lambda v: f"{v:.2f}×",
        "nats": lambda v: f"{v:.3f} nats",
    }
)
_OF_ACCURACY = MappingProxyType(
    {
        "difference": "points",
        "equivalence": "points",
        "reading": "percent",
        "ratio": "ratio",
        "leaves": "density",
        "winning": "share",
        "barrier": "percent",
    }
)
"""kind of check -> unit of its published number, where it is not about losses"""


def unit_of(check: Check) -> str:
    """The unit of what a check measures and of its published number: a key of UNITS."""
    if isinstance(check, Difference | Equivalence | Reading) and check.metric in LOSSES:
        return "nats"
    return _OF_ACCURACY[check.kind]


def accepted(check: Check) -> str:
    """The bounds and margins of a check in words: a value inside of them agrees."""
    match check:
        case Leaves():
            upper, lower = (UNITS["density"](d) for d in (check.upper, check.lower))
            return f"between {upper} and {lower}, by {100 * check.margin:g} pp"
        case Winning():
            points = 100 * winning_tickets.ACCURACY_MARGIN
            return f"margins {points:g} pp and one evaluation"
        case Equivalence():
            is_loss = unit_of(check) == "nats"
            return f"± {check.margin:g} nats" if is_loss else f"± {100 * check.margin:g} pp"
        case _:
            return _range(check.low, check.high, UNITS[unit_of(check)])


def _range(low: float | None, high: float | None, shown: Callable[[float], str]) -> str:
    if low is not None and high is not None:
        return f"{shown(low)} to {shown(high)}"
    return f"below {shown(high)}" if high is not None else f"above {shown(low or 0.0)}"
