"""What a figure is drawn from: tracked results, and the published numbers beside them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipeline.results.tables import Row
from pipeline.tracking import TrackedStore


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """Tables of one experiment, or of one of its tasks."""

    store: TrackedStore
    published: tuple[Row, ...] = ()
    """task, variant, metric, kind, against, density, value, source, where: as
    ``pipeline.compare`` finds them for the protocols that were run"""
    untrained: frozenset[str] = frozenset()
    """tasks whose dense network did not train, as ``pipeline.compare`` finds them"""

    @property
    def tasks(self) -> list[str]:
        """In order of the store."""
        return list(dict.fromkeys(row["task"] for row in self.store.rounds))

    def settings(self, task: str, variant: str) -> Mapping[str, str]:
        """Behind a variant's results; empty where the store does not say."""
        return self.store.settings.get((task, variant), {})

    def of_task(self, task: str) -> "Shown":
        """Only the rows of one task."""

        def mine(rows: tuple[Row, ...]) -> tuple[Row, ...]:
            return tuple(row for row in rows if row["task"] == task)

        store = self.store
        part = replace(
            store,
            rounds=mine(store.rounds),
            layers=mine(store.layers),
            curves=mine(store.curves),
            lines=mine(store.lines),
            barriers=mine(store.barriers),
        )
        return replace(self, store=part, published=mine(self.published))
