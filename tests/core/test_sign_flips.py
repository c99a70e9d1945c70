"""The sign-flip test is exact, and its interval never disagrees with it."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from pipeline.core.sign_flips import (
    MOST_EXACT,
    bounds,
    least_values,
    p_above,
    p_below,
)

VALUES = (0.4, 0.1, 0.5, 0.3, -0.2, 0.6, 0.35)


def draws(num, times, seed=0):
    return np.random.default_rng(seed).standard_normal((times, num)).tolist()


@pytest.mark.parametrize("bound", [-0.1, 0.0, 0.2, 0.3])
def test_the_p_value_counts_the_flips_that_give_as_large_a_mean(bound):
    apart = np.array(VALUES) - bound
    signs = np.array(list(itertools.product([-1, 1], repeat=len(apart))))
    expected = np.mean(signs @ apart >= apart.sum() - 1e-12)
    assert p_above(VALUES, bound) == pytest.approx(expected)
    known = stats.permutation_test(
        (apart,),
        np.mean,
        permutation_type="samples",
        n_resamples=np.inf,
        alternative="greater",
    )
    assert p_above(VALUES, bound) == pytest.approx(known.pvalue)


def test_below_is_above_seen_in_a_mirror():
    assert p_below(VALUES, 0.5) == p_above([-v for v in VALUES], -0.5)
    assert (p_above(VALUES, -math.inf), p_above(VALUES, math.inf)) == (0, 1)


def test_the_smallest_p_value_limits_what_few_values_can_decide():
    assert p_above([1.0] * 8, 0.0) == 1 / 256
    for num_tests in (1, 2, 5, 20):
        least = least_values(0.0258, num_tests)
        assert num_tests / 2**least <= 0.0258 < num_tests / 2 ** (least - 1)


@pytest.mark.parametrize("num", [6, 8, 11])
@pytest.mark.parametrize("level", [0.0258, 0.05])
def test_the_interval_holds_exactly_what_the_test_does_not_refute(num, level):
    for values in draws(num, 20):
        low, high = bounds(values, level)
        assert low < np.mean(values) < high
        assert p_above(values, low - 1e-6) <= level < p_above(values, low + 1e-6)
        assert p_below(values, high + 1e-6) <= level < p_below(values, high - 1e-6)


def test_too_few_values_have_no_bounds():
    assert bounds([1.0, 2.0, 3.0], 0.05) == (-math.inf, math.inf)
    assert bounds([0.5] * 8, 0.0258) == (0.5, 0.5)


@pytest.mark.parametrize("num", [6, 8, 12])
def test_a_centre_on_the_bound_is_refuted_as_often_as_the_level_says(num):
    p_values = [p_above(values, 0.0) for values in draws(num, 2000)]
    for level in (0.0258, 0.05):
        exact = math.floor(level * 2**num) / 2**num
        found = np.mean(np.array(p_values) <= level)
        assert found == pytest.approx(exact, abs=3 * math.sqrt(exact / 2000))


def test_failures_of_both_sides_leave_the_test_exact():
    """5 % of the runs of either side lose ten points; t is conservative then."""
    rng = np.random.default_rng(1)
    lost = 10 * ((rng.random((2000, 8)) < 0.05) * 1.0 - (rng.random((2000, 8)) < 0.05))
    values = (0.3 * rng.standard_normal((2000, 8)) + lost).tolist()
    found = np.mean([p_above(one, 0.0) <= 0.05 for one in values])
    assert 0.035 < found < 0.06


def test_many_values_are_flipped_in_a_sample_of_ways():
    values = list(np.random.default_rng(0).normal(0.5, 1, MOST_EXACT + 6))
    known = stats.ttest_1samp(values, 0.0, alternative="greater").pvalue
    assert p_above(values, 0.0) == pytest.approx(known, abs=0.01)
    assert p_above(values, 0.0) == p_above(values, 0.0)
    low, _ = bounds(values, 0.05)
    assert p_above(values, low - 1e-6) <= 0.05 < p_above(values, low + 1e-6)
