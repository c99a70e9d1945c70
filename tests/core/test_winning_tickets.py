"""Winning tickets are found by the definition of the paper."""

import numpy as np
import pytest

from pipeline.core.winning_tickets import (
    Reached,
    confidence,
    seed_wins,
    smallest_winning,
    statements,
    winning_tests,
)


def reached(accuracy=0.98, step=1000, *, censored=False, kept=100):
    return Reached(accuracy=accuracy, step=step, censored=censored, kept=kept)


DENSE = reached(kept=1000)


def pairs(differences, *, step=900, num=8):
    """Tickets that differ from the dense network by these accuracies, in turn."""
    found = [reached(0.98 + differences[n % len(differences)], step) for n in range(num)]
    return {seed: (ticket, DENSE) for seed, ticket in enumerate(found)}


@pytest.mark.parametrize(
    ("ticket", "dense", "answer"),
    [
        (reached(), DENSE, True),
        (reached(accuracy=0.9799), DENSE, False),
        (reached(step=1001), DENSE, False),
        (reached(kept=1000), DENSE, False),
        (reached(step=1001, censored=True), DENSE, False),
        (reached(), reached(censored=True, kept=1000), True),
        (reached(step=1001), reached(censored=True, kept=1000), None),
        (reached(censored=True), reached(censored=True, kept=1000), None),
        (reached(accuracy=0.9, censored=True), reached(censored=True, kept=1000), False),
    ],
)
def test_the_definition_seed_by_seed(ticket, dense, answer):
    assert seed_wins(ticket, dense) is answer


def test_the_mean_needs_accuracy_and_speed():
    accuracy, step = statements(pairs([0.001, 0.003]), step_margin=100)
    assert list(accuracy.values.values()) == pytest.approx([0.001, 0.003] * 4)
    assert (accuracy.low, step.high) == (-0.001, 100)
    assert set(step.values.values()) == {-100.0}


def test_a_censored_early_stop_has_no_mean():
    censored = pairs([0.001]) | {9: (reached(censored=True), DENSE)}
    assert statements(censored, step_margin=100) is None


def test_the_smallest_ticket_that_is_shown_to_win_is_found():
    tests = winning_tests(
        {
            0.5: pairs([0.002, 0.003]),
            0.2: pairs([0.001, 0.003]),
            0.1: pairs([0.03, -0.03]),
            0.05: pairs([-0.01, -0.012]),
        },
        step_margin=100,
    )
    assert [test.density for test in tests] == [0.5, 0.2, 0.1, 0.05]
    assert [test.wins for test in tests] == [True, True, False, False]
    assert tests[3].loses
    smallest = smallest_winning(tests)
    assert smallest.density == 0.2
    assert "wins in 8 of 8 seeds (63–100 %); not inferior on average, p = " in confidence(
        smallest
    )


def test_a_late_early_stop_loses_however_accurate():
    (test,) = winning_tests({0.5: pairs([0.02, 0.03], step=1200)}, step_margin=100)
    assert (test.num_wins, test.wins) == (0, False)
    assert test.loses
    assert smallest_winning([test]) is None


def test_few_seeds_are_described_without_a_verdict():
    family = {0.5: pairs([0.002], num=4), 0.2: pairs([0.001], num=4)}
    smallest = smallest_winning(winning_tests(family, step_margin=9))
    assert smallest.density == 0.2
    assert not smallest.wins
    assert confidence(smallest) == (
        "wins in 4 of 4 seeds (40–100 %); not enough seeds for a verdict, which needs 8"
    )


def test_winning_in_all_of_three_seeds_or_at_a_lone_density_says_nothing():
    three = {0.5: pairs([0.002], num=3), 0.2: pairs([0.001], num=3)}
    assert smallest_winning(winning_tests(three, step_margin=9)) is None
    lone = {0.5: pairs([-1, 0.1], num=4), 0.2: pairs([0.001], num=4)}
    assert smallest_winning(winning_tests(lone, step_margin=9)) is None


def test_a_network_equal_to_the_dense_one_rarely_wins_in_every_seed():
    """Over 20 densities: .02 of experiments with 4 seeds, in benchmarks/verdicts.py."""
    rng, found = np.random.default_rng(0), 0
    for _ in range(100):
        drawn = rng.normal(0.98, 0.002, (21, 4))
        steps = 100 * rng.integers(5, 40, (21, 4))
        dense, *tickets = (
            [reached(a, s, kept=1000 if n == 0 else 100) for a, s in zip(*row, strict=True)]
            for n, row in enumerate(zip(drawn, steps, strict=True))
        )
        family = {
            1 / (n + 2): dict(enumerate(zip(ticket, dense, strict=True)))
            for n, ticket in enumerate(tickets)
        }
        found += smallest_winning(winning_tests(family, step_margin=100)) is not None
    assert found <= 7


def test_a_ticket_a_little_below_in_every_seed_is_not_inferior_and_does_not_win():
    (test,) = winning_tests({0.5: pairs([-0.0005])}, step_margin=100)
    assert (test.num_wins, test.not_inferior, test.wins) == (0, True, False)
    assert smallest_winning([test]) is None
    assert "wins in 0 of 8 seeds" in confidence(test)
    assert "; not inferior on average, p = 0.0039" in confidence(test)


def test_many_densities_say_how_many_seeds_they_need():
    family = {1 / (n + 2): pairs([0.001, 0.003]) for n in range(20)}
    tests = winning_tests(family, step_margin=100)
    assert not any(test.wins for test in tests)
    assert confidence(tests[0]).endswith("; 20 densities need 10 seeds for a verdict")
    more = {density: pairs([0.001, 0.003], num=10) for density in family}
    assert all(test.wins for test in winning_tests(more, step_margin=100))


def test_seeds_beyond_a_look_wait_for_the_next_one():
    (test,) = winning_tests({0.5: pairs([0.002], num=9)}, step_margin=100)
    assert test.num_seeds == 8


def test_a_censored_seed_beyond_the_look_waits():
    hidden = (reached(censored=True), DENSE)
    (test,) = winning_tests({0.5: pairs([0.002]) | {99: hidden}}, step_margin=100)
    assert (test.num_seeds, test.wins) == (8, True)


def test_censored_seeds_are_counted_as_unknown_and_never_averaged():
    hidden = (reached(step=1001), reached(censored=True, kept=1000))
    (test,) = winning_tests({0.5: pairs([0.002]) | {1: hidden}}, step_margin=100)
    assert (test.num_wins, test.num_unknown, test.p_value) == (7, 1, None)
    assert "1 unknown (early stop censored); no test of the mean" in confidence(test)


def test_more_densities_ask_for_smaller_p_values():
    def first(num):
        family = {1 / (n + 2): pairs([0.0, 0.003]) for n in range(num)}
        return winning_tests(family, step_margin=100)[0].p_value

    assert first(10) == pytest.approx(10 * first(1))


def test_a_density_without_a_pair_is_left_out():
    assert winning_tests({0.5: {}}, step_margin=100) == []
