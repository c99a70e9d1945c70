"""Read the table of approximations back from an MLflow store."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from pipeline.artifacts.paths import DENSE
from pipeline.results.tables import Row
from pipeline.tracking.approximation_runs import FACTS, KIND
from pipeline.tracking.distinct_names import distinct_names, settings_of
from pipeline.tracking.runs import Tree

if TYPE_CHECKING:
    from mlflow.entities import Run


def read_approximations(
    found: Sequence[Tree], variants: Collection[str] | None
) -> tuple[Row, ...]:
    """One row per approximation, target and seed, in that order.

    Args:
        found: runs of approximations with the runs of their targets.
        variants: only approximations of these or of the dense network; None = all.
    """
    kept = None if variants is None else {*variants, DENSE}
    wanted = [t for t in found if kept is None or t.run.data.tags["of"] in kept]
    names = distinct_names([tree.run for tree in wanted], KIND)
    rows = [
        _row(child, tree.run, names[tree.run.info.run_id])
        for tree in wanted
        for child in tree.children
    ]
    return tuple(sorted(rows, key=_order))


def _order(row: Row) -> tuple[str, str, int, int]:
    return row["task"], row["approximation"], row["round"], row["seed"]


def _row(child: "Run", parent: "Run", name: str) -> Row:
    tags, metrics = child.data.tags, child.data.metrics
    asked = {
        n.removeprefix(f"{KIND}."): value
        for n, value in settings_of(parent).items()
        if n.startswith(f"{KIND}.")
    }
    return {
        "task": parent.data.tags["task"],
        "approximation": name,
        "of": parent.data.tags["of"],
        "construction": asked["construction"],
        "candidates": int(asked["candidates"]),
        "epsilon_asked": float(asked["epsilon"]),
        "round": int(tags["round"]),
        "density": metrics["density"],
        "seed": int(tags["seed"]),
        **{fact: metrics.get(fact) for fact in FACTS},
    }
