"""Find the rounds that a check is about, on both of its sides, by their densities."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from pipeline.compare.claims import DENSE, Check, Leaves, Ratio, against, densities
from pipeline.compare.no_answer import NoAnswerError
from pipeline.results.tables import Row

NEAR = 1.03
"""two densities within this factor belong to the same round"""
REACHED = 1.3
"""the last round may be denser than the end of a range by this factor"""
NARROW = 2.0
"""one round stands for a range whose ends lie within this factor"""

Curve = Mapping[float, Sequence[Row]]
"""density -> rows of that round, or its barriers"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """A round that a check is about."""

    density: float
    rows: Sequence[Row]
    against: Sequence[Row] = ()
    """rows of the other side that belong to it; empty if the check has no other side"""


def curve(rows: Sequence[Row]) -> Curve:
    """Density -> rows; the dense network alone has density 1 only.

    >>> curve([{"round": 0, "density": 1.0}, {"round": 1, "density": 0.8}]).keys()
    dict_keys([0.8])
    """
    rounds: dict[int, list[Row]] = {}
    for row in rows:
        rounds.setdefault(row["round"], []).append(row)
    if set(rounds) != {0}:  # round 0 of a variant is the dense network
        rounds.pop(0, None)
    return {fmean(row["density"] for row in found): found for found in rounds.values()}


def rounds_of(check: Check, rows: Mapping[str, Sequence[Row]]) -> list[Round]:
    """The rounds that a check is about, densest first.

    Args:
        check: of a claim.
        rows: role in the claim -> its rows, or its barriers if the check is about these.

    Raises:
        NoAnswerError: a density that the check needs was not run, on one of the sides.
    """
    mine, other = curve(rows[check.variant]), against(check)
    found = _down_to(mine, check.lower) if isinstance(check, Leaves) else None
    if found is None:
        found = picked(mine, densities(check))
    if other is None:
        return [Round(density=density, rows=mine[density]) for density in found]
    theirs = curve(rows[other])
    fixed = check.against_at if isinstance(check, Ratio) else None
    return [
        Round(density=d, rows=mine[d], against=_at(theirs, other, fixed or d))
        for d in found
    ]


def picked(curve: Curve, at: Sequence[float]) -> list[float]:
    """The densities of a curve in a range, or the one at a single density, densest first.

    Raises:
        NoAnswerError: no round is near the smallest density, or one round alone would
            stand for a wide range.
    """
    largest, smallest = max(at), min(at)
    found = sorted(
        (d for d in curve if smallest / NEAR <= d <= largest * NEAR), reverse=True
    )
    allowed = NEAR if len(at) == 1 else REACHED
    if not found or found[-1] > smallest * allowed:
        nearest = min(curve, key=lambda d: abs(math.log(d / smallest)), default=math.nan)
        raise NoAnswerError(
            "not run", f"no round at density {smallest:.1%}; the nearest is {nearest:.1%}"
        )
    if len(found) == 1 and largest > NARROW * smallest:
        ends = f"{largest:.1%} and {smallest:.1%}"
        raise NoAnswerError("not run", f"only one round between densities {ends}")
    return found


def _down_to(curve: Curve, lower: float) -> list[float]:
    """All densities of a curve that goes down to this one."""
    if min(curve, default=1.0) > lower * NEAR:
        raise NoAnswerError("not run", f"no round at density {lower:.1%} or below")
    return sorted(curve, reverse=True)


def _at(curve: Curve, role: str, density: float) -> Sequence[Row]:
    """The rows at a density; those of the dense network fit every density."""
    (found,) = [1.0] if role == DENSE else picked(curve, (density,))
    return curve[found]
