"""Read tables of analyses back from an MLflow store: barriers, and points on lines."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.artifacts.paths import DENSE
from pipeline.core.analysis.interpolation import evenly_spaced
from pipeline.results.tables import Row
from pipeline.tracking.distinct_names import distinct_names
from pipeline.tracking.place_metrics import (
    BARRIERS,
    GEOMETRY,
    LINE_COLUMNS,
    PREFIXES,
    line_name,
    pair_name,
)
from pipeline.tracking.store import metric_history

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


@dataclass(frozen=True, kw_only=True, slots=True)
class AnalysisTables:
    """The tables of analyses in a ``TrackedStore``."""

    lines: tuple[Row, ...]
    barriers: tuple[Row, ...]
    settings: Mapping[tuple[str, str], Mapping[str, str]]
    """task, analysis -> the settings behind its results"""


def read_analyses(
    client: "MlflowClient",
    analyses: Sequence["Run"],
    places: Sequence["Run"],
    variants: Collection[str] | None,
    *,
    lines: bool,
) -> AnalysisTables:
    """Read analyses, ordered by task, analysis, seed, round, step, pair.

    Args:
        client: of the store.
        analyses: runs of analyses.
        places: their child runs.
        variants: only analyses of these or of the dense network; None = all.
        lines: whether to read the points, which takes a request per line and column.
    """
    kept = None if variants is None else {*variants, DENSE}
    wanted = [run for run in analyses if kept is None or run.data.tags["of"] in kept]
    names = distinct_names(wanted, "analysis")
    parents = {run.info.run_id: run for run in wanted}
    points: list[Row] = []
    barriers: list[Row] = []
    for child in sorted(places, key=_order):
        parent = parents.get(child.data.tags["mlflow.parentRunId"])
        if parent is None:
            continue
        for row in _rows(child, parent, names[parent.info.run_id]):
            barriers.append(row | _facts(child, row))
            points += _line(client, child, row) if lines else []
    return AnalysisTables(
        lines=tuple(points),
        barriers=tuple(barriers),
        settings={
            (run.data.tags["task"], names[run.info.run_id]): dict(run.data.params)
            for run in wanted
        },
    )


def _order(child: "Run") -> tuple[str, str, int, int, int, str]:
    tags = child.data.tags
    numbers = int(tags["seed"]), int(tags["round"]), int(tags["step"])
    return tags["task"], tags["analysis"], *numbers, tags["mlflow.parentRunId"]


def _rows(child: "Run", parent: "Run", name: str) -> Iterator[Row]:
    """The columns that both tables have, per pair and kind of statistics."""
    tags = child.data.tags
    for pair in range(int(tags["pairs"])):
        for statistics in tags["statistics"].split(", "):
            yield {
                "task": tags["task"],
                "analysis": name,
                "kind": parent.data.tags["asks"],
                "of": parent.data.tags["of"],
                "to": parent.data.tags.get("to"),
                "round": int(tags["round"]),
                "step": int(tags["step"]),
                "density": child.data.metrics["density"],
                "seed": int(tags["seed"]),
                "pair": pair,
                "statistics": statistics,
            }


def _facts(child: "Run", row: Row) -> Row:
    prefix = PREFIXES[row["statistics"]]
    names = {name: prefix + name for name in BARRIERS} | {name: name for name in GEOMETRY}
    metrics = child.data.metrics
    return {n: metrics.get(pair_name(row["pair"], m)) for n, m in names.items()}


def _line(client: "MlflowClient", child: "Run", row: Row) -> list[Row]:
    prefix = PREFIXES[row["statistics"]]
    columns = {
        name: metric_history(client, child, line_name(row["pair"], prefix + name))
        for name in LINE_COLUMNS
    }
    alphas = evenly_spaced(int(child.data.tags["points"])).tolist()
    return [
        row | {"alpha": alpha} | {name: columns[name].get(n) for name in LINE_COLUMNS}
        for n, alpha in enumerate(alphas)
    ]
