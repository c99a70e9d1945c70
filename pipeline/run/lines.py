"""Look along lines between networks, pair by pair in worker processes.

A worker leaves what it has seen in ``.lt/lines``; the stage collects it.
"""

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.artifacts import files
from pipeline.config.analysis import PRUNED, Analysis
from pipeline.config.settings import Task, has_statistics, network_for
from pipeline.core import masks
from pipeline.core.arrays import Mask, Weights
from pipeline.core.batches import BatchOrder, Dataset
from pipeline.core.models.layers import Network
from pipeline.core.training.engine import Evaluation
from pipeline.run.checkpoints import InterruptedTraining
from pipeline.run.executors import preloads, processes
from pipeline.run.executors.processes import Report

if TYPE_CHECKING:
    from pipeline.core.analysis.interpolation import Line

Way = Callable[[Weights], Evaluation]
"""how a point on a line is evaluated"""

FOLDER = Path(".lt/lines")
RECALIBRATION = "recalibration"
"""the copy whose data order chooses the batches that make statistics anew"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ends:
    """Two networks, as files."""

    seed: int
    """of the first, and of both unless the other end is another seed"""
    pair: int
    round: int
    weights: tuple[Path, Path]
    masks: tuple[Path, Path]
    start: Path | None
    """where both began, if it is one place"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What lies between two networks."""

    ends: Ends
    rows: list[dict[str, Any]]
    """of lines.parquet"""
    facts: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class PairWork:
    """What one worker does: the lines between two networks."""

    folder: Path
    data: Path
    task: Task
    analysis: Analysis
    ends: Ends

    def run(
        self,
        report: Callable[[Report], None],  # noqa: ARG002 - every piece of work takes it
        stop: Callable[[], bool],
    ) -> None:
        """Evaluate every point on the test set and leave rows and facts."""
        import torch

        from pipeline.core.analysis.interpolation import along_line

        torch.set_num_threads(1)
        data = files.load_dataset(self.data)
        network = network_for(self.task, files.load_facts(self.data))
        ends = self.ends
        a, b = (files.load_arrays(file) for file in ends.weights)
        mask_a, mask_b = (files.load_arrays(file) for file in ends.masks)
        if self.analysis.to == PRUNED:
            b = masks.apply(b, mask_b)
        start = files.load_arrays(ends.start) if ends.start else None
        rows, barriers = [], {}
        for statistics, evaluate in self._ways(network, data).items():

            def look(weights: Weights, way: Way = evaluate) -> Evaluation:
                if stop():
                    raise InterruptedTraining
                return way(weights)

            line = along_line(a, b, look, num_points=self.analysis.points)
            barriers[statistics] = _barriers(line)
            rows += self._rows(statistics, line)
        facts = {"statistics": barriers} | _geometry(a, b, mask_a, mask_b, start)
        facts |= _dead(network, masks.connected(a, mask_a), masks.connected(b, mask_b))
        files.save_json(_file(self.folder, ends), {"rows": rows, "facts": facts})

    def _ways(self, network: Network, data: Dataset) -> dict[str, Way]:
        """By the statistics of norms: interpolated as all weights are, or made anew."""
        from pipeline.core.analysis.evaluation import evaluator, recalibrator

        evaluate = evaluator(network, data, data.test)
        batches = self.analysis.recalibration_batches
        if batches is None or not has_statistics(self.task):
            return {"interpolated": evaluate}
        order = BatchOrder(
            len(data.train),
            self.task.train.batch_size,
            seed=self.ends.seed,
            round=self.ends.round,
            copy=RECALIBRATION,
        )
        recalibrate = recalibrator(network, data, order.indices(0, batches))
        return {
            "interpolated": evaluate,
            "recalibrated": lambda weights: evaluate(recalibrate(weights)),
        }

    def _rows(self, statistics: str, line: "Line") -> list[dict[str, Any]]:
        place = {"seed": self.ends.seed, "pair": self.ends.pair, "statistics": statistics}
        columns = (line.alpha.tolist(), line.loss.tolist(), line.error.tolist())
        return [
            place | {"alpha": alpha, "loss": loss, "error": error}
            for alpha, loss, error in zip(*columns, strict=True)
        ]


