"""Masks that change while the network trains, with a constant number of kept weights.

A round begins with a sparse mask, which a cut makes from θ₀. After every 100th update, up
to three quarters of the training, each tensor drops its smallest weights and takes as many
in, which may be some of those. RigL and SET differ in which ones.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core import masks
from pipeline.core.arrays import Floats, Integers, Mask
from pipeline.core.training.mask_rules import Arrays, Seen

INTERVAL = 100
"""updates between two changes of the mask (ΔT); a tenth of a training that is shorter than
ten of them"""
DROPPED = 0.3
"""share of a tensor's weights that the first change drops (α)"""
END = 0.75
"""share of the training after which the mask stays (T_end)"""

Grown = Callable[[Seen, str, Integers, int], Integers]
"""What was seen, tensor, positions that may be taken in, how many -> those taken in"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Regrowing:
    """What the rules of this package share."""

    counted: tuple[str, ...]
    """names of the tensors that the mask has"""

    def steps(self, first: int, end: int) -> tuple[int, ...]:
        """The updates after which the mask changes."""
        return steps(first, end)


def steps(first: int, end: int) -> tuple[int, ...]:
    """The updates after which the mask changes.

    A training that is too short for one keeps its mask, and pauses once at its first step.

    >>> steps(0, 1_000), steps(40, 60), steps(0, 1)
    ((100, 200, 300, 400, 500, 600, 700), (42, 44, 46, 48, 50, 52, 54), (0,))
    """
    last = first + int(END * (end - first))
    interval = max(1, min(INTERVAL, (end - first) // 10))
    return tuple(range(first + interval, last + 1, interval)) or (first,)


def share_dropped(step: int, first: int, end: int) -> float:
    """The share of a tensor's weights that a change drops: α/2 (1 + cos(π t / T_end)).

    >>> round(share_dropped(0, 0, 1_000), 3), round(share_dropped(750, 0, 1_000), 3)
    (0.3, 0.0)
    """
    span = END * (end - first)
    return DROPPED / 2 * (1 + math.cos(math.pi * (step - first) / span))


@dataclass(slots=True)
class Moving:
    """The mask of one network, which keeps its number of weights."""

    mask: Mask
    first: int
    end: int
    grown: Grown

    def change(self, seen: Seen) -> None:
        """Drop the smallest weights of each tensor and take as many others in."""
        if seen.step == self.first:
            return
        share = share_dropped(seen.step, self.first, self.end)
        moved = {name: self._moved(seen, name, share) for name in self.mask}
        assert masks.kept(moved) == masks.kept(self.mask), "the number of weights changed"
        self.mask = moved

    def finish(self, seen: Seen) -> None:
        """Keep the present mask: a network that diverges has nothing to choose by."""

    def kept_steps(self, step: int) -> dict[str, int]:
        """Per tensor, the sum over all steps so far of the number of weights kept."""
        return {n: (step - self.first) * kept for n, kept in masks.kept(self.mask).items()}

    def state(self) -> dict[str, NDArray[Any]]:
        """A copy of the mask, which is all that a continuation needs."""
        return {f"mask/{name}": kept.copy() for name, kept in self.mask.items()}

    def restore(self, state: Arrays) -> None:
        """Go on from a state taken by ``state()``."""
        self.mask = {n: np.asarray(state[f"mask/{n}"], np.bool_) for n in self.mask}

    def _moved(self, seen: Seen, name: str, share: float) -> NDArray[np.bool_]:
        kept = self.mask[name].ravel()
        num = int(share * kept.sum())
        moved = kept.copy()
        moved[smallest(seen.weights[name], np.flatnonzero(kept), num)] = False
        candidates = np.flatnonzero(~moved)  # those just dropped are among them
        moved[self.grown(seen, name, candidates, num)] = True
        return moved.reshape(self.mask[name].shape)


def smallest(weights: Floats, positions: Integers, num: int) -> Integers:
    """The positions of the smallest weights, NaN first; of equal ones the later go."""
    sizes = np.abs(weights.ravel()[positions])
    order = np.lexsort((-positions, np.where(np.isnan(sizes), -1, sizes)))
    found: Integers = positions[order[:num]]
    return found
