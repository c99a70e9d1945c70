"""Failed runs are told from others, and others are not."""

import numpy as np
import pytest

from pipeline.compare.failures import Rule
from pipeline.compare.samples import minus
from pipeline.core.decisions import Family, Statement, decide
from pipeline.core.looks import DEFAULT, Looks

RULE = Rule(looks=DEFAULT, apart=True)


def rows(accuracies):
    return [{"seed": n, "test_accuracy": value} for n, value in enumerate(accuracies)]


def sound(accuracies, rule=RULE):
    """The seeds that did not fail."""
    return [row["seed"] for row in rule.sound(rows(accuracies), "test_accuracy")]


def test_a_lost_class_and_a_diverged_training_are_failures():
    good = [0.98, 0.979, 0.981, 0.98, 0.978, 0.98]
    assert sound([*good, 0.88, None]) == list(range(6))
    assert sound([*good, 0.88, 0.78]) == list(range(6))
    assert sound([*good, 0.94, 0.98]) == list(range(8))  # four points are no class


def test_a_seed_that_comes_later_is_judged_like_the_others():
    good = [0.98] * 6
    assert sound([*good, 0.88, 0.88, 0.88, 0.98]) == [*range(6), 9]


def test_the_tail_of_a_wide_sample_is_no_failure():
    assert sound([0.57, 0.60, 0.62, 0.64, 0.66, 0.67, 0.68, 0.5666]) == list(range(8))


def test_only_diverged_trainings_fail_where_low_accuracies_are_outcomes():
    rule = Rule(looks=DEFAULT, apart=False)
    assert sound([0.98] * 6 + [0.1, None], rule) == list(range(7))


@pytest.mark.parametrize("looks", [DEFAULT, Looks(at=()), Looks(at=(8, 12))])
def test_later_seeds_do_not_change_which_of_the_first_failed(looks):
    rng = np.random.default_rng(0)
    rule = Rule(looks=looks, apart=True)
    for _ in range(300):
        drawn = np.where(rng.random(12) < 0.3, 0.88, 0.98) + rng.normal(0, 0.002, 12)
        first = sound(drawn[:8].tolist(), rule)
        assert [seed for seed in sound(drawn.tolist(), rule) if seed < 8] == first


@pytest.mark.parametrize(("wide", "narrow"), [(0.03, 0.005), (0.06, 0.01)])
@pytest.mark.parametrize("num", [8, 12])
def test_equal_means_are_rarely_told_apart_whatever_the_spreads(wide, narrow, num):
    rng = np.random.default_rng(1)
    wrong, experiments = 0, 1000
    for _ in range(experiments):
        sides = (rows(rng.normal(0.8, std, num).tolist()) for std in (wide, narrow))
        groups = minus(*sides, metric="test_accuracy", rule=RULE)
        values = {seed: found[0] for seed, found in groups.items()}
        family = Family(
            statements=(Statement(values=values, low=0.0),), seeds=tuple(range(num))
        )
        wrong += decide(family, DEFAULT).kind == "inside"
    assert wrong / experiments <= 0.063  # .05 and two standard errors