def run(
    label: str,
    task: Task,
    analysis: Analysis,
    ends: Sequence[Ends],
    *,
    data: Path,
    at_once: int | None,
) -> list[Seen]:
    """Look between all pairs.

    Args:
        label: of the place; names the folder that workers write into.
        task: whose network.
        analysis: how many points, which statistics.
        ends: pairs of networks.
        data: the prepared data set.
        at_once: pairs side by side; None = as many as cores.

    Returns:
        One per pair, in the order given.
    """
    folder = FOLDER / label.replace("/", "-")
    works = [
        PairWork(folder=folder, data=data, task=task, analysis=analysis, ends=one)
        for one in ends
    ]
    try:
        processes.run_all(
            works,
            at_once=at_once or processes.available_cores(),
            preload=preloads.FORWARD,
            watch=lambda _: None,
        )
        left = [files.load_json(_file(folder, one)) for one in ends]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [Seen(ends=one, **found) for one, found in zip(ends, left, strict=True)]


def _file(folder: Path, ends: Ends) -> Path:
    return folder / f"s{ends.seed}-{ends.pair}.json"


def _barriers(line: "Line") -> dict[str, Any]:
    from pipeline.core.analysis.interpolation import STABLE_BELOW, error_barrier

    barrier = error_barrier(line.error)
    return {
        "error_barrier": barrier,
        "loss_barrier": error_barrier(line.loss),
        "errors": [float(line.error[0]), float(line.error[-1])],
        "stable": barrier < STABLE_BELOW if math.isfinite(barrier) else None,
    }


def _geometry(
    a: Weights, b: Weights, mask_a: Mask, mask_b: Mask, start: Weights | None
) -> dict[str, Any]:
    """Distances and signs; overlap where the masks differ, else null."""
    from pipeline.core.analysis import geometry

    either = {name: mask_a[name] | mask_b[name] for name in mask_a}
    both = {name: mask_a[name] & mask_b[name] for name in mask_a}
    between = geometry.distances(a, b, either)
    facts: dict[str, Any] = {
        "distance": geometry.total_distance(between),
        "distances": between,
        "sign_changes": geometry.sign_change_fraction(a, b, both),
        "traveled": None,
        "sign_changes_from_start": None,
        "mask_overlap": None,
        "mask_overlap_by_chance": None,
    }
    if start is not None:
        ends = ((a, mask_a), (b, mask_b))
        facts["traveled"] = [
            geometry.total_distance(geometry.distances(start, w, m)) for w, m in ends
        ]
        facts["sign_changes_from_start"] = [
            geometry.sign_change_fraction(start, w, m) for w, m in ends
        ]
    if any(not np.array_equal(mask_a[name], mask_b[name]) for name in mask_a):
        sizes = {name: kept.size for name, kept in mask_a.items()}
        kept = masks.kept(mask_a), masks.kept(mask_b)
        facts["mask_overlap"] = masks.mask_overlap(mask_a, mask_b)
        facts["mask_overlap_by_chance"] = geometry.overlap_by_chance(*kept, sizes)
    return facts


def _dead(network: Network, mask_a: Mask, mask_b: Mask) -> dict[str, Any]:
    """Units that nothing reads, by kernel, of both ends; a line per collapsed layer.

    Args:
        network: of both.
        mask_a: where something passes in the one; frozen weights pass as kept ones do.
        mask_b: likewise in the other.
    """
    from pipeline.core.analysis.collapse import collapse_warnings, dead_units

    both = (mask_a, mask_b)
    warnings = [line for mask in both for line in collapse_warnings(mask)]
    return {
        "dead_units": [dead_units(network, mask) for mask in both],
        "warnings": list(dict.fromkeys(warnings)),
    }
