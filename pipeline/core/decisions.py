"""Decide whether statements about the seeds of an experiment hold.

A statement is "the typical value of these values lies between two bounds", with one value
per seed. A claim is a family of statements, one per density. A decision is made at declared
looks (``looks``), with the paired sign-flip test (``sign_flips``); Student's t is computed
beside it, and a disagreement of the two is a warning of skewed values.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from pipeline.core import sign_flips
from pipeline.core.e_values import e_bounds, e_value
from pipeline.core.looks import Looks
from pipeline.core.statistics import holm, t_above

Kind = Literal["inside", "outside", "undecided"]
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

    def shown(self, seeds: Sequence[int], above: Above) -> float:
        """P-value against "not all statements hold".

        Each must be shown, which needs no correction (intersection-union: Berger 1982,
        Technometrics 24, 295-300).
        """
        return max(one.p_inside(seeds, above) for one in self.statements)

    def refuted(self, seeds: Sequence[int], above: Above) -> float:
        """P-value against "all statements hold", by Holm: one refuted one is enough."""
        return min(holm([one.p_outside(seeds, above) for one in self.statements]))

    @property
    def num_tests(self) -> int:
        """For how many tests a refutation is corrected."""
        return sum(one.num_bounds for one in self.statements)


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
    """of the decision; None where undecided"""
    p_of_t: float | None = None
    """what Student's t gives instead"""
    kept: bool = True
    """whether the last look that was reached decides so, too"""


def decide(family: Family, looks: Looks) -> Decision:
    """Decide whether all statements of a family hold, or at least one does not.

    The first look that decides counts. Either wrong decision has at most the chance ALPHA,
    over all looks.

    Args:
        family: to judge.
        looks: at which numbers of seeds; the seeds of a look are the first ones.
    """
    reached = looks.reached(len(family.seeds))
    if not reached:
        return Decision(kind="undecided", seeds=family.seeds, look=0)
    found = [
        _at_look(family, family.seeds[:num], looks, number)
        for number, num in enumerate(reached, 1)
    ]
    for decision in found:
        if decision.kind != "undecided":
            kept = found[-1].kind == decision.kind
            return replace(decision, kept=kept)
    return found[-1]


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
    refuted, shown = family.refuted(seeds, above), family.shown(seeds, above)
    if refuted <= looks.level:
        of_t = family.refuted(seeds, t_above)
        return replace(undecided, kind="outside", p_value=refuted, p_of_t=of_t)
    of_t = family.shown(seeds, t_above)
    if shown <= looks.level:
        return replace(undecided, kind="inside", p_value=shown, p_of_t=of_t)
    return replace(undecided, p_of_t=of_t)


def _both(values: tuple[float, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The values, and mirrored at 0: what lies below there lies above."""
    return values, tuple(-value for value in values)


def _p_of_e_value(values: Sequence[float], bound: float) -> float:
    found = e_value(values, bound)
    return min(1.0, 1 / found) if found else 1.0
