"""Winning tickets are found by the definition of the paper."""

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


def pairs(differences, *, step=900, num=6):
    """Tickets that differ from the dense network by these accuracies, in turn."""
    found = [reached(0.98 + differences[n % len(differences)], step) for n in range(num)]
    return [(ticket, DENSE) for ticket in found]


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
    assert accuracy.values == pytest.approx([0.001, 0.003] * 3)
    assert (accuracy.low, step.high) == (-0.001, 100)
    assert step.values == (-100.0,) * 6


def test_a_censored_early_stop_has_no_mean():
    censored = [*pairs([0.001]), (reached(censored=True), DENSE)]
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
    assert tests[3].p_loses < 0.001
    smallest = smallest_winning(tests)
    assert smallest.density == 0.2
    assert "wins in 6 of 6 seeds (54–100 %); on average shown, p = " in confidence(smallest)


def test_a_late_early_stop_loses_however_accurate():
    (test,) = winning_tests({0.5: pairs([0.02, 0.03], step=1200)}, step_margin=100)
    assert (test.num_wins, test.wins) == (0, False)
    assert test.p_loses == 0
    assert smallest_winning([test]) is None


def test_few_seeds_are_described_without_a_verdict():
    tests = winning_tests(
        {0.5: pairs([0.002], num=3), 0.2: pairs([0.001, -1], num=3)}, step_margin=9
    )
    smallest = smallest_winning(tests)
    assert smallest.density == 0.5
    assert not smallest.wins
    assert confidence(smallest) == (
        "wins in 3 of 3 seeds (29–100 %); not enough seeds for a verdict"
    )


def test_censored_seeds_are_counted_as_unknown_and_never_averaged():
    hidden = (reached(step=1001), reached(censored=True, kept=1000))
    (test,) = winning_tests({0.5: [*pairs([0.002]), hidden]}, step_margin=100)
    assert (test.num_wins, test.num_unknown, test.p_value) == (6, 1, None)
    assert "1 unknown (early stop censored); no test of the mean" in confidence(test)


def test_more_densities_ask_for_smaller_p_values():
    def first(num):
        family = {1 / (n + 2): pairs([0.0, 0.003]) for n in range(num)}
        return winning_tests(family, step_margin=100)[0].p_value

    assert first(10) == pytest.approx(10 * first(1))


def test_a_density_without_a_pair_is_left_out():
    assert winning_tests({0.5: []}, step_margin=100) == []
