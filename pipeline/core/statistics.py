"""Statistics for few seeds: paired tests, verdicts, and how many seeds a verdict needs.

Every test is about a statement "the mean of these values lies between two bounds", with
one value per seed. A claim is one statement or a family of them (one per density).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

MIN_SEEDS = 6
"""with fewer seeds there is no verdict"""
ALPHA = 0.05
POWER = 0.8
MOST_SEEDS = 1000
"""the number at which ``seeds_needed`` stops counting"""
ROUNDING = 1e-12
"""a relative spread as small as this comes from rounding alone"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A mean and the bounds between which the true mean probably lies."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """A statement: the mean of independent values, one per seed, lies in [low, high]."""

    values: tuple[float, ...]
    low: float = -math.inf
    high: float = math.inf

    def slack(self) -> float:
        """How far inside the bounds the observed mean is; negative = outside."""
        mean = _mean(self.values)
        return min(mean - self.low, self.high - mean)


Decision = Literal["inside", "outside", "undecided"]


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


def p_above(values: Sequence[float], bound: float) -> float:
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


def p_below(values: Sequence[float], bound: float) -> float:
    """One-sided p-value of Student's t against "the mean is at least ``bound``"."""
    return p_above([-value for value in values], -bound)


def p_equivalent(values: Sequence[float], margin: float) -> float:
    """P-value of two one-sided tests against "the mean differs from 0 by ``margin``".

    Source: Schuirmann 1987, J. Pharmacokinet. Biopharm. 15, 657-680.

    Raises:
        ValueError: if the margin is not above 0.
    """
    if not margin > 0:
        raise ValueError(
            f"the margin of an equivalence is {margin}; state one above 0, the largest "
            "difference that counts as none"
        )
    return p_inside(Statement(values=tuple(values), low=-margin, high=margin))


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


def p_inside(statement: Statement) -> float:
    """P-value against "the mean lies outside of the bounds" (two one-sided tests)."""
    below = p_below(statement.values, statement.high)
    return max(p_above(statement.values, statement.low), below)


def p_outside(statement: Statement) -> float:
    """P-value against "the mean lies within the bounds"; Bonferroni for two bounds."""
    finite = math.isfinite(statement.low) + math.isfinite(statement.high)
    below = p_below(statement.values, statement.low)
    return min(1.0, finite * min(p_above(statement.values, statement.high), below))


def decide(family: Sequence[Statement], alpha: float = ALPHA) -> Decision:
    """Decide whether all statements of a family hold, or at least one does not.

    ``outside`` needs one refuted statement, with Holm's correction over the family.
    ``inside`` needs every single statement shown, which is itself a test at level alpha
    without correction (intersection-union: Berger 1982, Technometrics 24, 295-300).

    Args:
        family: at least one statement.
        alpha: chance of a wrong decision, for either one.

    Returns:
        ``inside``, ``outside``, or ``undecided`` where neither is shown or a statement
        has fewer than MIN_SEEDS values.
    """
    if any(len(statement.values) < MIN_SEEDS for statement in family):
        return "undecided"
    if min(holm([p_outside(statement) for statement in family])) < alpha:
        return "outside"
    if max(p_inside(statement) for statement in family) < alpha:
        return "inside"
    return "undecided"


def seeds_needed(std: float, difference: float, *, bounds: Literal[1, 2] = 1) -> int:
    """How many seeds a one-sided paired t test needs to see a difference in 4 of 5 cases.

    The number is exact, from the noncentral t (Johnson & Welch 1940, Biometrika 31,
    362-389), at ALPHA and POWER.

    Args:
        std: standard deviation of the paired differences.
        difference: distance of the true mean from the bound, above 0.
        bounds: 2 for an equivalence, where both tests must succeed: each may then fail
            with half of the probability 1 - POWER.

    Returns:
        A number from MIN_SEEDS to MOST_SEEDS; the latter stands for "or more".
    """
    power = 1 - (1 - POWER) / bounds
    return next(
        (n for n in range(MIN_SEEDS, MOST_SEEDS) if _power(n, std, difference) >= power),
        MOST_SEEDS,
    )


def nested_bootstrap(
    groups: Sequence[Sequence[float]], rng: np.random.Generator, *, resamples: int = 4000
) -> Interval:
    """The mean of group means with a percentile interval at 1 - ALPHA.

    Repetitions of one initialization are not independent evidence, so initializations
    are resampled first, then repetitions within each. Source: Davison & Hinkley 1997,
    Bootstrap Methods and Their Application, section 3.8.

    Args:
        groups: for each initialization the values of its repetitions, at least one.
        rng: random stream of the resampling.
        resamples: number of resamples.
    """
    means = np.empty(resamples)
    for n in range(resamples):
        drawn = rng.integers(len(groups), size=len(groups))
        means[n] = np.mean(
            [np.mean(rng.choice(groups[g], size=len(groups[g]))) for g in drawn]
        )
    low, high = np.quantile(means, [ALPHA / 2, 1 - ALPHA / 2])
    return Interval(
        mean=_mean([_mean(group) for group in groups]), low=float(low), high=float(high)
    )


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


def standard_deviation(values: Sequence[float]) -> float:
    """The standard deviation of a sample of at least 2 values, with num - 1 as divisor."""
    return float(np.std(values, ddof=1))


def _differences(first: Sequence[float], second: Sequence[float]) -> list[float]:
    if len(second) > len(first):
        return [_mean(first) - value for value in second]
    return [value - _mean(second) for value in first]


def _power(num: int, std: float, difference: float) -> float:
    if std == 0 or math.isinf(difference):
        return 1.0
    shift = math.sqrt(num) * difference / std
    needed = special.stdtrit(num - 1, 1 - ALPHA)
    if shift > 2 * needed + 10:  # where the series of the noncentral t may not converge
        return 1.0
    return 1 - float(special.nctdtr(num - 1, shift, needed))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _standard_error(values: Sequence[float]) -> float:
    if len(values) < 2:
        raise ValueError(f"{len(values)} value found; a spread needs at least 2")
    if max(values) - min(values) <= ROUNDING * max(map(abs, values)):
        return 0.0
    return standard_deviation(values) / math.sqrt(len(values))
