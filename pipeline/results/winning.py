"""Tables of results -> the test of the winning-ticket definition."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.core import winning_tickets
from pipeline.core.policies import POLICIES
from pipeline.core.starts import STARTS
from pipeline.core.winning_tickets import Pair, Reached, WinningTest, winning_tests
from pipeline.results.tables import Row

NO_WINNER = "no density wins in every seed"
"""what is said where there is no Winner"""
NEEDED = ("test_accuracy_early_stop", "early_stop_step", "kept")


@dataclass(frozen=True, kw_only=True, slots=True)
class Winner:
    """The sparsest tickets of a variant that win."""

    density: float
    confidence: str
    """how sure it is, in words"""
    num_seeds: int
    shown: bool
    """by the test of the mean; else they win in every seed, which may be few"""


def are_tickets(to: str | None, pruned: str | None, schedule: str | None) -> bool:
    """Whether subnetworks with masks of their own are tickets.

    Args:
        to: ``rewind.to``, as recorded.
        pruned: ``rewind.pruned``; frozen weights are part of the network.
        schedule: ``prune.schedule``; no training began with a mask that changed on the way.
    """
    changes = schedule is not None and POLICIES[schedule].changes
    begins = to is not None and STARTS[to].ticket
    return begins and pruned == "zero" and not changes


def reached(row: Row) -> Reached | None:
    """What a row says of its early stop; None where the training diverged."""
    if row["diverged"] or any(row[name] is None for name in NEEDED):
        return None
    return Reached(
        accuracy=row["test_accuracy_early_stop"],
        step=row["early_stop_step"],
        censored=bool(row["censored"]),
        kept=row["kept"],
    )


def tests_of(rows: Sequence[Row], *, evaluate_every: int) -> list[WinningTest]:
    """Test every round of one variant against its dense network.

    Args:
        rows: of one task and variant, round 0 included, as ``tables.rows`` or a
            ``TrackedStore`` gives them.
        evaluate_every: steps between two evaluations, the margin of the early stop.

    Returns:
        From the densest to the sparsest; seeds that diverged, there or in the dense
        network, are left out.
    """
    dense = {row["seed"]: reached(row) for row in rows if not row["round"]}
    pairs: dict[float, list[Pair]] = {}
    for number in sorted({row["round"] for row in rows} - {0}):
        mine = [row for row in rows if row["round"] == number]
        density = sum(row["density"] for row in mine) / len(mine)
        pairs[density] = [
            (ticket, whole)
            for row in mine
            if (ticket := reached(row)) and (whole := dense.get(row["seed"]))
        ]
    return winning_tests(pairs, step_margin=evaluate_every)


def smallest_winning(rows: Sequence[Row], *, evaluate_every: int) -> Winner | None:
    """The smallest density of one variant that wins; None where none does.

    Args:
        rows: of one task and variant, as for ``tests_of``.
        evaluate_every: steps between two evaluations.
    """
    tests = tests_of(rows, evaluate_every=evaluate_every)
    smallest = winning_tickets.smallest_winning(tests)
    if smallest is None:
        return None
    return Winner(
        density=smallest.density,
        confidence=winning_tickets.confidence(smallest),
        num_seeds=smallest.num_seeds,
        shown=smallest.wins,
    )
