"""Statistics for few seeds: paired differences, Student's t, Holm, shares.

``sign_flips`` has the test that verdicts rest on, ``looks`` says how often one may judge,
``decisions`` makes decisions of both, ``power`` says how many seeds they need.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from pipeline.core.looks import ALPHA

ROUNDING = 1e-12
"""a relative spread as small as this comes from rounding alone"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A mean and the bounds between which the true mean probably lies."""

    mean: float
    low: float
    high: float


def paired_differences(
    first: Mapping[int, Sequence[float]], second: Mapping[int, Sequence[float]]
) -> dict[int, list[float]]:
    """First minus second, per seed that both have; repetitions of a seed are kept.

    Args:
        first: seed -> the values of its repetitions, at least one; usually one.
        second: the same for the other side.

    Returns:
        For each seed, every value of the side with more repetitions gives one difference,
        with the mean of the other side.

    >>> paired_differences({0: [3.0], 1: [5.0], 2: [7.0]}, {2: [1.0, 2.0], 0: [2.0]})
    {0: [1.0], 2: [6.0, 5.0]}
    """
    both = sorted(set(first) & set(second))
    return {seed: _differences(first[seed], second[seed]) for seed in both}


def t_interval(values: Sequence[float], confidence: float = 1 - ALPHA) -> Interval:
    """The mean with Student's two-sided confidence interval.

    Source: Student 1908, Biometrika 6, 1-25. For paired differences this is the interval
    of the paired t test.

    Args:
        values: independent, at least 2.
        confidence: in (0, 1).
    """
    mean, error = _mean(values), _standard_error(values)
    half = special.stdtrit(len(values) - 1, (1 + confidence) / 2) * error
    return Interval(mean=mean, low=mean - float(half), high=mean + float(half))


def t_above(values: Sequence[float], bound: float) -> float:
    """One-sided p-value of Student's t against "the mean is at most ``bound``".

    Values without spread say nothing about chance and count as certain: p is 0, or 1 if
    the mean is not above the bound.

    Args:
        values: independent, at least 2.
        bound: -inf gives 0, inf gives 1.
    """
    mean, error = _mean(values), _standard_error(values)
    if error == 0 or math.isinf(bound):
        return 0.0 if mean > bound and not math.isclose(mean, bound) else 1.0
    return float(special.stdtr(len(values) - 1, (bound - mean) / error))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for the size of their family; the order stays.

    Source: Holm 1979, Scand. J. Statist. 6, 65-70. The adjustment controls the chance of
    any wrong rejection in the family, however the tests depend on each other.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda n: p_values[n])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, n in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[n]))
        adjusted[n] = largest
    return adjusted


def share_interval(successes: int, num: int) -> tuple[float, float]:
    """The exact confidence interval of a share at 1 - ALPHA.

    Source: Clopper & Pearson 1934, Biometrika 26, 404-413.
    """
    low, high = 0.0, 1.0
    if successes > 0:
        low = float(special.betaincinv(successes, num - successes + 1, ALPHA / 2))
    if successes < num:
        high = float(special.betaincinv(successes + 1, num - successes, 1 - ALPHA / 2))
    return low, high


def minority(successes: int, num: int) -> float:
    """P-value of the exact binomial test against "a success has a chance of at least .5".

    >>> minority(0, 5), minority(3, 5)
    (0.03125, 0.8125)
    """
    return float(special.bdtr(successes, num, 0.5))


def standard_deviation(values: Sequence[float]) -> float:
    """The standard deviation of a sample of at least 2 values, with num - 1 as divisor."""
    return float(np.std(values, ddof=1))


def _differences(first: Sequence[float], second: Sequence[float]) -> list[float]:
    if len(second) > len(first):
        return [_mean(first) - value for value in second]
    return [value - _mean(second) for value in first]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _standard_error(values: Sequence[float]) -> float:
    if len(values) < 2:
        raise ValueError(f"{len(values)} value found; a spread needs at least 2")
    if max(values) - min(values) <= ROUNDING * max(map(abs, values)):
        return 0.0
    return standard_deviation(values) / math.sqrt(len(values))
