"""The paired sign-flip test for few seeds, and the interval that belongs to it.

If the differences of pairs are distributed symmetrically about a bound, each of them is as
likely to lie above it as below, by the same distance. So all 2ⁿ ways of flipping their
signs about the bound are equally likely, and the p-value is the share of those that give a
mean as large as the observed one. No shape is assumed beyond symmetry. Source: Fisher
1935, The Design of Experiments, section 21.

The smallest possible p-value is 1 / 2ⁿ, which limits what few seeds can decide
(``least_values``). Symmetry fails where only one side of a contrast can lose a class, or
has a tail: then no test of a mean holds with few seeds (``benchmarks/verdicts.py`` gives
the errors). Failed runs are therefore counted apart (``compare/failures.py``).
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MOST_EXACT = 14
"""with more values, DRAWN random flips and the observed one stand for all of them, which is
an exact test as well (Dwass 1957, Ann. Math. Statist. 28, 181-187)"""
DRAWN = 16_383
ROUNDING = 1e-9
"""relative size of sums that count as 0: they come from rounding"""


def p_above(values: Sequence[float], bound: float) -> float:
    """One-sided p-value against "the centre of these values is at most ``bound``".

    Args:
        values: independent, at least 1.
        bound: -inf gives 0, inf gives 1.

    >>> p_above([1, 2, 3], 0), p_above([1, 2, -3], 0)
    (0.125, 0.625)
    """
    if math.isinf(bound):
        return 0.0 if bound < 0 else 1.0
    apart = np.asarray(values, np.float64) - bound
    sums = _subsets(len(apart)) @ apart
    # Flipping a subset makes the mean at least as large exactly if its sum is at most 0.
    at_most_0 = sums <= ROUNDING * np.abs(apart).sum()
    return float(np.count_nonzero(at_most_0) / len(sums))


def p_below(values: Sequence[float], bound: float) -> float:
    """One-sided p-value against "the centre of these values is at least ``bound``"."""
    return p_above([-value for value in values], -bound)


def bounds(values: Sequence[float], level: float) -> tuple[float, float]:
    """The lower and the upper confidence bound, each at a one-sided level.

    They are the values of ``bound`` at which the p-values reach the level, so that test
    and interval never disagree: ``p_above(values, b) <= level`` for every b below the
    lower one. These are means of subsets of the values. Source: Hartigan 1969, J. Am.
    Statist. Assoc. 64, 1303-1317 (typical values). The interval of Hodges & Lehmann
    belongs to Wilcoxon's test instead, which may decide otherwise.

    Args:
        values: independent, at least 1.
        level: of each bound, in (0, .5).

    Returns:
        Infinite bounds where so few values cannot reach the level.
    """
    chosen = _subsets(len(values))
    sizes = chosen.sum(axis=1)
    # The empty subset counts in every p-value and is the mean of nothing.
    means = np.sort((chosen @ np.asarray(values, np.float64))[sizes > 0] / sizes[sizes > 0])
    allowed = math.floor(level * len(chosen) + ROUNDING) - (len(chosen) - len(means))
    if allowed < 0:
        return -math.inf, math.inf
    return float(means[allowed]), float(means[-1 - allowed])


def least_values(level: float, num_tests: int = 1) -> int:
    """The least number of values with which ``num_tests`` tests, corrected, can decide.

    >>> least_values(0.05), least_values(0.0258), least_values(0.0258, 20)
    (5, 6, 10)
    """
    return math.ceil(math.log2(num_tests / level))


@lru_cache(maxsize=32)
def _subsets(num: int) -> NDArray[np.float64]:
    """Which values each flip turns, (number of flips, num): all of them, or a sample.

    The first turns none: it is what was observed.
    """
    if num <= MOST_EXACT:
        numbers = np.arange(2**num)[:, np.newaxis]
        return ((numbers >> np.arange(num)) & 1).astype(np.float64)
    drawn = np.random.Generator(np.random.Philox(key=num)).integers(2, size=(DRAWN, num))
    return np.concatenate([np.zeros((1, num)), drawn]).astype(np.float64)
