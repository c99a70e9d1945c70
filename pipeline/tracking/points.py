"""The numbers of a round as MLflow metrics: facts at step = round, curves at steps.

Those of an analysis are in ``line_points``.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.artifacts import files, paths
from pipeline.artifacts.files import load_curves
from pipeline.results.tables import Record, found_with, rows

FACTS = (
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
"""metrics of a round; the last four: of its training, and of all before it"""
LAYER = "layer_density/"
CURVE = "curve/"

WITHOUT_CLOCK = 1_577_836_800_000
"""ms, 2020-01-01: the time of the first one where the timing file is missing"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One value of one metric."""

    name: str
    value: float
    timestamp: int
    """ms since 1970, from the timing files: a point logged again is then dropped"""
    step: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """When a round ran, and how fast."""

    started: int
    """ms since 1970"""
    ended: int
    """ms since 1970"""
    timing: Mapping[str, Any]
    """the timing file; empty where there is none"""


def clock(root: Path, record: Record) -> Clock:
    """When the record's training ran; one second a round where no timing file is."""
    place = record.folder.relative_to(root / paths.FOLDER / "results")
    return clock_at(root, str(place), record.round)


def clock_at(root: Path, path: str, position: int) -> Clock:
    """When the trainings of a place ran; a second per position without a timing file."""
    file = root / paths.timing_at(path)
    if not file.exists():
        start = WITHOUT_CLOCK + 1000 * position
        return Clock(started=start, ended=start + 1000, timing={})
    timing = files.load_json(file)
    started, ended = (_milliseconds(timing[name]) for name in ("started", "ended"))
    return Clock(started=started, ended=ended, timing=timing)


def seconds(root: Path, record: Record) -> float:
    """How long the record's training took; NaN where no timing file is."""
    seeds = clock(root, record).timing.get("seeds", {})
    return float(seeds.get(str(record.seed), {}).get("seconds", math.nan))


def facts(root: Path, record: Record, clock: Clock) -> list[Point]:
    """What the round reached, at step = round; unknown values are left out.

    ``sparsity`` (1 - density) is there for its name: many look for that axis.

    Args:
        root: the folder with ``artifacts``.
        record: of the round.
        clock: of the record.
    """
    row = rows([record])[0]
    row["find_seconds"] = found_with(record, lambda one: seconds(root, one))
    values = {name: row.get(name) for name in FACTS}
    values["sparsity"] = 1 - row["density"]
    for layer, size in record.sizes.items():
        name = LAYER + layer.removesuffix(".weight")
        values[name] = record.facts["kept"][layer] / size
    values |= clock.timing.get("seeds", {}).get(str(record.seed), {})
    return [
        Point(name=name, value=float(v), timestamp=clock.ended, step=record.round)
        for name, v in values.items()
        if v is not None and math.isfinite(v)
    ]


def curves(record: Record, clock: Clock) -> list[Point]:
    """The learning curves of the round, at step = training step."""
    table = load_curves(record.folder / "curves.parquet").to_pylist()
    mine = [row for row in table if row["seed"] == record.seed]
    return list(_curve_points(mine, clock))


def _curve_points(curve: Sequence[dict[str, Any]], clock: Clock) -> Iterator[Point]:
    last = max((row["step"] for row in curve), default=0) or 1
    for row in curve:
        share = row["step"] / last
        at = clock.started + int(share * (clock.ended - clock.started))
        for kind in ("loss", "accuracy"):
            if row[kind] is not None and math.isfinite(row[kind]):
                name = f"{CURVE}{row['split']}_{kind}"
                yield Point(name=name, value=row[kind], timestamp=at, step=row["step"])


def _milliseconds(iso: str) -> int:
    return int(datetime.fromisoformat(iso).timestamp() * 1000)
