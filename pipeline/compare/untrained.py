"""Whether a network learned at all: what is compared with one that failed says nothing."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from pipeline.compare.claims import Book, load
from pipeline.results.tables import Row
from pipeline.tracking import TrackedStore


def untrained(store: TrackedStore, book: Book | None = None) -> dict[str, str]:
    """Tasks whose dense network did not train, each with the reason.

    Args:
        store: one experiment.
        book: of the protocols that ask for an accuracy; None = that of the package.
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
    """Why a network counts as not trained; empty where it does not.

    Args:
        rows: of one network, one per seed.
        needed: the least mean test accuracy of one that trained.
    """
    reached = [r["test_accuracy"] for r in rows if r["test_accuracy"] is not None]
    if len(reached) < len(rows) / 2 or not reached:
        return f"it diverged with {len(rows) - len(reached)} of {len(rows)} seeds"
    if fmean(reached) < needed:
        return f"its test accuracy is {fmean(reached):.1%}, {needed:.0%} are expected"
    return ""


def needed_accuracy(settings: Mapping[str, str], book: Book) -> float:
    """Dense accuracy that protocols of this model on this data ask for, the lowest.

    Args:
        settings: behind the dense network, as recorded.
        book: with the protocols.
    """
    names = ("data", "model.name")
    return min(
        (
            protocol.dense_accuracy
            for protocol in book.protocols.values()
            if all(protocol.settings[n] == settings.get(n) for n in names)
        ),
        default=0.0,
    )
