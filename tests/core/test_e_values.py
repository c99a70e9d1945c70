"""An e-value is evidence that holds whenever one stops."""

import math

import numpy as np
import pytest

from pipeline.core.e_values import e_bounds, e_value
from pipeline.core.looks import LEAST_OPEN


@pytest.mark.parametrize(("num", "t"), [(5, 8.45), (6, 5.45), (8, 4.25), (12, 3.68)])
def test_the_t_that_reaches_20_is_that_of_the_table(num, t):
    values = np.random.default_rng(0).standard_normal(num)
    values = (values - values.mean()) / values.std(ddof=1) + t / math.sqrt(num)
    assert e_value(values.tolist(), 0.0) == pytest.approx(20, rel=0.01)


def test_a_mean_below_the_bound_is_no_evidence():
    assert e_value([1.0, 2.0, 3.0], 2.5) == 0
    assert e_value([1.0, 2.0, 3.0], math.inf) == 0
    assert e_value([1.0, 2.0, 3.0], -math.inf) == math.inf


def test_looking_after_every_seed_is_wrong_in_less_than_the_level():
    """A t test that looks as often is wrong in more than .2 of the cases."""
    drawn = np.random.default_rng(0).standard_normal((400, 30)).tolist()
    wrong = [
        any(e_value(values[:num], 0.0) >= 20 for num in range(LEAST_OPEN, 31, 1))
        for values in drawn
    ]
    assert np.mean(wrong) < 0.05


@pytest.mark.parametrize("num", [5, 8, 20])
def test_the_bounds_are_where_the_evidence_reaches_the_level(num):
    values = np.random.default_rng(num).normal(1.0, 1.0, num).tolist()
    low, high = e_bounds(values, 0.05)
    assert e_value(values, low) == pytest.approx(20)
    assert e_value([-v for v in values], -high) == pytest.approx(20)


def test_four_values_have_no_bounds():
    assert e_bounds([1.0, 2.0, 3.0, 4.0], 0.05) == (-math.inf, math.inf)


def test_values_without_spread_are_strong_evidence():
    assert e_value([1.0] * 8, 0.0) > 1e3
