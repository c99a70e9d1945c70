"""Measure how far weights moved, which signs changed, and how masks overlap by chance."""

import math
from collections.abc import Mapping

import numpy as np

from pipeline.core import masks
from pipeline.core.arrays import Mask, Weights


def distances(a: Weights, b: Weights, mask: Mask) -> dict[str, float]:
    """The L2 distance between two networks over the kept weights, per tensor.

    Source: Frankle et al. 2020, arXiv:1912.05671; the distance travelled is that
    between start and trained weights. Biases and norms are left out.

    Args:
        a: one network.
        b: the other network; the order does not matter.
        mask: the weights that count, the same for both.

    Returns:
        One entry per tensor of the mask; 0 where nothing is kept.
    """
    return {
        name: float(np.linalg.norm(b[name][kept].astype(np.float64) - a[name][kept]))
        for name, kept in mask.items()
    }


def total_distance(per_tensor: Mapping[str, float]) -> float:
    """The L2 distance over all tensors together, from the distance of each tensor.

    >>> total_distance({"fc1.weight": 3.0, "fc2.weight": 4.0})
    5.0
    """
    return math.hypot(*per_tensor.values())


def sign_changes(theta0: Weights, trained: Weights, mask: Mask) -> dict[str, int]:
    """Count the kept weights whose sign differs from that in θ₀, per tensor.

    0 counts as a sign of its own: a weight that leaves 0, or ends at 0, has changed.

    Args:
        theta0: weights at step 0, not the masked start.
        trained: weights of the same network later.
        mask: which weights are kept.

    Returns:
        One count per tensor of the mask; divide by ``masks.kept`` for the fraction.
    """
    return {
        name: int(np.count_nonzero(_changed(theta0[name][kept], trained[name][kept])))
        for name, kept in mask.items()
    }


def sign_change_fraction(theta0: Weights, trained: Weights, mask: Mask) -> float:
    """The fraction of all kept weights whose sign differs from θ₀; 0 if none is kept."""
    num_kept = sum(masks.kept(mask).values())
    changed = sum(sign_changes(theta0, trained, mask).values())
    return changed / num_kept if num_kept else 0.0


def overlap_by_chance(
    kept_a: Mapping[str, int], kept_b: Mapping[str, int], sizes: Mapping[str, int]
) -> float:
    """The overlap that two masks have by chance, if both keep weights at random positions.

    It is the expected |a ∧ b| over the expected |a ∨ b|. If the masks keep a and b of a
    tensor's n weights, the first is a·b / n and the second is a + b − a·b / n. (The
    expected ratio itself differs from this by the order of 1 / Σn.)

    Args:
        kept_a: number of weights that one mask keeps per tensor, from ``masks.kept``.
        kept_b: the same for the other mask.
        sizes: number of all weights per tensor.

    Returns:
        A number in [0, 1]; 1 for two masks that keep nothing, as in
        ``masks.mask_overlap``.

    >>> overlap_by_chance({"fc1.weight": 50}, {"fc1.weight": 50}, {"fc1.weight": 100})
    0.3333333333333333
    """
    both = sum(kept_a[name] * kept_b[name] / sizes[name] for name in sizes)
    either = sum(kept_a[name] + kept_b[name] for name in sizes) - both
    return both / either if either else 1.0


def _changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    changed: np.ndarray = np.sign(before) != np.sign(after)
    return changed
