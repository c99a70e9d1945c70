"""Test whether a ticket wins, by the definition of the original paper.

A ticket wins at a density if, at its minimum validation loss, its test accuracy a' is at
least the dense network's a, its step t' is at most the dense network's t, and it has
fewer parameters. Source: Frankle & Carbin 2019, arXiv:1803.03635, section 1.

The definition is read in two ways. *Per seed*: count the seeds in which all three
conditions hold literally, and give the exact interval of their share. *On average*: paired
over seeds, a' - a is typically not below ``-accuracy_margin``, and t' - t not above
``step_margin``. Both one-sided tests must succeed (so p is the larger of the two), and Holm
corrects over the densities. Margins are needed because no number of seeds can show ">=" if
two networks are equal. So tests alone show that a ticket is *not inferior*: it may be below
the dense network in every seed, by less than the margin. A ticket is shown to win if it is
not inferior on average and wins in more than half of the seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pipeline.core import sign_flips
from pipeline.core.decisions import Statement, evidence_against
from pipeline.core.looks import DEFAULT, Looks
from pipeline.core.statistics import holm, share_interval

ACCURACY_MARGIN = 0.001
"""loss of accuracy that still counts as equal: 10 of 10,000 test images"""
LEAST_DESCRIBED = 4
"""with fewer seeds, winning in all of them says nothing: a network equal to the dense one
does so at some of 20 densities in .9 / .5 / .2 of experiments with 1 / 2 / 3 seeds"""


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


Pair = tuple[Reached | None, Reached | None]
"""a ticket and the dense network of the same seed; None where the training diverged"""
Pairs = Mapping[int, Pair]
"""seed -> its pair"""


@dataclass(frozen=True, kw_only=True, slots=True)
class WinningTest:
    """Whether tickets of one density win."""

    density: float
    num_seeds: int
    """whose dense network trained, of those that the last look takes in; of all, before
    the first look"""
    num_wins: int
    num_unknown: int
    """number of seeds for which a censored early stop hides whether they win"""
    share: tuple[float, float]
    """interval of the share of seeds that win; unknown ones count as losses"""
    is_hidden: bool
    """whether an early stop is censored in the first look already: it has no mean"""
    p_value: float | None
    """p-value against being inferior on average, after Holm's correction; None before the
    first look, or if it is hidden"""
    p_loses: float | None
    """p-value against not being inferior on average, at this density alone"""
    looks: Looks
    num_densities: int = 1
    """for how many the correction is"""

    @property
    def not_inferior(self) -> bool:
        """Whether it is shown that they are not inferior on average."""
        return self.p_value is not None and self.p_value <= self.looks.level

    @property
    def loses(self) -> bool:
        """Whether it is shown that they are inferior on average."""
        return self.p_loses is not None and self.p_loses <= self.looks.level

    @property
    def wins(self) -> bool:
        """Whether winning is shown."""
        return self.not_inferior and 2 * self.num_wins > self.num_seeds

    @property
    def in_every_seed(self) -> bool:
        """Whether they win in every seed."""
        return self.num_wins == self.num_seeds


def seed_wins(ticket: Reached | None, dense: Reached) -> bool | None:
    """Whether a ticket wins in one seed; None if a censored early stop hides the answer.

    A ticket that diverged does not win.
    """
    if ticket is None:
        return False
    if ticket.accuracy < dense.accuracy or ticket.kept >= dense.kept:
        return False
    if ticket.step > dense.step:
        return None if dense.censored else False
    return None if ticket.censored else True


def statements(
    pairs: Pairs, *, accuracy_margin: float = ACCURACY_MARGIN, step_margin: float
) -> tuple[Statement, Statement] | None:
    """The statements that tickets win on average: accuracy not lower, early stop not later.

    Args:
        pairs: one per seed; those in which a training diverged have no part.
        accuracy_margin: how much less accuracy still counts as equal.
        step_margin: how many steps later still counts as equal; steps between two
            evaluations cannot be told apart.

    Returns:
        The statement about accuracy and the one about steps; None if a pair is one of
        ``untestable``.
    """
    if untestable(pairs):
        return None
    known = {seed: (a, b) for seed, (a, b) in pairs.items() if a and b}
    accuracy = {seed: a.accuracy - b.accuracy for seed, (a, b) in known.items()}
    step = {seed: float(a.step - b.step) for seed, (a, b) in known.items()}
    return (
        Statement(values=accuracy, low=-accuracy_margin),
        Statement(values=step, high=step_margin),
    )


def untestable(pairs: Pairs) -> frozenset[int]:
    """The seeds whose pairs have no place in a mean.

    An early stop is censored, or the ticket keeps as many weights as the dense network.
    """
    return frozenset(
        seed
        for seed, (a, b) in pairs.items()
        if a and b and (a.censored or b.censored or a.kept >= b.kept)
    )


def winning_tests(
    pairs: Mapping[float, Pairs], *, step_margin: float, looks: Looks = DEFAULT
) -> list[WinningTest]:
    """Test the tickets of one chain at every density.

    Args:
        pairs: density -> one pair per seed; Holm corrects for the number of densities.
        step_margin: steps between two evaluations.
        looks: at which numbers of seeds; the last one counts that is reached before a seed
            whose early stop is censored.

    Returns:
        One test per density, from the densest to the sparsest.
    """
    found = [
        _test(density, pairs[density], step_margin, looks)
        for density in sorted(pairs, reverse=True)
        if any(all(pair) for pair in pairs[density].values())
    ]
    known = [n for n, test in enumerate(found) if test.p_value is not None]
    adjusted = holm([found[n].p_value or 0.0 for n in known])
    for n, p_value in zip(known, adjusted, strict=True):
        found[n] = replace(found[n], p_value=p_value, num_densities=len(known))
    return found


def smallest_winning(tests: Sequence[WinningTest]) -> WinningTest | None:
    """The sparsest ticket that is shown to win, else the sparsest that wins in every seed.

    The latter is a description. It is taken only if there are LEAST_DESCRIBED seeds and the
    next denser tickets win in every seed as well, because one of many densities wins by
    chance.

    Args:
        tests: of neighbouring rounds, from the densest to the sparsest.
    """
    shown = [test for test in tests if test.wins]
    described = [
        test
        for denser, test in pairwise(tests)
        if test.in_every_seed
        and denser.in_every_seed
        and min(test.num_seeds, denser.num_seeds) >= LEAST_DESCRIBED
    ]
    return min(shown or described, key=lambda test: test.density, default=None)


def confidence(test: WinningTest) -> str:
    """Say in words how sure it is that these tickets win."""
    low, high = (round(100 * bound) for bound in test.share)
    seeds = f"wins in {test.num_wins} of {test.num_seeds} seeds ({low}–{high} %)"
    if test.num_unknown:
        seeds += f", {test.num_unknown} unknown (early stop censored)"
    return f"{seeds}; {_on_average(test)}"


def _on_average(test: WinningTest) -> str:
    needed = sign_flips.least_values(test.looks.level, test.num_densities)
    if test.is_hidden:
        return "no test of the mean: an early stop is censored"
    if test.p_value is None:
        return f"not enough seeds for a verdict, which needs {test.looks.first}"
    if test.not_inferior:
        return f"not inferior on average, p = {test.p_value:.2g} after Holm"
    if not test.looks.open and needed > test.num_seeds:
        return f"{test.num_densities} densities need {needed} seeds for a verdict"
    return f"on average not shown, p = {test.p_value:.2g} after Holm"


def _test(density: float, pairs: Pairs, step_margin: float, looks: Looks) -> WinningTest:
    every = sorted(pairs)
    judged = looks.reached_before(untestable(pairs), every)
    reached = judged or looks.reached(len(every))
    seeds = every[: reached[-1]] if reached else every
    wins = {n: seed_wins(a, b) for n, (a, b) in pairs.items() if b and n in seeds}
    num_wins = sum(won is True for won in wins.values())
    p_value = p_loses = None
    if judged:
        both = statements({seed: pairs[seed] for seed in seeds}, step_margin=step_margin)
        assert both is not None, "none of these seeds is untestable"
        above = evidence_against(looks)
        p_value = max(one.p_inside(seeds, above) for one in both)
        p_loses = min(1.0, 2 * min(one.p_outside(seeds, above) for one in both))
    return WinningTest(
        density=density,
        num_seeds=len(wins),
        num_wins=num_wins,
        num_unknown=sum(won is None for won in wins.values()),
        share=share_interval(num_wins, len(wins)),
        is_hidden=bool(reached) and not judged,
        p_value=p_value,
        p_loses=p_loses,
        looks=looks,
    )
