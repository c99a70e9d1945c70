"""Find tasks whose dense network did not train; comparisons with it mean nothing."""

from collections.abc import Sequence
from statistics import fmean

from pipeline.compare.claims import Book, load
from pipeline.compare.setups import Recorded, is_about
from pipeline.results.tables import Row
from pipeline.tracking import TrackedStore


def untrained(store: TrackedStore, book: Book | None = None) -> dict[str, str]:
    """Task -> the reason why its dense network counts as not trained.

    Args:
        store: of one experiment.
        book: with the accuracies that protocols need; None = that of the package.
    """
    book = book or load()
    reasons: dict[str, str] = {}
    for task in dict.fromkeys(row["task"] for row in store.rounds):
        mine = (s for (name, _), s in store.settings.items() if name == task)
        rows = {
            row["seed"]: row
            for row in store.rounds
            if row["task"] == task and not row["round"]
        }
        reason = failure(list(rows.values()), needed_accuracy(next(mine, {}), book))
        if reason:
            reasons[task] = reason
    return reasons


def failure(rows: Sequence[Row], needed: float) -> str:
    """The reason why a network counts as not trained; empty if it trained.

    Args:
        rows: of one network, one per seed; of one that was not run there is nothing to say.
        needed: least mean test accuracy of a trained network.
    """
    reached = [r["test_accuracy"] for r in rows if r["test_accuracy"] is not None]
    if not rows:
        return ""
    if len(reached) < len(rows) / 2 or not reached:
        return f"it diverged with {len(rows) - len(reached)} of {len(rows)} seeds"
    if fmean(reached) < needed:
        return f"its test accuracy is {fmean(reached):.1%}, {needed:.0%} are expected"
    return ""


def needed_accuracy(settings: Recorded, book: Book) -> float:
    """The lowest accuracy that protocols need of this model on this data.

    Args:
        settings: of the dense network, as the store holds them.
        book: with the protocols.
    """
    return min(
        (
            protocol.dense_accuracy
            for protocol in book.protocols.values()
            if is_about(settings, protocol.settings)
        ),
        default=0.0,
    )
