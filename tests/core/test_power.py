"""The numbers of seeds have the power that is said."""

import numpy as np
import pytest

from pipeline.core.e_values import e_value
from pipeline.core.looks import ALPHA, DEFAULT, Looks
from pipeline.core.power import (
    MOST_SEEDS,
    POWER,
    effect_seen,
    power,
    seeds_needed,
    spread_of,
)
from pipeline.core.sign_flips import p_above

ONE = Looks(at=(5,))


def test_the_power_is_that_of_g_power():
    assert seeds_needed(1.0, 1.0, ONE) == 8  # one-sided t, d = 1, alpha .05, power .8


@pytest.mark.parametrize(("num", "effect"), [(8, 1.0), (12, 0.8)])
def test_sign_flips_have_nearly_the_power_of_t(num, effect):
    drawn = np.random.default_rng(0).normal(effect, 1.0, (1500, num)).tolist()
    found = np.mean([p_above(values, 0.0) <= DEFAULT.level for values in drawn])
    assert found == pytest.approx(power(num, effect, DEFAULT), abs=0.05)


def test_needed_seeds_stay_between_the_first_look_and_the_most():
    assert seeds_needed(0.0, 0.1, DEFAULT) == DEFAULT.first
    assert seeds_needed(0.001, 1.0, DEFAULT) == DEFAULT.first
    assert seeds_needed(1.0, 0.001, DEFAULT) == MOST_SEEDS


def test_an_equivalence_costs_more_seeds_than_a_difference():
    one, both = (seeds_needed(1.0, 0.5, DEFAULT, bounds) for bounds in (1, 2))
    assert both > one


def test_the_effect_that_is_seen_has_the_power():
    for num in (8, 12, 24):
        effect = effect_seen(num, DEFAULT)
        assert power(num, effect, DEFAULT) == pytest.approx(POWER, abs=0.01)


def test_three_seeds_tell_the_spread_badly():
    drawn = np.random.default_rng(0).standard_normal((4000, 3)).std(axis=1, ddof=1)
    ranges = np.array([spread_of(std, 3) for std in drawn])
    inside = (ranges[:, 0] <= 1) & (ranges[:, 1] >= 1)
    assert inside.mean() == pytest.approx(0.8, abs=0.03)
    low, high = (seeds_needed(std, 1.0, DEFAULT) for std in spread_of(1.0, 3))
    assert high > 9 * low


@pytest.mark.parametrize("effect", [0.8, 1.2])
def test_open_ended_looks_need_the_seeds_that_their_e_value_needs(effect):
    num = seeds_needed(1.0, effect, Looks(at=()))
    assert num > seeds_needed(1.0, effect, DEFAULT)
    drawn = np.random.default_rng(0).normal(effect, 1.0, (1500, num)).tolist()
    found = np.mean([e_value(values, 0.0) >= 1 / ALPHA for values in drawn])
    assert found == pytest.approx(POWER, abs=0.05)


def test_more_statements_need_a_larger_effect():
    one, nine = (effect_seen(8, DEFAULT, bounds) for bounds in (1, 9))
    assert nine > 1.4 * one
    drawn = np.random.default_rng(0).normal(nine, 1.0, (1000, 9, 8))
    shown = [
        all(p_above(values, 0.0) <= DEFAULT.level for values in family)
        for family in drawn.tolist()
    ]
    assert np.mean(shown) >= POWER - 0.05
