"""Statistics agree with numbers by hand, from scipy, or from simulations."""

import math

import pytest
from scipy import stats

from pipeline.core.statistics import (
    holm,
    paired_differences,
    share_interval,
    t_above,
    t_interval,
)

VALUES = (0.4, 0.1, 0.5, 0.3, 0.2, 0.6, 0.35)


def test_differences_are_paired_by_seed():
    first = {0: [3.0], 2: [5.0], 3: [1.0]}
    assert paired_differences(first, {2: [1.5], 0: [1.0]}) == {0: [2.0], 2: [3.5]}


def test_repetitions_are_kept_on_the_side_that_has_them():
    assert paired_differences({0: [3.0]}, {0: [1.0, 2.0]}) == {0: [2.0, 1.0]}
    assert paired_differences({0: [3.0, 4.0]}, {0: [1.0, 2.0]}) == {0: [1.5, 2.5]}


def test_the_interval_is_students_written_out_by_hand():
    # mean 2, standard deviation 1, standard error 1/√3, t(0.975, 2) = 4.3027
    interval = t_interval([1, 2, 3])
    assert interval.mean == 2
    assert interval.low == pytest.approx(2 - 4.302653 / math.sqrt(3), abs=1e-6)
    assert interval.high == pytest.approx(2 + 4.302653 / math.sqrt(3), abs=1e-6)


@pytest.mark.parametrize("bound", [-0.1, 0.0, 0.3, 0.5])
def test_p_values_of_t_are_scipys(bound):
    known = stats.ttest_1samp(VALUES, bound, alternative="greater").pvalue
    assert t_above(VALUES, bound) == pytest.approx(known, rel=1e-9)


def test_values_without_spread_count_as_certain():
    assert t_above([0.1] * 6, 0.0) == 0
    assert t_above([0.1] * 6, 0.1) == 1


def test_one_value_has_no_spread():
    with pytest.raises(ValueError, match="1 value found; a spread needs at least 2"):
        t_above([0.1], 0.0)


def test_holm_agrees_with_numbers_by_hand():
    # sorted .005 .01 .03 .04 -> times 4 3 2 1 -> .02 .03 .06 .04 -> running maximum
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.7, 0.8]) == [1.0, 1.0]


@pytest.mark.parametrize(("wins", "num"), [(0, 5), (3, 3), (4, 6), (1, 20)])
def test_the_interval_of_a_share_is_exact(wins, num):
    known = stats.binomtest(wins, num).proportion_ci(method="exact")
    assert share_interval(wins, num) == pytest.approx((known.low, known.high))
