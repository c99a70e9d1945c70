"""Results as tidy pandas tables, from a workspace's files or from a tracked store."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.border.errors import UserError
from pipeline.config import params
from pipeline.results.tables import Row
from pipeline.tracking import TrackedStore, read
from pipeline.tracking.addresses import sqlite_uri
from pipeline.tracking.experiments import with_chains
from pipeline.tracking.of_workspace import curves_of, rounds_of
from pipeline.tracking.round_metrics import ROUND_METRICS

if TYPE_CHECKING:
    import pandas as pd

ROUND_COLUMNS = ("task", "variant", "seed", "round", *ROUND_METRICS)
CURVE_COLUMNS = (
    "task",
    "variant",
    "seed",
    "round",
    "density",
    "split",
    "step",
    "loss",
    "accuracy",
)


class SourceError(UserError):
    """There are no results at the source; the message says what to name instead."""


def load_rounds(
    source: str | Path = ".", *, experiment: str | None = None
) -> "pd.DataFrame":
    """One row per task, variant, seed and round.

    Args:
        source: the folder of a workspace, whose result files are read; or a store: a
            SQLite file or an address such as ``http://127.0.0.1:5000``.
        experiment: of the store; it may be left out if there is one only.

    Returns:
        Columns ``task, variant, seed, round`` and the numbers of the round. ``density``,
        accuracies and losses are plain numbers, not per cent; ``early_stop_step`` and
        ``steps`` are training steps, costs multiply-adds or seconds. Round 0 is the dense
        network, and stands in every variant. NaN where a value is unknown.

    Raises:
        SourceError: there is nothing at the source, or several experiments.
        TrackingError: the store cannot be used.
    """
    root = _workspace(source)
    rows = rounds_of(root) if root else _store(source, experiment, ()).rounds
    return _frame(rows, ROUND_COLUMNS)


def load_curves(
    source: str | Path = ".", *, experiment: str | None = None
) -> "pd.DataFrame":
    """One row per task, variant, seed, round, split and evaluated step.

    Args:
        source: as for ``load_rounds``.
        experiment: as for ``load_rounds``.

    Returns:
        Columns ``task, variant, seed, round, density, split, step, loss, accuracy``.
        ``split`` is validation or test.

    Raises:
        SourceError: there is nothing at the source, or several experiments.
        TrackingError: the store cannot be used.
    """
    root = _workspace(source)
    if root:
        return _frame(curves_of(root), CURVE_COLUMNS)
    rows = _store(source, experiment, ("validation", "test")).curves
    return _frame(rows, CURVE_COLUMNS)


def _workspace(source: str | Path) -> Path | None:
    """The folder of a workspace; None for a store."""
    if "://" in str(source) or Path(source).is_file():
        return None
    if not (Path(source) / params.FILE).is_file():
        raise SourceError(
            f"{source} is no workspace with a params.yaml and no store; name the folder "
            "of a clone, an mlflow.db, or an address such as http://127.0.0.1:5000"
        )
    return Path(source)


def _store(
    source: str | Path, experiment: str | None, curves: Sequence[str]
) -> TrackedStore:
    text = str(source)
    uri = text if "://" in text else sqlite_uri(Path(text).resolve())
    names = [experiment] if experiment else with_chains(uri)
    if len(names) != 1:
        listed = ", ".join(names) or "none"
        raise SourceError(f"name the experiment to read; the store has {listed}")
    return read(uri, names[0], curves=curves)


def _frame(rows: Sequence[Row], columns: Sequence[str]) -> "pd.DataFrame":
    import pandas as pd

    order = ["task", "variant", "seed", "round", "split", "step"]
    frame = pd.DataFrame.from_records(list(rows), columns=list(columns))
    by = [name for name in order if name in frame]
    for name in set(columns) - {"task", "variant", "split"}:
        frame[name] = pd.to_numeric(frame[name])
    return frame.sort_values(by, kind="stable", ignore_index=True)
