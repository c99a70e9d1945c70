"""The records of an analysis of the straight line between two networks, and of its ends."""

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
"""a way to evaluate the network at a point of a line"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ends:
    """The two networks at the ends of a line, and their common start, if they have one."""

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
    """The ways to evaluate points on the test set, which differ in the statistics of norms.

    The running statistics are either interpolated like all weights, or computed anew from
    training batches.

    Args:
        network: the network of both ends.
        data: the prepared data set.
        batches: number of training batches from which statistics are computed anew; None
            = interpolate only.
        batch_size: examples in each of these batches.
        seed: chooses the batches, together with the round.
        round: the round of the analysis.
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
    """Analyze the line between two networks, and the networks themselves.

    Args:
        ends: the networks; their masks say which weights count.
        network: the layers of both.
        evaluated: from ``ways``; an exception that one of them raises ends the work.
        num_points: number of points on the line, both ends included.

    Returns:
        One row per statistics and point (alpha in [0, 1], loss, error); and the facts
        about the line and its ends.
    """
    rows, found = [], {}
    for statistics, way in evaluated.items():
        line = along_line(ends.a, ends.b, way, num_points=num_points)
        found[statistics] = barriers(line)
        rows += _rows(statistics, line)
    facts = {"statistics": found} | _geometry(ends)
    passing = (masks.connected(ends.a, ends.mask_a), masks.connected(ends.b, ends.mask_b))
    return rows, facts | _dead(network, *passing)


def _rows(statistics: str, line: Line) -> list[dict[str, Any]]:
    columns = (line.alpha.tolist(), line.loss.tolist(), line.error.tolist())
    return [
        {"statistics": statistics, "alpha": alpha, "loss": loss, "error": error}
        for alpha, loss, error in zip(*columns, strict=True)
    ]


def barriers(line: Line) -> dict[str, Any]:
    """The facts that follow from the points of a line alone."""
    barrier = error_barrier(line.error)
    return {
        "error_barrier": barrier,
        "loss_barrier": error_barrier(line.loss),
        "errors": [float(line.error[0]), float(line.error[-1])],
        "stable": barrier < STABLE_BELOW if math.isfinite(barrier) else None,
    }


def _geometry(ends: Ends) -> dict[str, Any]:
    """Distances and sign changes; the overlap of the masks if they differ, else null."""
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
    """Dead units of both ends, by kernel; and a warning for each collapsed layer.

    Args:
        network: the layers of both ends.
        mask_a: the weights of one end through which something passes: kept and frozen.
        mask_b: the same for the other end.
    """
    both = (mask_a, mask_b)
    warnings = [line for mask in both for line in collapse_warnings(mask)]
    return {
        "dead_units": [dead_units(network, mask) for mask in both],
        "warnings": list(dict.fromkeys(warnings)),
    }
