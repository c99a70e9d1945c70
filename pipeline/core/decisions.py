"""Decide from the values of all seeds whether a statement holds.

A statement is "the typical value of these values lies between two bounds", with one value
per seed. A claim is a family of statements, one per density. A decision is made at declared
looks (``looks``), with the paired sign-flip test (``sign_flips``); Student's t is computed
beside it, and a disagreement of the two is a warning of skewed values.

A claim may also ask that something be so in more than half of the seeds. That it is not is
tested. That it is, is counted and not tested: a majority of few seeds is no evidence.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from pipeline.core import sign_flips
from pipeline.core.e_values import e_bounds, e_of_minority, e_value
from pipeline.core.looks import Looks
from pipeline.core.statistics import holm, minority, t_above

Kind = Literal["inside", "outside", "minority", "no majority", "censored", "undecided"]
"""what is known of a family: its statements hold, and its majorities; a statement does
not; a majority is refuted; statements hold, but not all majorities; a value is censored;
nothing"""
DECIDED = ("inside", "outside", "minority")
Above = Callable[[Sequence[float], float], float]
"""values, bound -> one-sided p-value against "the centre is at most the bound\""""
T_NEEDS = 2
"""Student's t needs so many values"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """A statement: the typical one of independent values lies in [low, high]."""

    values: Mapping[int, float]
    """seed -> value; a failed seed has none"""
    low: float = -math.inf
    high: float = math.inf

    def of(self, seeds: Sequence[int]) -> tuple[float, ...]:
        """The values of these seeds, those that there are."""
        return tuple(self.values[seed] for seed in seeds if seed in self.values)

    def slack(self, seeds: Sequence[int]) -> float:
        """How far inside the bounds the mean of these seeds is; negative = outside."""
        mean = fmean(self.of(seeds))
        return min(mean - self.low, self.high - mean)

    def p_inside(self, seeds: Sequence[int], above: Above) -> float:
        """P-value against "it lies outside of the bounds" (two one-sided tests)."""
        values, mirrored = _both(self.of(seeds))
        return max(above(values, self.low), above(mirrored, -self.high))

    def p_outside(self, seeds: Sequence[int], above: Above) -> float:
        """P-value against "it lies within the bounds"; Bonferroni for two bounds."""
        values, mirrored = _both(self.of(seeds))
        least = min(above(values, self.high), above(mirrored, -self.low))
        return min(1.0, self.num_bounds * least)

    @property
    def num_bounds(self) -> int:
        """How many bounds it has, 1 or 2."""
        return math.isfinite(self.low) + math.isfinite(self.high)


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """Statements that are decided together: all must hold."""

    statements: tuple[Statement, ...]
    """at least one"""
    seeds: tuple[int, ...]
    """all seeds that were run, ascending, with those that failed"""
    censored: frozenset[int] = frozenset()
    """seeds with a value that is a bound alone, so that no mean may leave it out: a look
    that takes one of them in decides nothing, and open-ended ones end before it"""
    majorities: tuple[Mapping[int, bool], ...] = ()
    """one per density: seed -> whether it has what more than half of the seeds must have;
    a failed seed has no entry"""

    def shown(self, seeds: Sequence[int], above: Above) -> float:
        """P-value against "not all statements hold".

        Each must be shown, which needs no correction (intersection-union: Berger 1982,
        Technometrics 24, 295-300).
        """
        return max(one.p_inside(seeds, above) for one in self.statements)

    def refuted(self, seeds: Sequence[int], above: Above) -> float:
        """P-value against "all statements hold", by Holm: one refuted one is enough."""
        return min(holm([one.p_outside(seeds, above) for one in self.statements]))

    def counts(self, seeds: Sequence[int]) -> list[tuple[int, int]]:
        """Per majority: how many of these seeds have it, and how many there are."""
        known = ([one[seed] for seed in seeds if seed in one] for one in self.majorities)
        return [(sum(found), len(found)) for found in known]

    @property
    def num_tests(self) -> int:
        """For how many tests a refutation is corrected."""
        return sum(one.num_bounds for one in self.statements) + len(self.majorities)


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What was decided about a family, and at which look."""

    kind: Kind
    seeds: tuple[int, ...]
    """those it rests on: of the look that decided, else of the last look that was reached,
    else all"""
    look: int
    """number of that look, from 1; 0 = the first one is not reached"""
    p_value: float | None = None
    """of the decision, and of the statements without a majority; None where undecided"""
    p_of_t: float | None = None
    """what Student's t gives instead; None of a minority"""
    kept: bool = True
    """whether the last look that was reached decides so, too; one with censored values
    decides nothing"""


