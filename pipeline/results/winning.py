"""Test the rounds of a variant for winning tickets, from the rows of its results."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.core import winning_tickets
from pipeline.core.looks import DEFAULT, Looks
from pipeline.core.policies import POLICIES
from pipeline.core.starts import STARTS
from pipeline.core.winning_tickets import Pair, Reached, WinningTest, winning_tests
from pipeline.results.tables import Row

NO_WINNER = "no density is shown to win"
"""the text if there is no Winner"""
NEEDED = ("test_accuracy_early_stop", "early_stop_step", "kept")


@dataclass(frozen=True, kw_only=True, slots=True)
class Winner:
    """The smallest density at which tickets of a variant win."""

    density: float
    confidence: str
    """how sure it is, in words"""
    num_seeds: int
    shown: bool
    """whether winning is shown; otherwise they win in every seed that there is"""


def are_tickets(to: str | None, pruned: str | None, schedule: str | None) -> bool:
    """Whether subnetworks with their own masks are tickets.

    Args:
        to: ``rewind.to``.
        pruned: ``rewind.pruned``; with frozen weights the network is not a subnetwork.
        schedule: ``prune.schedule``; if the mask changes during training, the training
            does not begin with it.
    """
    # A store may be read where the functions of the user's that it names are not.
    policy, start = POLICIES.get(schedule or ""), STARTS.get(to or "")
    changes = schedule is not None and (policy is None or policy.changes)
    begins = start is not None and start.ticket
    return begins and pruned == "zero" and not changes


def reached(row: Row) -> Reached | None:
    """The early stop in a row; None if the training diverged."""
    if row["diverged"] or any(row[name] is None for name in NEEDED):
        return None
    return Reached(
        accuracy=row["test_accuracy_early_stop"],
        step=row["early_stop_step"],
        censored=bool(row["censored"]),
        kept=row["kept"],
    )


def pairs_of(rows: Iterable[Row], dense: Iterable[Row]) -> dict[int, Pair]:
    """Seed -> its ticket and its dense network, None where the training diverged.

    Args:
        rows: of one round; of repetitions of a seed the last that did not diverge counts.
        dense: of the dense network, one per seed.
    """
    whole = {row["seed"]: reached(row) for row in dense}
    tickets: dict[int, Reached | None] = {}
    for row in rows:
        tickets[row["seed"]] = reached(row) or tickets.get(row["seed"])
    return {n: (one, whole[n]) for n, one in tickets.items() if n in whole}


def tests_of(
    rows: Sequence[Row], *, evaluate_every: int, looks: Looks
) -> list[WinningTest]:
    """Test every round of one variant against its dense network.

    Args:
        rows: of one task and variant, with round 0, from ``tables.rows`` or a
            ``TrackedStore``.
        evaluate_every: steps between two evaluations; the margin of the early stop.
        looks: at which numbers of seeds there may be a verdict.

    Returns:
        From the densest to the sparsest. A ticket that diverged does not win; seeds whose
        dense network did are left out.
    """
    dense = [row for row in rows if not row["round"]]
    pairs: dict[float, dict[int, Pair]] = {}
    for number in sorted({row["round"] for row in rows} - {0}):
        mine = [row for row in rows if row["round"] == number]
        density = sum(row["density"] for row in mine) / len(mine)
        pairs[density] = pairs_of(mine, dense)
    return winning_tests(pairs, step_margin=evaluate_every, looks=looks)


def smallest_winning(
    rows: Sequence[Row], *, evaluate_every: int, looks: Looks = DEFAULT
) -> Winner | None:
    """The smallest density at which a variant wins; None if it wins at none.

    Args:
        rows: of one task and variant, as for ``tests_of``.
        evaluate_every: steps between two evaluations.
        looks: at which numbers of seeds there may be a verdict.
    """
    tests = tests_of(rows, evaluate_every=evaluate_every, looks=looks)
    smallest = winning_tickets.smallest_winning(tests)
    if smallest is None:
        return None
    return Winner(
        density=smallest.density,
        confidence=winning_tickets.confidence(smallest),
        num_seeds=smallest.num_seeds,
        shown=smallest.wins,
    )
