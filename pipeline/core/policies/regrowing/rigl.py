"""RigL: the mask takes in the weights with the largest gradients.

Evci, Gale, Menick, Castro, Elsen 2020, "Rigging the lottery: making all tickets winners",
arXiv:1911.11134, algorithm 1. Weights that come back are 0, and so is the optimizer's
memory of them; a weight that is dropped and taken in at once stays as it is.

Deviations: in the paper a change of the mask replaces the update of its step; here the
gradients are those of the batch that is trained on next, so every batch makes one update.
The first change comes after one interval, not at step 0. Equal gradients go to the earlier
position. With Adam the number of updates is the tensor's, not the weight's, so that a
weight's first step after it came back is about three times the rate.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import Integers, Mask
from pipeline.core.cuts.asked import Asked
from pipeline.core.policies.regrowing import Moving, Regrowing
from pipeline.core.training.mask_rules import Seen


@dataclass(frozen=True, kw_only=True, slots=True)
class RigL(Regrowing):
    """The rule of RigL: fixed numbers of its paper."""

    looks_at_gradients: bool = True

    def begin(self, mask: Mask, first: int, end: int) -> Moving:
        """The mask of one network, as its round begins with it."""
        return Moving(mask, first, end, largest_gradients)


def rule(_: Asked, sizes: Mapping[str, int]) -> RigL:
    """The rule for a network; the mask that it begins with says how much is kept."""
    return RigL(counted=tuple(sizes))


def largest_gradients(seen: Seen, name: str, candidates: Integers, num: int) -> Integers:
    """The candidates with the largest gradients; NaN counts as largest of all."""
    sizes = np.abs(seen.gradients()[name].ravel()[candidates])
    order = np.lexsort((candidates, -np.where(np.isnan(sizes), np.inf, sizes)))
    found: Integers = candidates[order[:num]]
    return found
