"""Draw figures of a tracked store; beside each lies a CSV of the numbers in it."""

import csv
import io
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pipeline.plots.backend  # noqa: F401 - before matplotlib is imported
from pipeline.artifacts.files import atomic
from pipeline.border.errors import UserError
from pipeline.core.registry import unknown
from pipeline.plots import (
    approximations,
    barriers,
    cost,
    criteria,
    density_curves,
    interpolation,
    layer_density,
    learning_curves,
    measures,
    protocols,
)
from pipeline.plots.figure_input import FigureInput
from pipeline.plots.style import FORMATS, Drawn, drawing, save
from pipeline.results.tables import Row
from pipeline.tracking import TrackedStore


@dataclass(frozen=True, slots=True)
class FigureKind:
    """How a figure is drawn, and which results it needs."""

    draw: Callable[[FigureInput], Drawn | None]
    """returns None if the store has nothing for this figure"""
    needs: str
    """the results that it needs, in words for an error message"""
    all_tasks: bool = False
    """whether one figure shows all tasks, instead of one figure per task"""


ROUNDS = "pruning rounds"
FIGURES = MappingProxyType(
    {
        "test_accuracy": FigureKind(density_curves.test_accuracy, ROUNDS),
        "test_accuracy_early_stop": FigureKind(
            density_curves.test_accuracy_early_stop, ROUNDS
        ),
        "test_loss": FigureKind(density_curves.test_loss, ROUNDS),
        "early_stop_step": FigureKind(density_curves.early_stop_step, ROUNDS),
        "delay": FigureKind(density_curves.delay, "rounds with train.evaluate_train: true"),
        "validation_curves": FigureKind(
            learning_curves.validation_curves, "learning curves"
        ),
        "measures": FigureKind(measures.measures, "rounds with train.measures"),
        "layer_density": FigureKind(layer_density.layer_density, ROUNDS),
        "criteria": FigureKind(
            criteria.criteria, f"{criteria.LEAST} or more variants of one task"
        ),
        "interpolation": FigureKind(
            interpolation.interpolation, "an entry under analyses in params.yaml"
        ),
        "error_barrier": FigureKind(
            barriers.error_barrier, "an entry under analyses in params.yaml"
        ),
        "mask_overlap": FigureKind(
            barriers.mask_overlap, "a connection of different masks under analyses"
        ),
        "approximation": FigureKind(
            approximations.approximation, "an entry under approximations in params.yaml"
        ),
        "protocols": FigureKind(
            protocols.protocols, "two tasks with the same variant", all_tasks=True
        ),
        "cost": FigureKind(cost.cost, "results with their costs", all_tasks=True),
    }
)
"""name of the figure and of its file -> how it is drawn"""


class PlotError(UserError):
    """A figure cannot be drawn; the message says why and what can be drawn."""


def draw(
    store: TrackedStore,
    *,
    out: Path,
    figures: Collection[str] | None = None,
    format: str = "png",
    published: Sequence[Row] = (),
    untrained: Collection[str] = (),
) -> list[Path]:
    """Draw the figures of every task in the store, and those that show all tasks.

    The same store and the same versions of the libraries give the same bytes.

    Args:
        store: as ``pipeline.tracking.read`` gives it.
        out: folder for the files; created if it does not exist.
        figures: names from ``FIGURES``; None = all for which the store has data.
        format: png, svg or pdf.
        published: published numbers to mark, from ``pipeline.compare.published``.
        untrained: tasks whose dense network did not train, from
            ``pipeline.compare.untrained``. No winning ticket is marked in them.

    Returns:
        The figures' files: ``NAME.FORMAT``, or ``NAME-TASK.FORMAT`` if the store has
        several tasks. Beside each lies a CSV of the same name.

    Raises:
        PlotError: a figure or format is unknown, the store is empty, or it has no data
            for a figure in ``figures``. Nothing is written then.
    """
    refuse_unknown(figures, format)
    names = [name for name in FIGURES if figures is None or name in figures]
    given = FigureInput(
        store=store, published=tuple(published), untrained=frozenset(untrained)
    )
    if not given.tasks:
        raise PlotError(
            f"experiment {store.experiment!r} holds no results; "
            "run `dvc repro`, or `lt-pipeline track` if results are there"
        )
    files = []
    with drawing():
        drawn = {name: dict(_drawn(given, name)) for name in names}
        for name in names if figures else ():
            if not drawn[name]:
                raise PlotError(
                    f"nothing to show in {name}: it needs {FIGURES[name].needs}, which "
                    f"experiment {store.experiment!r} does not have"
                )
        for stem, one in ((s, d) for found in drawn.values() for s, d in found.items()):
            files.append(out / f"{stem}.{format}")
            save(one.figure, files[-1])
            _save_csv(out / f"{stem}.csv", one.table)
    return files


def _drawn(given: FigureInput, name: str) -> Iterator[tuple[str, Drawn]]:
    """File name without suffix, and the figure to save there."""
    figure = FIGURES[name]
    whole = figure.all_tasks or len(given.tasks) == 1
    parts = (
        {name: given} if whole else {f"{name}-{t}": given.of_task(t) for t in given.tasks}
    )
    for stem, part in parts.items():
        drawn = figure.draw(part)
        if drawn is not None:
            yield stem, drawn


def refuse_unknown(figures: Collection[str] | None, format: str) -> None:
    """Refuse a figure or a format that there is not, before a store is read.

    Raises:
        PlotError: there is none of that name.
    """
    for name in sorted(set(figures or ()) - set(FIGURES)):
        raise PlotError(unknown(name, FIGURES, "figure"))
    if format not in FORMATS:
        raise PlotError(unknown(format, FORMATS, "format"))


def _save_csv(path: Path, table: Sequence[Row]) -> None:
    text = io.StringIO()
    columns = list(dict.fromkeys(name for row in table for name in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    with atomic(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
