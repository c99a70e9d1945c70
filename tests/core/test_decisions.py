"""Decisions are right as often as they say, over all looks."""

import math
from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.decisions import Family, Statement, decide, interval
from pipeline.core.looks import DEFAULT, Looks

OPEN = Looks(at=())


def family(*samples, low=0.0, high=math.inf, num=None):
    """One statement per sample of values."""
    num = num or len(samples[0])
    statements = tuple(
        Statement(values=dict(enumerate(values)), low=low, high=high) for values in samples
    )
    return Family(statements=statements, seeds=tuple(range(num)))


GOOD = [1.0, 1.1, 0.9, 1.2, 0.8, 1.0, 1.05, 0.95]
BAD = [-value for value in GOOD]
OPEN_TO_DOUBT = [1.0, -1.1, 0.9, -1.2, 0.8, -0.5, 0.1, -0.1]


def kind(*samples, looks=DEFAULT, **bounds):
    return decide(family(*samples, **bounds), looks).kind


def test_a_statement_of_one_bound_has_one_test():
    (one,) = family(GOOD).statements
    assert one.num_bounds == 1
    assert (one.slack(range(8)), one.of([0, 3, 99])) == (1.0, (1.0, 1.2))


def test_all_must_be_shown_and_one_refuted_is_enough():
    assert kind(GOOD, GOOD) == "inside"
    assert kind(GOOD, OPEN_TO_DOUBT) == "undecided"
    assert kind(GOOD, OPEN_TO_DOUBT, BAD) == "outside"


def test_before_the_first_look_there_is_no_decision():
    found = decide(family(GOOD[:7]), DEFAULT)
    assert (found.kind, found.look, len(found.seeds)) == ("undecided", 0, 7)


def test_seeds_beyond_a_look_wait_for_the_next_one():
    found = decide(family([*OPEN_TO_DOUBT, 9.0]), DEFAULT)
    assert (found.kind, found.look, found.seeds) == ("undecided", 1, tuple(range(8)))


def test_the_first_look_that_decides_counts():
    later = decide(family([*GOOD, -9.0, -9.0]), DEFAULT)
    assert (later.kind, later.look, later.kept) == ("inside", 1, False)
    assert decide(family([*GOOD, 1.0, 1.0]), DEFAULT).kept


def test_a_failed_seed_counts_as_run_and_has_no_value():
    values = {seed: value for seed, value in enumerate(GOOD) if seed != 2}
    one = Family(statements=(Statement(values=values, low=0.0),), seeds=tuple(range(8)))
    found = decide(one, DEFAULT)
    assert (found.kind, found.p_value) == ("inside", 1 / 128)


def test_students_t_stands_beside():
    found = decide(family(GOOD), DEFAULT)
    assert found.p_value == 1 / 256
    assert found.p_of_t < 1e-6


def test_open_ended_seeds_are_judged_by_e_values():
    assert kind(GOOD[:4], looks=OPEN) == "undecided"
    assert kind(GOOD[:5], looks=OPEN) == "inside"
    assert kind(BAD, looks=OPEN) == "outside"
    low, high = interval(GOOD, OPEN)
    assert low < 1.0 < high


def test_the_interval_is_that_of_the_look():
    low, high = interval(GOOD, DEFAULT)
    assert kind(GOOD, low=low - 1e-6) == "inside"
    assert kind(GOOD, low=low + 1e-6) == "undecided"
    assert kind(GOOD, low=-math.inf, high=high + 1e-6) == "inside"


def won(*wins, values=None, looks=DEFAULT):
    """The decision about good values, and wins that must be a majority."""
    one = family(values or [*GOOD, *GOOD][: len(wins)])
    return decide(replace(one, majorities=(dict(enumerate(map(bool, wins))),)), looks)


def test_a_majority_is_asked_of_every_look():
    half = (1, 1, 1, 1, 0, 0, 0, 0)
    found = won(*half)
    assert (found.kind, found.look, found.p_value) == ("no majority", 1, 1 / 256)
    found = won(*half, 1, 1)
    assert (found.kind, found.look, len(found.seeds)) == ("inside", 2, 10)
    assert won(*half, 1, 1, looks=OPEN).kind == "inside"


def test_a_majority_that_is_refuted_refutes_corrected_for_all_tests():
    found = won(*8 * [0])
    assert (found.kind, found.p_value) == ("minority", 2 / 256)
    assert won(1, *7 * [0]).kind == "no majority"  # 9 / 256, twice
    assert won(*8 * [0], values=BAD).kind == "outside"


@pytest.mark.parametrize(("looks", "at"), [(DEFAULT, (8, 10, 12)), (OPEN, range(5, 41))])
def test_a_majority_is_rarely_refuted_where_half_of_the_seeds_win(looks, at):
    rng = np.random.default_rng(0)
    wrong, values = 0, [1 + 0.01 * n for n in range(40)]
    for drawn in (rng.random((200, 40)) < 0.5).tolist():
        cut = (won(*drawn[:num], values=values[:num], looks=looks) for num in at)
        wrong += any(found.kind == "minority" for found in cut)
    assert wrong / 200 <= 0.05


def test_a_censored_value_keeps_its_look_from_deciding_and_no_other():
    values = dict(enumerate(GOOD))
    one = Family(
        statements=(Statement(values=values, low=0.0),),
        seeds=tuple(range(10)),
        censored=frozenset({9}),
    )
    found = decide(one, DEFAULT)
    assert (found.kind, found.look, found.kept) == ("inside", 1, True)
    assert decide(replace(one, censored=frozenset({3})), DEFAULT).kind == "censored"
    doubtful = (Statement(values=values, low=1.0),)
    assert decide(replace(one, statements=doubtful), DEFAULT).kind == "censored"
    waits = replace(one, statements=doubtful, seeds=tuple(range(9)))
    assert decide(replace(waits, censored=frozenset({8})), DEFAULT).kind == "undecided"


def simulated(mean, num, times, looks=DEFAULT, num_samples=1, **bounds):
    rng = np.random.default_rng(0)
    drawn = rng.normal(mean, 1.0, (times, num_samples, num)).tolist()
    kinds = [kind(*samples, looks=looks, **bounds) for samples in drawn]
    return {name: kinds.count(name) / times for name in ("inside", "outside")}


def test_a_true_value_on_the_bound_is_rarely_decided_over_all_looks():
    found = simulated(0.0, 12, 800)
    for rate in found.values():
        assert 0.025 < rate < 0.065  # .046 in benchmarks/verdicts.py


def test_adding_seeds_without_a_declaration_is_rarely_wrong_either():
    found = simulated(0.0, 12, 400, looks=OPEN)
    assert max(found.values()) < 0.05


def test_a_family_of_true_statements_is_rarely_refuted():
    found = simulated(0.0, 12, 150, num_samples=8)
    assert found["outside"] < 0.08


def test_a_difference_of_the_margin_is_rarely_called_equivalent():
    found = simulated(1.0, 12, 400, low=-1.0, high=1.0)
    assert found["inside"] < 0.07


@pytest.mark.parametrize(("effect", "known"), [(0.8, 0.76), (1.0, 0.91), (1.5, 1.0)])
def test_the_looks_have_the_power_that_the_guide_says(effect, known):
    assert simulated(effect, 12, 400)["inside"] == pytest.approx(known, abs=0.05)
