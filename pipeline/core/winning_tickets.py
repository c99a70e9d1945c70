"""Test whether a ticket wins, by the definition of the original paper.

A ticket wins at a density if, at its minimum validation loss, its test accuracy a' is at
least the dense network's a, its step t' is at most the dense network's t, and it has
fewer parameters. Source: Frankle & Carbin 2019, arXiv:1803.03635, section 1.

The definition is read in two ways. *Per seed*: count the seeds in which all three
conditions hold literally, and give the exact interval of their share. *On average*:
paired over seeds, the mean of a' - a is not below ``-accuracy_margin``, and the mean of
t' - t is not above ``step_margin``. Both one-sided t tests must succeed (so p is the
larger of the two), and Holm corrects over the densities. Margins are needed because no
number of seeds can show ">=" if two networks are equal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.core.statistics import (
    ALPHA,
    MIN_SEEDS,
    Statement,
    holm,
    p_inside,
    p_outside,
    share_interval,
)

ACCURACY_MARGIN = 0.001
"""loss of accuracy that still counts as equal: 10 of 10,000 test images"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reached:
    """One seed's result at the minimum of its validation loss."""

    accuracy: float
    """test accuracy, a fraction"""
    step: int
    censored: bool
    """whether the minimum may lie beyond the end of training, so that ``step`` is a lower
    bound"""
    kept: int
    """number of weights that are not pruned"""


Pair = tuple[Reached, Reached]
"""a ticket and the dense network of the same seed"""


@dataclass(frozen=True, kw_only=True, slots=True)
class WinningTest:
    """Whether tickets of one density win."""

    density: float
    num_seeds: int
    num_wins: int
    num_unknown: int
    """number of seeds for which a censored early stop hides whether they win"""
    share: tuple[float, float]
    """interval of the share of seeds that win; unknown ones count as losses"""
    p_value: float | None
    """p-value of the test that tickets win on average, after Holm's correction; None
    with fewer than MIN_SEEDS seeds, or with a censored early stop, which has no mean"""
    p_loses: float | None
    """p-value of the test that they do not win on average, at this density alone"""

    @property
    def wins(self) -> bool:
        """Whether winning is shown."""
        return self.p_value is not None and self.p_value < ALPHA


def seed_wins(ticket: Reached, dense: Reached) -> bool | None:
    """Whether a ticket wins in one seed; None if a censored early stop hides the answer."""
    if ticket.accuracy < dense.accuracy or ticket.kept >= dense.kept:
        return False
    if ticket.step > dense.step:
        return None if dense.censored else False
    return None if ticket.censored else True


def statements(
    pairs: Sequence[Pair], *, accuracy_margin: float = ACCURACY_MARGIN, step_margin: float
) -> tuple[Statement, Statement] | None:
    """The statements that tickets win on average: accuracy not lower, early stop not later.

    Args:
        pairs: one per seed.
        accuracy_margin: how much less accuracy still counts as equal.
        step_margin: how many steps later still counts as equal; steps between two
            evaluations cannot be told apart.

    Returns:
        The statement about accuracy and the one about steps; None if an early stop is
        censored, or if the ticket keeps as many weights as the dense network.
    """
    if any(a.censored or b.censored or a.kept >= b.kept for a, b in pairs):
        return None
    accuracy = tuple(a.accuracy - b.accuracy for a, b in pairs)
    step = tuple(float(a.step - b.step) for a, b in pairs)
    return (
        Statement(values=accuracy, low=-accuracy_margin),
        Statement(values=step, high=step_margin),
    )


def winning_tests(
    pairs: Mapping[float, Sequence[Pair]], *, step_margin: float
) -> list[WinningTest]:
    """Test the tickets of one chain at every density.

    Args:
        pairs: density -> one pair per seed; Holm corrects for the number of densities.
        step_margin: steps between two evaluations.

    Returns:
        One test per density, from the densest to the sparsest.
    """
    found = [
        _test(density, pairs[density], step_margin)
        for density in sorted(pairs, reverse=True)
        if pairs[density]
    ]
    known = [n for n, test in enumerate(found) if test.p_value is not None]
    adjusted = holm([found[n].p_value or 0.0 for n in known])
    for n, p_value in zip(known, adjusted, strict=True):
        found[n] = replace(found[n], p_value=p_value)
    return found


def smallest_winning(tests: Sequence[WinningTest]) -> WinningTest | None:
    """The sparsest ticket that wins on average or else in every seed, or None."""
    shown = [test for test in tests if test.wins]
    in_all = [test for test in tests if test.num_wins == test.num_seeds]
    return min(shown or in_all, key=lambda test: test.density, default=None)


def confidence(test: WinningTest) -> str:
    """Say in words how sure it is that these tickets win."""
    low, high = (round(100 * bound) for bound in test.share)
    seeds = f"wins in {test.num_wins} of {test.num_seeds} seeds ({low}–{high} %)"
    if test.num_unknown:
        seeds += f", {test.num_unknown} unknown (early stop censored)"
    if test.num_seeds < MIN_SEEDS:
        return f"{seeds}; not enough seeds for a verdict"
    if test.p_value is None:
        return f"{seeds}; no test of the mean: an early stop is censored"
    shown = "shown" if test.wins else "not shown"
    return f"{seeds}; on average {shown}, p = {test.p_value:.2g} after Holm"


def _test(density: float, pairs: Sequence[Pair], step_margin: float) -> WinningTest:
    wins = [seed_wins(*pair) for pair in pairs]
    p_value = p_loses = None
    both = statements(pairs, step_margin=step_margin)
    if both is not None and len(pairs) >= MIN_SEEDS:
        p_value = max(map(p_inside, both))
        p_loses = min(1.0, 2 * min(map(p_outside, both)))
    return WinningTest(
        density=density,
        num_seeds=len(pairs),
        num_wins=wins.count(True),
        num_unknown=wins.count(None),
        share=share_interval(wins.count(True), len(pairs)),
        p_value=p_value,
        p_loses=p_loses,
    )
