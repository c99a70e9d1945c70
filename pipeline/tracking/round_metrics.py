"""Turn the result of a round into MLflow metrics: its numbers and learning curves.

The metrics of analyses are made in ``place_metrics``.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.artifacts.parquet import load_curves
from pipeline.results.tables import OF_FITS, RoundResult, cost_before, rows
from pipeline.tracking.timing import Timing, seconds

TIMED = ("seconds", "find_seconds")
"""metrics of a round that come from timing files"""
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
    "collapsed_layers",
    "multiply_adds",
    "find_multiply_adds",
    *TIMED,
)
"""metrics of a round; the last four are costs: ``find_`` stands before the cost of all
trainings that had to happen before it"""
LAYER = "layer_density/"
CURVE = "curve/"
MEASURE = "measure/"


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
        parts = result.facts.get("kept_parts", {}).get(layer, ())
        for number, kept in enumerate(parts, 1):
            values[f"{name} {number} of {len(parts)}"] = kept * len(parts) / size
    values |= timing.of_seed(result.seed)
    return [
        MetricValue(name=name, value=float(v), timestamp=timing.ended, step=result.round)
        for name, v in values.items()
        if v is not None and math.isfinite(v)
    ]


def blanks(result: RoundResult, timing: Timing) -> list[MetricValue]:
    """NaN for what a round has no value of, as one that diverged has no accuracy.

    MLflow shows the newest value of each metric of a chain. Without these, values of the
    round before would stand beside the density of this one.
    """
    row = rows([result])[0]
    return [
        MetricValue(name=name, value=math.nan, timestamp=timing.ended, step=result.round)
        for name in (*ROUND_METRICS, *OF_FITS)
        if name in result.facts and row[name] is None
    ]


def curve_metrics(result: RoundResult, timing: Timing) -> list[MetricValue]:
    """The learning curves and measures of a round, at step = training step."""
    table = load_curves(result.folder / "curves.parquet").to_pylist()
    points = [
        (f"{CURVE}{row['split']}_{kind}", row["step"], row[kind])
        for row in table
        if row["seed"] == result.seed
        for kind in ("loss", "accuracy")
    ]
    points += [
        (f"{MEASURE}{name}", step, value)
        for name, found in result.facts.get("measures", {}).items()
        for step, value in zip(found["step"], found["value"], strict=True)
    ]
    return list(_over_time(points, timing))


def _over_time(
    points: Sequence[tuple[str, int, float | None]], timing: Timing
) -> Iterator[MetricValue]:
    """Name, step and value as metrics; those that are not finite are left out."""
    last = max((step for _, step, _ in points), default=0) or 1
    for name, step, value in points:
        if value is not None and math.isfinite(value):
            share = step / last
            at = timing.started + int(share * (timing.ended - timing.started))
            yield MetricValue(name=name, value=value, timestamp=at, step=step)
