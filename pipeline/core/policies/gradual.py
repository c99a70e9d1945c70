"""Gradual magnitude pruning: the mask shrinks while the network trains.

Zhu & Gupta 2017, "To prune, or not to prune", arXiv:1710.01878, eq. 1: with t between
t₀ and t₀ + nΔt, sparsity s_t = s_f + (s_i − s_f) (1 − (t − t₀) / nΔt)³, from s_i = 0,
after t updates. So it prunes fast while many weights are redundant, and slowly at the end.

Deviations: counts are interpolated, not sparsities; they are exact per pool and rounded
half to even. A pruned weight is 0 from then on and never comes back; in the paper pruned
weights keep their value, get no gradients, and are ranked again. t₀ and nΔt are fixed
fractions of the training, chosen by us: the paper tunes them, and demands that pruning
ends while the learning rate is still high enough to recover. Δt is the span divided by
MOST_PRUNINGS, and at least 1 step: the paper saw no difference between 100 and 1,000
steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pipeline.core import pruning
from pipeline.core.arrays import Mask
from pipeline.core.counts import POOL
from pipeline.core.cuts.asked import Asked
from pipeline.core.training.mask_rules import Seen, Shrinking

BEGIN = Fraction(1, 4)
END = Fraction(3, 4)
"""pruning begins and ends at these fractions of the steps of a training"""
MOST_PRUNINGS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Gradual:
    """The rule of gradual pruning: how many weights are left in the end."""

    counted: tuple[str, ...]
    """names of the tensors that the mask has"""
    target: Mapping[str, int]
    """number of weights kept in the end, per pool as for ``pruning.prune_to``"""
    looks_at_gradients: bool = False

    def steps(self, first: int, end: int) -> tuple[int, ...]:
        """The updates after which it prunes: those of ``pruning_steps``."""
        return pruning_steps(first, end)

    def begin(self, mask: Mask, first: int, end: int) -> "Pruning":
        """The mask of one network, which keeps everything at the first step."""
        return Pruning(self.target, mask, first, pruning_steps(first, end))


def rule(asked: Asked, sizes: Mapping[str, int]) -> Gradual:
    """The rule that prunes to the counts asked for in the course of one training.

    Args:
        asked: how much to keep; the counts are those of an iterative round.
        sizes: number of weights in the dense network, per tensor that counts.
    """
    return Gradual(counted=tuple(sizes), target=asked.counts(sizes))


def pruning_steps(first: int, end: int) -> tuple[int, ...]:
    """The updates after which the mask is pruned, in order; the last one makes it final.

    >>> pruning_steps(0, 16)
    (5, 6, 7, 8, 9, 10, 11, 12)
    >>> pruning_steps(0, 2), pruning_steps(0, 1)
    ((1,), (0,))
    """
    begin = first + int(BEGIN * (end - first))
    span = first + int(END * (end - first)) - begin
    if not span:
        return (begin,)
    num = min(span, MOST_PRUNINGS)
    return tuple(begin + -(-i * span // num) for i in range(1, num + 1))


def counts_at(
    sizes: Mapping[str, int], target: Mapping[str, int], position: int, num: int
) -> dict[str, int]:
    """The number of weights that each pool keeps after one of several prunings.

    Args:
        sizes: number of weights in the dense network, per pool.
        target: number of weights kept in the end, per pool.
        position: which pruning it is, 1 … num.
        num: number of prunings.

    >>> counts_at({"fc1.weight": 16}, {"fc1.weight": 8}, 1, 2)
    {'fc1.weight': 9}
    """
    left = (1 - Fraction(position, num)) ** 3
    return {
        pool: kept + round(left * (sizes[pool] - kept)) for pool, kept in target.items()
    }


class Pruning(Shrinking):
    """The mask of one network, which shrinks while the network trains."""

    def __init__(
        self, target: Mapping[str, int], dense: Mask, first: int, steps: tuple[int, ...]
    ) -> None:
        """Begin with the dense mask at the first step.

        Args:
            target: number of weights kept in the end, per pool.
            dense: a mask of the tensors that count, which keeps everything.
            first: step at which the training begins.
            steps: the updates after which to prune, from ``pruning_steps``.
        """
        super().__init__(dense, first)
        self._steps = steps
        self._target = target
        self._sizes = _pool_sizes(dense, target)

    def change(self, seen: Seen) -> None:
        """Remove the smallest weights still kept, as many as are due after this update."""
        position = self._steps.index(seen.step) + 1
        self._cut(seen, counts_at(self._sizes, self._target, position, len(self._steps)))

    def finish(self, seen: Seen) -> None:
        """Prune to the target at once, because the training ends here."""
        self._cut(seen, self._target)

    def _cut(self, seen: Seen, counts: Mapping[str, int]) -> None:
        scores = {name: np.abs(seen.weights[name]) for name in self.mask}
        self.shrink(pruning.prune_to(scores, self.mask, counts), seen.step)


def _pool_sizes(dense: Mask, target: Mapping[str, int]) -> dict[str, int]:
    sizes = dict.fromkeys(target, 0)
    for name, kept in dense.items():
        sizes[name if name in target else POOL] += kept.size
    return sizes
