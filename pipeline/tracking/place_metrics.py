"""Turn the result of an analysis at one place into MLflow metrics.

A fact is logged once per pair below ``pair0/``, ``pair1/`` …, and as the mean over pairs
under its plain name. A line is logged as ``line0/error`` and ``line0/loss``, at step =
number of the point. Values with recalibrated statistics have that word before the name.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from statistics import fmean
from types import MappingProxyType
from typing import Any

from pipeline.tracking.analyses import PlaceResult
from pipeline.tracking.round_metrics import MetricValue
from pipeline.tracking.timing import Timing

PREFIXES: Mapping[str, str] = MappingProxyType(
    {"interpolated": "", "recalibrated": "recalibrated_"}
)
"""kind of the statistics of norms -> prefix of a metric's name"""
BARRIERS = ("error_barrier", "loss_barrier", "error_a", "error_b")
"""facts of one line; the errors are those of its ends"""
GEOMETRY = ("distance", "sign_changes", "mask_overlap", "mask_overlap_by_chance")
"""facts of two networks, however they are evaluated"""
LINE_COLUMNS = ("error", "loss")
"""values at each point of a line"""


def pair_name(pair: int, name: str) -> str:
    """The metric of one pair's fact."""
    return f"pair{pair}/{name}"


def line_name(pair: int, name: str) -> str:
    """The metric of one pair's line."""
    return f"line{pair}/{name}"


def place_metrics(place: PlaceResult, timing: Timing) -> list[MetricValue]:
    """The facts of a place: at step = round, of the dense network at the place's step.

    Unknown facts, such as the barrier of a pair that diverged, are left out, also from
    the mean.
    """
    values: dict[str, float | None] = {"density": place.density, "round": place.round}
    by_name: dict[str, list[float]] = defaultdict(list)
    for pair, facts in place.pairs.items():
        for name, value in _pair_values(facts).items():
            if value is not None and math.isfinite(value):
                by_name[name].append(value)
                values[pair_name(pair, name)] = value
    values |= {name: fmean(known) for name, known in by_name.items()}
    step = place.step if place.of_dense else place.round
    return [
        MetricValue(name=name, value=float(value), timestamp=timing.ended, step=step)
        for name, value in values.items()
        if value is not None
    ]


def line_metrics(place: PlaceResult, timing: Timing) -> Iterator[MetricValue]:
    """Error and loss along the lines, at step = number of the point, from 0."""
    numbers: dict[tuple[int, str], int] = defaultdict(int)
    for row in place.rows:
        line = row["pair"], row["statistics"]
        for name in LINE_COLUMNS:
            if row[name] is not None and math.isfinite(row[name]):
                yield MetricValue(
                    name=line_name(row["pair"], PREFIXES[row["statistics"]] + name),
                    value=row[name],
                    timestamp=timing.ended,
                    step=numbers[line],
                )
        numbers[line] += 1


def _pair_values(facts: Mapping[str, Any]) -> dict[str, float | None]:
    values: dict[str, float | None] = {name: facts[name] for name in GEOMETRY}
    for statistics, barriers in facts["statistics"].items():
        ends = dict(zip(("error_a", "error_b"), barriers["errors"], strict=True))
        for name in BARRIERS:
            values[PREFIXES[statistics] + name] = (barriers | ends)[name]
    for name in ("traveled", "sign_changes_from_start"):
        for end, value in zip("ab", facts[name] or (), strict=False):
            values[f"{name}_{end}"] = value
    for end, units in zip("ab", facts["dead_units"], strict=True):
        values[f"dead_units_{end}"] = sum(units.values())
    return values
