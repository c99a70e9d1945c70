"""Tracked store -> figures, and beside each figure a tidy CSV of what it shows."""

import csv
import io
from collections.abc import Collection, Sequence
from pathlib import Path
from types import MappingProxyType

from pipeline.artifacts import atomic
from pipeline.errors import UserError
from pipeline.plots import comparisons, details
from pipeline.plots.style import FORMATS, Drawn, drawing, save
from pipeline.tables import Row
from pipeline.tracking import TrackedStore

FIGURES = MappingProxyType(
    {
        "test_accuracy": comparisons.test_accuracy,
        "test_accuracy_early_stop": comparisons.test_accuracy_early_stop,
        "early_stop_step": comparisons.early_stop_step,
        "validation_curves": details.validation_curves,
        "layer_density": details.layer_density,
    }
)
"""name -> function of the rows of one task; also the file's name"""


class PlotError(UserError):
    """Nothing can be drawn; one line that says why and what there is."""


def draw(
    store: TrackedStore,
    *,
    out: Path,
    figures: Collection[str] | None = None,
    format: str = "png",
) -> list[Path]:
    """Draw figures of every task in the store.

    The same store and versions give the same bytes.

    Args:
        store: as ``pipeline.tracking.read`` gives it.
        out: folder for the files, made if there is none.
        figures: names from ``FIGURES``; None = all.
        format: png, svg or pdf.

    Returns:
        The figures' files: ``NAME.FORMAT``, or ``NAME-TASK.FORMAT`` where the store has
        several tasks. Beside each lies a CSV of that name.

    Raises:
        PlotError: an unknown figure or format, or an empty store.
    """
    names = _known_names(figures)
    if format not in FORMATS:
        raise PlotError(f"no format {format!r}; there is {', '.join(FORMATS)}")
    tasks = list(dict.fromkeys(row["task"] for row in store.rounds))
    if not tasks:
        raise PlotError(
            f"experiment {store.experiment!r} holds no results; "
            "run `dvc repro`, or `lt-pipeline track` if results are there"
        )
    files = []
    for task in tasks:
        part = _of_task(store, task)
        suffix = f"-{task}" if len(tasks) > 1 else ""
        for name in names:
            with drawing():
                drawn: Drawn = FIGURES[name](part)
                files.append(out / f"{name}{suffix}.{format}")
                save(drawn.figure, files[-1])
            _save_csv(out / f"{name}{suffix}.csv", drawn.table)
    return files


def _known_names(figures: Collection[str] | None) -> list[str]:
    unknown = sorted(set(figures or ()) - set(FIGURES))
    if unknown:
        raise PlotError(f"no figure {', '.join(unknown)}; there is {', '.join(FIGURES)}")
    return [name for name in FIGURES if figures is None or name in figures]


def _of_task(store: TrackedStore, task: str) -> TrackedStore:
    return TrackedStore(
        experiment=store.experiment,
        rounds=tuple(row for row in store.rounds if row["task"] == task),
        layers=tuple(row for row in store.layers if row["task"] == task),
        curves=tuple(row for row in store.curves if row["task"] == task),
    )


def _save_csv(path: Path, table: Sequence[Row]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]) if table else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    with atomic(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
