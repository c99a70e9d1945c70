"""What an analysis saw at one place as MLflow metrics: facts, and the lines themselves.

A fact has the mean over pairs under its plain name and each pair's own below ``pair0/``,
``pair1/`` …; a line is ``line0/error`` and ``line0/loss``, step = number of the point.
What was evaluated with recalibrated statistics says so before the name.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from statistics import fmean
from types import MappingProxyType
from typing import Any

from pipeline.tracking.points import Clock, Point
from pipeline.tracking.studies import Look

PREFIXES: Mapping[str, str] = MappingProxyType(
    {"interpolated": "", "recalibrated": "recalibrated_"}
)
"""how the statistics of norms were made -> what stands before a metric's name"""
BARRIERS = ("error_barrier", "loss_barrier", "error_a", "error_b")
"""of one line; the errors are those of its ends"""
GEOMETRY = ("distance", "sign_changes", "mask_overlap", "mask_overlap_by_chance")
"""of two networks, however evaluated"""
SEEN = ("error", "loss")
"""at each point of a line"""


def pair_name(pair: int, name: str) -> str:
    """The metric of one pair's fact."""
    return f"pair{pair}/{name}"


def line_name(pair: int, name: str) -> str:
    """The metric of one pair's line."""
    return f"line{pair}/{name}"


def facts(look: Look, clock: Clock) -> list[Point]:
    """What was found, at step = round, or where the dense network's copies part.

    What is unknown, such as the barrier of a pair that diverged, is left out, also from
    the mean.
    """
    values: dict[str, float | None] = {"density": look.density}
    together: dict[str, list[float]] = defaultdict(list)
    for pair, found in look.pairs.items():
        for name, value in _of_pair(found).items():
            if value is not None and math.isfinite(value):
                together[name].append(value)
                values[pair_name(pair, name)] = value
    values |= {name: fmean(known) for name, known in together.items()}
    step = look.step if look.of_dense else look.round
    return [
        Point(name=name, value=float(value), timestamp=clock.ended, step=step)
        for name, value in values.items()
        if value is not None
    ]


def lines(look: Look, clock: Clock) -> Iterator[Point]:
    """Error and loss along the lines, at step = number of the point, from 0."""
    numbers: dict[tuple[int, str], int] = defaultdict(int)
    for row in look.rows:
        line = row["pair"], row["statistics"]
        for name in SEEN:
            if row[name] is not None and math.isfinite(row[name]):
                yield Point(
                    name=line_name(row["pair"], PREFIXES[row["statistics"]] + name),
                    value=row[name],
                    timestamp=clock.ended,
                    step=numbers[line],
                )
        numbers[line] += 1


def _of_pair(found: Mapping[str, Any]) -> dict[str, float | None]:
    values: dict[str, float | None] = {name: found[name] for name in GEOMETRY}
    for statistics, barriers in found["statistics"].items():
        ends = dict(zip(("error_a", "error_b"), barriers["errors"], strict=True))
        for name in BARRIERS:
            values[PREFIXES[statistics] + name] = (barriers | ends)[name]
    for name in ("traveled", "sign_changes_from_start"):
        for end, value in zip("ab", found[name] or (), strict=False):
            values[f"{name}_{end}"] = value
    for end, units in zip("ab", found["dead_units"], strict=True):
        values[f"dead_units_{end}"] = sum(units.values())
    return values
