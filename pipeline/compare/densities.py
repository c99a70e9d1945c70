"""Find the rounds that a check is about, on both of its sides, by their densities."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from pipeline.compare.claims import DENSE, Check, Leaves, Ratio, against, densities
from pipeline.compare.no_answer import NO_DENSE, NoAnswerError
from pipeline.compare.samples import seeds_of
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
    """A round that a check is about, with the seeds that both sides have."""

    density: float
    rows: Sequence[Row]
    against: Sequence[Row] = ()
    """rows of the other side that belong to it; empty if the check has no other side"""


def curve_of(rows: Sequence[Row]) -> Curve:
    """Density -> rows. Round 0, the dense network, is left out unless it is the only one.

    >>> curve_of([{"round": 0, "density": 1.0}, {"round": 1, "density": 0.8}]).keys()
    dict_keys([0.8])
    """
    rounds: dict[int, list[Row]] = {}
    for row in rows:
        rounds.setdefault(row["round"], []).append(row)
    if set(rounds) != {0}:
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
    mine, other = curve_of(rows[check.variant]), against(check)
    if isinstance(check, Leaves):
        found = _around(mine, check)
    else:
        found = picked(mine, densities(check))
    if other is None:
        return [Round(density=density, rows=mine[density]) for density in found]
    theirs = curve_of(rows[other])
    fixed = check.against_at if isinstance(check, Ratio) else None
    return [_round(d, mine[d], _at(theirs, other, fixed or d)) for d in found]


def _round(density: float, rows: Sequence[Row], others: Sequence[Row]) -> Round:
    common = seeds_of(rows, others)
    sides = ([row for row in side if row["seed"] in common] for side in (rows, others))
    mine, theirs = sides
    return Round(density=density, rows=mine, against=theirs)


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
        near = f"the nearest is {_nearest(curve, smallest):.1%}"
        raise NoAnswerError("not run", f"no round at density {smallest:.1%}; {near}")
    if len(at) == 1:
        return [_nearest(found, smallest)]
    if len(found) == 1 and largest > NARROW * smallest:
        ends = f"{largest:.1%} and {smallest:.1%}"
        raise NoAnswerError("not run", f"only one round between densities {ends}")
    return found


def _around(curve: Curve, check: Leaves) -> list[float]:
    """All densities of a curve that begins above and ends below those of a check."""
    if min(curve, default=1.0) > check.lower * NEAR:
        raise NoAnswerError("not run", f"no round at density {check.lower:.1%} or below")
    if max(curve) * NEAR < check.upper:
        raise NoAnswerError("not run", f"no round at density {check.upper:.1%} or above")
    return sorted(curve, reverse=True)


def _at(curve: Curve, role: str, density: float) -> Sequence[Row]:
    """The rows at a density; those of the dense network fit every density."""
    if role != DENSE:
        return curve[picked(curve, (density,))[0]]
    if not curve:
        raise NoAnswerError("not run", NO_DENSE)
    return curve[max(curve)]


def _nearest(densities: Iterable[float], density: float) -> float:
    some = (d for d in densities if d > 0)  # a network may have lost all its weights
    return min(some, key=lambda d: abs(math.log(d / density)), default=math.nan)