def decide(family: Family, looks: Looks) -> Decision:
    """Decide whether all statements of a family hold, or at least one does not.

    The first look that decides counts. Either wrong decision has at most the chance ALPHA,
    over all looks.

    Args:
        family: to judge.
        looks: at which numbers of seeds; the seeds of a look are those with the smallest
            numbers. One that is added below them changes a look that was made before, and
            wrong decisions become more frequent (.07 for .05).
    """
    reached = looks.reached(len(family.seeds))
    judged = looks.reached_before(family.censored, family.seeds)
    found = [
        _at_look(family, family.seeds[:num], looks, number)
        for number, num in enumerate(judged, 1)
    ]
    for decision in found:
        if decision.kind in DECIDED:
            return replace(decision, kept=found[-1].kind == decision.kind)
    if found and judged == reached:
        return found[-1]
    kind: Kind = "censored" if family.censored else "undecided"
    seeds = family.seeds[: reached[-1]] if reached else family.seeds
    return Decision(kind=kind, seeds=seeds, look=len(reached))


def evidence_against(looks: Looks) -> Above:
    """The p-values that decide: of sign flips, or of e-values if looks are open-ended."""
    return _p_of_e_value if looks.open else sign_flips.p_above


def interval(values: Sequence[float], looks: Looks) -> tuple[float, float]:
    """The bounds that belong to the deciding test: what lies outside is refuted at a look.

    Args:
        values: at least 2.
        looks: give the level of each bound.

    Returns:
        Infinite bounds where there are too few values.
    """
    bounds = e_bounds if looks.open else sign_flips.bounds
    return bounds(values, looks.level)


def _at_look(family: Family, seeds: tuple[int, ...], looks: Looks, number: int) -> Decision:
    known = min(len(one.of(seeds)) for one in family.statements)
    undecided = Decision(kind="undecided", seeds=seeds, look=number)
    if known < T_NEEDS:
        return undecided
    above = evidence_against(looks)
    outside, fewer = _refuted(family, seeds, looks)
    if outside <= looks.level:
        of_t = family.refuted(seeds, t_above)
        return replace(undecided, kind="outside", p_value=outside, p_of_t=of_t)
    if fewer <= looks.level:
        return replace(undecided, kind="minority", p_value=fewer)
    shown, of_t = family.shown(seeds, above), family.shown(seeds, t_above)
    if shown <= looks.level:
        most = all(2 * num > every for num, every in family.counts(seeds))
        kind: Kind = "inside" if most else "no majority"
        return replace(undecided, kind=kind, p_value=shown, p_of_t=of_t)
    return replace(undecided, p_of_t=of_t)


def _refuted(family: Family, seeds: tuple[int, ...], looks: Looks) -> tuple[float, float]:
    """P-values against "all statements hold", and against "more than half of the seeds".

    Holm corrects for both together: a claim is refuted by either.
    """
    above = evidence_against(looks)
    outside = [one.p_outside(seeds, above) for one in family.statements]
    fewer = [_p_minority(*counts, looks) for counts in family.counts(seeds)]
    adjusted = holm([*outside, *fewer])
    num = len(outside)
    return min(adjusted[:num]), min(adjusted[num:], default=1.0)


def _p_minority(num: int, every: int, looks: Looks) -> float:
    return 1 / max(1.0, e_of_minority(num, every)) if looks.open else minority(num, every)


def _both(values: tuple[float, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The values, and mirrored at 0: what lies below there lies above."""
    return values, tuple(-value for value in values)


def _p_of_e_value(values: Sequence[float], bound: float) -> float:
    found = e_value(values, bound)
    return min(1.0, 1 / found) if found else 1.0
