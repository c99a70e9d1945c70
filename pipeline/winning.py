"""Tables of results -> the test of the winning-ticket definition."""

from collections.abc import Sequence

from pipeline.core.winning_tickets import Pair, Reached, WinningTest, winning_tests
from pipeline.tables import Row

NEEDED = ("test_accuracy_early_stop", "early_stop_step", "kept")


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
