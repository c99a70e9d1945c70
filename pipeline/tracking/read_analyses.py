"""Read tables of analyses back from an MLflow store: barriers, and points on lines."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.artifacts.paths import DENSE
from pipeline.core.analysis.interpolation import evenly_spaced
from pipeline.results.tables import Row
from pipeline.tracking.distinct_names import distinct_names, settings_of
from pipeline.tracking.place_metrics import (
    BARRIERS,
    GEOMETRY,
    LINE_COLUMNS,
    PREFIXES,
    line_name,
    pair_name,
)
from pipeline.tracking.runs import Tree
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
    analyses: Sequence[Tree],
    variants: Collection[str] | None,
    *,
    lines: bool,
) -> AnalysisTables:
    """Read analyses, ordered by task, analysis, seed, round, step, pair.

    Args:
        client: of the store.
        analyses: runs of analyses with the runs of their places.
        variants: only analyses of these or of the dense network; None = all.
        lines: whether to read the points, which takes a request per line and column.
    """
    kept = None if variants is None else {*variants, DENSE}
    wanted = [t for t in analyses if kept is None or t.run.data.tags["of"] in kept]
    names = distinct_names([tree.run for tree in wanted], "analysis")
    points: list[Row] = []
    barriers: list[Row] = []
    children = [(child, tree.run) for tree in wanted for child in tree.children]
    for child, parent in sorted(children, key=_order):
        for row in _rows(child, parent, names[parent.info.run_id]):
            barriers.append(row | _facts(child, row))
            points += _line(client, child, row) if lines else []
    return AnalysisTables(
        lines=tuple(points),
        barriers=tuple(barriers),
        settings={
            (tree.run.data.tags["task"], names[tree.run.info.run_id]): settings_of(tree.run)
            for tree in wanted
        },
    )


def _order(pair: tuple["Run", "Run"]) -> tuple[str, str, int, int, int, str]:
    child, parent = pair
    tags, of = child.data.tags, parent.data.tags
    numbers = int(of["seed"]), int(tags["round"]), int(tags["step"])
    return of["task"], of["analysis"], *numbers, parent.info.run_id


def _rows(child: "Run", parent: "Run", name: str) -> Iterator[Row]:
    """The columns that both tables have, per pair and kind of statistics."""
    tags, of = child.data.tags, parent.data.tags
    for pair in range(int(tags["pairs"])):
        for statistics in tags["statistics"].split(", "):
            yield {
                "task": of["task"],
                "analysis": name,
                "kind": of["asks"],
                "of": of["of"],
                "to": of.get("to"),
                "round": int(tags["round"]),
                "step": int(tags["step"]),
                "density": child.data.metrics["density"],
                "seed": int(of["seed"]),
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
