"""Tracked store -> figures, and beside each figure a tidy CSV of what it shows."""

import csv
import io
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pipeline.artifacts.files import atomic
from pipeline.border.errors import UserError
from pipeline.plots import (
    barriers,
    comparisons,
    cost,
    criteria,
    details,
    interpolation,
    protocols,
)
from pipeline.plots.shown import Shown
from pipeline.plots.style import FORMATS, Drawn, drawing, save
from pipeline.results.tables import Row
from pipeline.tracking import TrackedStore


@dataclass(frozen=True, slots=True)
class Figure:
    """How a figure is made."""

    draw: Callable[[Shown], Drawn | None]
    """None where there is nothing to show"""
    needs: str
    """what must be in the store, in words"""
    together: bool = False
    """of all tasks at once, instead of one figure per task"""


ROUNDS = "pruning rounds"
FIGURES = MappingProxyType(
    {
        "test_accuracy": Figure(comparisons.test_accuracy, ROUNDS),
        "test_accuracy_early_stop": Figure(comparisons.test_accuracy_early_stop, ROUNDS),
        "early_stop_step": Figure(comparisons.early_stop_step, ROUNDS),
        "validation_curves": Figure(details.validation_curves, "learning curves"),
        "layer_density": Figure(details.layer_density, ROUNDS),
        "criteria": Figure(
            criteria.criteria, f"{criteria.LEAST} or more variants of one task"
        ),
        "interpolation": Figure(
            interpolation.interpolation, "an entry under analyses in params.yaml"
        ),
        "error_barrier": Figure(
            barriers.error_barrier, "an entry under analyses in params.yaml"
        ),
        "mask_overlap": Figure(
            barriers.mask_overlap, "a connection of different masks under analyses"
        ),
        "protocols": Figure(
            protocols.protocols, "two tasks with the same variant", together=True
        ),
        "cost": Figure(cost.cost, "results with their costs", together=True),
    }
)
"""name, also of the file -> how it is made"""


class PlotError(UserError):
    """Nothing can be drawn; one line that says why and what there is."""


def draw(
    store: TrackedStore,
    *,
    out: Path,
    figures: Collection[str] | None = None,
    format: str = "png",
    published: Sequence[Row] = (),
    untrained: Collection[str] = (),
) -> list[Path]:
    """Draw figures of every task in the store, and those of all tasks together.

    The same store and versions give the same bytes.

    Args:
        store: as ``pipeline.tracking.read`` gives it.
        out: folder for the files, made if there is none.
        figures: names from ``FIGURES``; None = all that the store has something for.
        format: png, svg or pdf.
        published: numbers to mark, as ``pipeline.compare.published`` finds them.
        untrained: tasks whose dense network did not train, as
            ``pipeline.compare.untrained`` finds them: no ticket wins against it.

    Returns:
        The figures' files: ``NAME.FORMAT``, or ``NAME-TASK.FORMAT`` where the store has
        several tasks. Beside each lies a CSV of that name.

    Raises:
        PlotError: an unknown figure or format, an empty store, or nothing to show in a
            figure that was asked for; then nothing is written.
    """
    names = _known_names(figures)
    if format not in FORMATS:
        raise PlotError(f"no format {format!r}; there is {', '.join(FORMATS)}")
    shown = Shown(store=store, published=tuple(published), untrained=frozenset(untrained))
    if not shown.tasks:
        raise PlotError(
            f"experiment {store.experiment!r} holds no results; "
            "run `dvc repro`, or `lt-pipeline track` if results are there"
        )
    files = []
    with drawing():
        drawn = {name: dict(_drawn(shown, name)) for name in names}
        for name in names if figures else ():
            if not drawn[name]:
                raise PlotError(
                    f"nothing to show in {name}: experiment {store.experiment!r} has no "
                    f"{FIGURES[name].needs}"
                )
        for stem, one in ((s, d) for found in drawn.values() for s, d in found.items()):
            files.append(out / f"{stem}.{format}")
            save(one.figure, files[-1])
            _save_csv(out / f"{stem}.csv", one.table)
    return files


def _drawn(shown: Shown, name: str) -> Iterator[tuple[str, Drawn]]:
    """File name without suffix, and what goes there."""
    figure = FIGURES[name]
    whole = figure.together or len(shown.tasks) == 1
    parts = (
        {name: shown} if whole else {f"{name}-{t}": shown.of_task(t) for t in shown.tasks}
    )
    for stem, part in parts.items():
        drawn = figure.draw(part)
        if drawn is not None:
            yield stem, drawn


def _known_names(figures: Collection[str] | None) -> list[str]:
    unknown = sorted(set(figures or ()) - set(FIGURES))
    if unknown:
        raise PlotError(f"no figure {', '.join(unknown)}; there is {', '.join(FIGURES)}")
    return [name for name in FIGURES if figures is None or name in figures]


def _save_csv(path: Path, table: Sequence[Row]) -> None:
    text = io.StringIO()
    columns = list(dict.fromkeys(name for row in table for name in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    with atomic(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
