"""Turn the result of a round into MLflow metrics: its numbers and learning curves.

The metrics of analyses are made in ``place_metrics``.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts.parquet import load_curves
from pipeline.results.tables import OF_FITS, RoundResult, cost_before, rows
from pipeline.tracking.timing import Timing, seconds

ROUND_METRICS = (
    "density",
    "kept",
    "prunable",
    "test_accuracy",
    "test_accuracy_early_stop",
    "test_loss",
    "early_stop_step",
    "censored",
    "validation_loss",
    "validation_accuracy",
    "steps",
    "diverged",
    "multiply_adds",
    "find_multiply_adds",
    "seconds",
    "find_seconds",
)
"""metrics of a round; the last four are costs: ``find_`` stands before the cost of all
trainings that had to happen before it"""
LAYER = "layer_density/"
CURVE = "curve/"


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricValue:
    """One value of one MLflow metric."""

    name: str
    value: float
    timestamp: int
    """ms since 1970. It comes from the timing files, so that MLflow drops a value that
    is logged again."""
    step: int


def round_metrics(root: Path, result: RoundResult, timing: Timing) -> list[MetricValue]:
    """The numbers of a round, at step = round; unknown ones are left out.

    ``sparsity`` (1 - density) is logged too, because many readers look for that name, and
    ``round``, so that filters find it as a number.

    Args:
        root: the folder with ``artifacts``.
        result: of the round.
        timing: of the round.
    """
    row = rows([result])[0]
    row["find_seconds"] = cost_before(result, lambda one: seconds(root, one))
    values = {name: row.get(name) for name in ROUND_METRICS}
    values |= {name: row[name] for name in OF_FITS if name in row}
    values["sparsity"] = 1 - row["density"]
    values["round"] = result.round
    for layer, size in result.sizes.items():
        name = LAYER + layer.removesuffix(".weight")
        values[name] = result.facts["kept"][layer] / size
    values |= timing.of_seed(result.seed)
    return [
        MetricValue(name=name, value=float(v), timestamp=timing.ended, step=result.round)
        for name, v in values.items()
        if v is not None and math.isfinite(v)
    ]


def curve_metrics(result: RoundResult, timing: Timing) -> list[MetricValue]:
    """The learning curves of a round, at step = training step."""
    table = load_curves(result.folder / "curves.parquet").to_pylist()
    mine = [row for row in table if row["seed"] == result.seed]
    return list(_curve_values(mine, timing))


def _curve_values(curve: Sequence[dict[str, Any]], timing: Timing) -> Iterator[MetricValue]:
    last = max((row["step"] for row in curve), default=0) or 1
    for row in curve:
        share = row["step"] / last
        at = timing.started + int(share * (timing.ended - timing.started))
        for kind in ("loss", "accuracy"):
            if row[kind] is not None and math.isfinite(row[kind]):
                name = f"{CURVE}{row['split']}_{kind}"
                yield MetricValue(
                    name=name, value=row[kind], timestamp=at, step=row["step"]
                )
