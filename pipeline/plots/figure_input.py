"""The input of every figure: tracked results, and published numbers to mark."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipeline.results.tables import Row
from pipeline.tracking import TrackedStore


@dataclass(frozen=True, kw_only=True, slots=True)
class FigureInput:
    """The input of a figure, for one experiment or for one of its tasks."""

    store: TrackedStore
    published: tuple[Row, ...] = ()
    """rows of ``pipeline.compare.published``: claims about protocols that were run"""
    untrained: frozenset[str] = frozenset()
    """tasks of ``pipeline.compare.untrained``: their dense network did not train"""

    @property
    def tasks(self) -> list[str]:
        """The tasks, in the order of the store."""
        return list(dict.fromkeys(row["task"] for row in self.store.rounds))

    def settings(self, task: str, variant: str) -> Mapping[str, str]:
        """The settings behind a variant's results; empty if the store has none."""
        return self.store.settings.get((task, variant), {})

    def of_task(self, task: str) -> "FigureInput":
        """The same with the rows of one task only."""

        def mine(rows: tuple[Row, ...]) -> tuple[Row, ...]:
            return tuple(row for row in rows if row["task"] == task)

        store = self.store
        part = replace(
            store,
            rounds=mine(store.rounds),
            layers=mine(store.layers),
            curves=mine(store.curves),
            measures=mine(store.measures),
            lines=mine(store.lines),
            barriers=mine(store.barriers),
            approximations=mine(store.approximations),
        )
        return replace(self, store=part, published=mine(self.published))
