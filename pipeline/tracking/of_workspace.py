"""Tables of a workspace's result files, with the columns that a store gives."""

from pathlib import Path

from pipeline.artifacts.parquet import load_curves
from pipeline.config import params
from pipeline.plan import compiler
from pipeline.results.tables import RoundResult, Row, cost_before, round_results, rows
from pipeline.tracking.timing import seconds

IDENTITY = ("task", "variant", "seed", "round")


def rounds_of(root: Path) -> list[Row]:
    """One row per task, variant, seed and round of the plan that has a result."""
    results = _results(root)
    return [
        row
        | {
            "seconds": seconds(root, result),
            "find_seconds": cost_before(result, lambda one: seconds(root, one)),
        }
        for row, result in zip(rows(results), results, strict=True)
    ]


def curves_of(root: Path) -> list[Row]:
    """One row per evaluation of each split in these trainings."""
    found = []
    for result, row in zip(results := _results(root), rows(results), strict=True):
        head = {name: row[name] for name in (*IDENTITY, "density")}
        table = load_curves(result.folder / "curves.parquet").to_pylist()
        found += [head | one for one in table if one["seed"] == result.seed]
    return found


def _results(root: Path) -> list[RoundResult]:
    return round_results(root, compiler.active(params.load(root)))
