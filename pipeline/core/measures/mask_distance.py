"""Measure how much the mask of magnitude pruning has changed in a window of steps.

Source: Minegishi et al. 2023, "Grokking Tickets" (arXiv:2310.19470): the Jaccard distance
of the masks of two checkpoints, which peaks where a network generalizes. As there, 40 % of
the weights are kept, by size. There, masks of one layer are compared, over windows of 2,000
epochs; here those of all layers together, over the steps between two evaluations.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Mask, Weights
from pipeline.core.measures import Seen

KEPT = 0.4
"""the share of the weights that the network's own mask keeps"""


def measure(seen: Seen) -> float:
    """1 - |a ∧ b| / |a ∨ b| of both masks, in [0, 1]."""
    return distance(_largest(seen.before, seen.mask), _largest(seen.weights, seen.mask))


def distance(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Jaccard distance of two masks of one shape; 0 where both keep nothing.

    >>> distance(np.array([True, True, False]), np.array([True, False, True]))
    0.6666666666666667
    """
    either = np.count_nonzero(a | b)
    return 1 - int(np.count_nonzero(a & b)) / int(either) if either else 0.0


def _largest(weights: Weights, mask: Mask) -> NDArray[np.bool_]:
    """Which of the weights under the mask are kept, as one row over all tensors."""
    sizes = np.concatenate([np.abs(weights[name][kept]) for name, kept in mask.items()])
    order = np.argsort(-sizes, kind="stable")
    found = np.zeros(len(sizes), np.bool_)
    found[order[: round(KEPT * len(sizes))]] = True
    return found
