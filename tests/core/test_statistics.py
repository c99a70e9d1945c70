"""Statistics agree with numbers by hand, from scipy, or from simulations."""

import math

import numpy as np
import pytest
from scipy import stats

from pipeline.core.statistics import (
    MIN_SEEDS,
    MOST_SEEDS,
    Statement,
    decide,
    holm,
    nested_bootstrap,
    p_above,
    p_below,
    p_equivalent,
    p_inside,
    p_outside,
    paired_differences,
    seeds_needed,
    share_interval,
    t_interval,
)

VALUES = (0.4, 0.1, 0.5, 0.3, 0.2, 0.6, 0.35)


def simulated(*, mean, std=1.0, num=6, times=1000, seed=0):
    """Samples as rows."""
    return np.random.default_rng(seed).normal(mean, std, (times, num)).tolist()


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
def test_p_values_are_scipys(bound):
    def known(alternative):
        return stats.ttest_1samp(VALUES, bound, alternative=alternative).pvalue

    assert p_above(VALUES, bound) == pytest.approx(known("greater"), rel=1e-9)
    assert p_below(VALUES, bound) == pytest.approx(known("less"), rel=1e-9)


def test_paired_values_give_the_paired_test():
    first, second = np.random.default_rng(1).normal(size=(2, 8)).tolist()
    one, two = ({n: [v] for n, v in enumerate(side)} for side in (first, second))
    differences = [value for (value,) in paired_differences(one, two).values()]
    known = stats.ttest_rel(first, second, alternative="greater").pvalue
    assert p_above(differences, 0.0) == pytest.approx(known)


def test_values_without_spread_count_as_certain():
    assert p_above([0.1] * 6, 0.0) == 0
    assert p_above([0.1] * 6, 0.1) == 1
    assert p_below([0.1] * 6, 0.0) == 1


def test_one_value_has_no_spread():
    with pytest.raises(ValueError, match="1 value found; a spread needs at least 2"):
        p_above([0.1], 0.0)


def test_equivalence_is_the_worse_of_two_one_sided_tests():
    low = stats.ttest_1samp(VALUES, -0.5, alternative="greater").pvalue
    high = stats.ttest_1samp(VALUES, 0.5, alternative="less").pvalue
    assert p_equivalent(VALUES, 0.5) == pytest.approx(max(low, high))


def test_an_equivalence_needs_a_margin():
    with pytest.raises(ValueError, match="the margin of an equivalence is 0; state one"):
        p_equivalent(VALUES, 0)


def test_holm_agrees_with_numbers_by_hand():
    # sorted .005 .01 .03 .04 -> times 4 3 2 1 -> .02 .03 .06 .04 -> running maximum
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.7, 0.8]) == [1.0, 1.0]


def test_a_statement_of_one_bound_has_one_test():
    statement = Statement(values=VALUES, low=0.0)
    assert p_inside(statement) == p_above(VALUES, 0.0)
    assert p_outside(statement) == p_below(VALUES, 0.0)


def test_slack_is_the_distance_to_the_nearest_bound():
    assert Statement(values=(1.0, 3.0), low=0.0, high=2.5).slack() == 0.5
    assert Statement(values=(1.0, 3.0), high=1.5).slack() == -0.5


def test_all_must_be_shown_and_one_refuted_is_enough():
    good = Statement(values=(1.0, 1.1, 0.9, 1.2, 0.8, 1.0), low=0.0)
    bad = Statement(values=(-1.0, -1.1, -0.9, -1.2, -0.8, -1.0), low=0.0)
    open_ = Statement(values=(1.0, -1.1, 0.9, -1.2, 0.8, -0.5), low=0.0)
    assert decide([good, good]) == "inside"
    assert decide([good, open_]) == "undecided"
    assert decide([good, open_, bad]) == "outside"


def test_fewer_than_six_seeds_give_no_verdict():
    certain = tuple(1.0 + 0.001 * n for n in range(MIN_SEEDS))
    assert decide([Statement(values=certain, low=0.0)]) == "inside"
    assert decide([Statement(values=certain[1:], low=0.0)]) == "undecided"


def test_a_true_mean_on_the_bound_is_rarely_called_inside_or_outside():
    decisions = [decide([Statement(values=v, low=0.0)]) for v in simulated(mean=0.0)]
    assert 0.03 < decisions.count("inside") / 1000 < 0.07
    assert 0.03 < decisions.count("outside") / 1000 < 0.07


def test_holm_keeps_a_family_of_true_statements_from_being_refuted_by_chance():
    drawn = np.random.default_rng(2).normal(0.0, 1.0, (1000, 8, 6)).tolist()
    families = [[Statement(values=v, low=0.0) for v in family] for family in drawn]
    refuted = sum(decide(family) == "outside" for family in families)
    without = sum(min(map(p_outside, family)) < 0.05 for family in families)
    assert refuted / 1000 < 0.07
    assert without / 1000 > 0.25


def test_a_difference_of_the_margin_is_rarely_called_equivalent():
    p_values = [p_equivalent(v, 1.0) for v in simulated(mean=1.0, std=0.5)]
    assert sum(p < 0.05 for p in p_values) / 1000 < 0.07


def test_the_needed_seeds_have_the_power_and_one_less_has_not():
    num = seeds_needed(1.0, 1.0)
    assert num == 8  # G*Power: one-sided t, d = 1, alpha .05, power .8

    def power(num):
        samples = simulated(mean=1.0, num=num, times=3000)
        return sum(p_above(v, 0.0) < 0.05 for v in samples) / 3000

    assert power(num) > 0.79
    assert power(num - 1) < 0.81


def test_needed_seeds_stay_between_the_least_and_the_most():
    assert seeds_needed(0.0, 0.1) == MIN_SEEDS
    assert seeds_needed(0.001, 1.0) == MIN_SEEDS
    assert seeds_needed(1.0, 0.001) == MOST_SEEDS


def test_an_equivalence_costs_more_seeds_than_a_difference():
    assert seeds_needed(1.0, 0.5, bounds=2) > seeds_needed(1.0, 0.5)


def test_repetitions_of_one_initialization_are_no_independent_evidence():
    rng = np.random.default_rng(3)
    groups = [[mean + 0.01 * n for n in range(10)] for mean in rng.normal(0, 1, 6)]
    nested = nested_bootstrap(groups, np.random.default_rng(0))
    flat = t_interval([value for group in groups for value in group])
    assert nested.mean == pytest.approx(flat.mean)
    assert nested.high - nested.low > 2 * (flat.high - flat.low)


def test_the_nested_bootstrap_repeats_with_the_same_generator():
    first, second = (
        nested_bootstrap([[1.0], [2.0, 4.0], [3.0]], np.random.default_rng(0))
        for _ in range(2)
    )
    assert first == second
    assert first.mean == pytest.approx((1 + 3 + 3) / 3)


@pytest.mark.parametrize(("wins", "num"), [(0, 5), (3, 3), (4, 6), (1, 20)])
def test_the_interval_of_a_share_is_exact(wins, num):
    known = stats.binomtest(wins, num).proportion_ci(method="exact")
    assert share_interval(wins, num) == pytest.approx((known.low, known.high))
