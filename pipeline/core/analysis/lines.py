"""What is recorded of the straight line between two networks, and of its ends."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.core import masks
from pipeline.core.analysis import geometry
from pipeline.core.analysis.collapse import collapse_warnings, dead_units
from pipeline.core.analysis.evaluation import evaluator, recalibrator
from pipeline.core.analysis.interpolation import (
    STABLE_BELOW,
    Line,
    along_line,
    error_barrier,
)
from pipeline.core.arrays import Mask, Weights
from pipeline.core.batches import BatchOrder, Dataset
from pipeline.core.data_orders import RECALIBRATION
from pipeline.core.models.layers import Network, has_statistics
from pipeline.core.training.engine import Evaluation

Way = Callable[[Weights], Evaluation]
"""how a point on a line is evaluated"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ends:
    """Two networks, and where both began, if it is one place."""

    a: Weights
    b: Weights
    mask_a: Mask
    mask_b: Mask
    start: Weights | None


def ways(
    network: Network,
    data: Dataset,
    *,
    batches: int | None,
    batch_size: int,
    seed: int,
    round: int,
) -> dict[str, Way]:
    """How points are evaluated on the test set, by the statistics of norms.

    Those are interpolated as all weights are, or made anew from training batches.

    Args:
        network: of both ends.
        data: the prepared data set.
        batches: training batches that statistics are made anew from; None = not at all.
        batch_size: of those batches.
        seed: chooses the batches, with the round.
        round: of the analysis.
    """
    evaluate = evaluator(network, data, data.test)
    if batches is None or not has_statistics(network):
        return {"interpolated": evaluate}
    order = BatchOrder(
        len(data.train), batch_size, seed=seed, round=round, copy=RECALIBRATION
    )
    recalibrate = recalibrator(network, data, order.indices(0, batches))
    return {
        "interpolated": evaluate,
        "recalibrated": lambda weights: evaluate(recalibrate(weights)),
    }


def between(
    ends: Ends, network: Network, evaluated: dict[str, Way], *, num_points: int
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Look at the line between two networks, and at the networks.

    Args:
        ends: the networks; their masks say what counts.
        network: of both.
        evaluated: ``ways``; what one raises ends the work.
        num_points: on the line, both ends included.

    Returns:
        A row per statistics and point (alpha in [0, 1], loss, error), and the facts.
    """
    rows, barriers = [], {}
    for statistics, way in evaluated.items():
        line = along_line(ends.a, ends.b, way, num_points=num_points)
        barriers[statistics] = _barriers(line)
        rows += _rows(statistics, line)
    facts = {"statistics": barriers} | _geometry(ends)
    passing = (masks.connected(ends.a, ends.mask_a), masks.connected(ends.b, ends.mask_b))
    return rows, facts | _dead(network, *passing)


def _rows(statistics: str, line: Line) -> list[dict[str, Any]]:
    columns = (line.alpha.tolist(), line.loss.tolist(), line.error.tolist())
    return [
        {"statistics": statistics, "alpha": alpha, "loss": loss, "error": error}
        for alpha, loss, error in zip(*columns, strict=True)
    ]


def _barriers(line: Line) -> dict[str, Any]:
    barrier = error_barrier(line.error)
    return {
        "error_barrier": barrier,
        "loss_barrier": error_barrier(line.loss),
        "errors": [float(line.error[0]), float(line.error[-1])],
        "stable": barrier < STABLE_BELOW if math.isfinite(barrier) else None,
    }


def _geometry(ends: Ends) -> dict[str, Any]:
    """Distances and signs; overlap where the masks differ, else null."""
    a, b, mask_a, mask_b = ends.a, ends.b, ends.mask_a, ends.mask_b
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
    if ends.start is not None:
        both_ends = ((a, mask_a), (b, mask_b))
        facts["traveled"] = [
            geometry.total_distance(geometry.distances(ends.start, w, m))
            for w, m in both_ends
        ]
        facts["sign_changes_from_start"] = [
            geometry.sign_change_fraction(ends.start, w, m) for w, m in both_ends
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
    both = (mask_a, mask_b)
    warnings = [line for mask in both for line in collapse_warnings(mask)]
    return {
        "dead_units": [dead_units(network, mask) for mask in both],
        "warnings": list(dict.fromkeys(warnings)),
    }
