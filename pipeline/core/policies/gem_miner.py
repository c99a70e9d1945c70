"""Gem-Miner: scores between 0 and 1 decide which weights act; the lowest freeze for good.

Sreenivasan, Sohn, Yang, Grinde, Nagle, Wang, Xing, Lee, Papailiopoulos 2022, "Rare gems:
finding lottery tickets at initialization", arXiv:2202.12002, and its code. Scores begin
uniform in [0, 1] and are clipped to it before every step; the weights that are not frozen
and score above ½ act, as they were drawn. With g the gradient of a weight as it acts, its
score's gradient is g · w, and 0 if it is frozen. At 29 moments, evenly spaced, the lowest
scores freeze, so that the number of weights left falls exponentially to the one asked for.
In the end all that are left act, whatever their scores: the density is exact. Weights do
not train; a variant that takes the mask trains them.

The regularizer λ Σ score² is ``scores.weight_decay`` = 2 λ. The weights of the source are
those of ``rewind.to: signed-constant``.

Deviations: counts are exact, and chance decides between equal scores; in the code all of
the scores at a threshold freeze. The source freezes every 5 of 150 epochs; here 29 times in
a training of any length. Biases are there and stay as they begin; the source's layers have
none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from pipeline.core import pruning
from pipeline.core.arrays import Floats, Mask, Scores, Weights
from pipeline.core.counts import in_pools
from pipeline.core.cuts.asked import Asked
from pipeline.core.models.layers import Parameter
from pipeline.core.training.score_passes import PLAIN, Passes
from pipeline.core.training.score_rules import ForTensors, Moment

FREEZES = 29
"""moments at which scores freeze"""
ACTS = 0.5
"""scores above it act"""
FROZEN = np.float32(-(2.0**10))
"""the score of a frozen weight: no step leads there from [0, 1], nor back"""


@dataclass(frozen=True, kw_only=True, slots=True)
class GemMiner(ForTensors):
    """The rule of Gem-Miner: how many weights are left in the end."""

    sizes: Mapping[str, int]
    """weights of each pool"""
    counts: Mapping[str, int]
    """those left in the end, per pool as for ``pruning.prune_to``"""

    def counts_at(self, moment: Moment) -> dict[str, int]:
        """Weights that are not frozen at a moment, per pool."""
        steps, since = moment.end - moment.first, moment.step - moment.first
        part = min(FREEZES, (FREEZES + 1) * since // max(1, steps)) / FREEZES
        return {
            pool: round(self.sizes[pool] * (count / self.sizes[pool]) ** part)
            for pool, count in self.counts.items()
        }

    def initial(self, rng: np.random.Generator) -> Scores:
        """Scores uniform in [0, 1]."""
        return {
            name: rng.uniform(0, 1, shape).astype(np.float32)
            for name, shape in self.shapes.items()
        }

    def begin(
        self,
        weights: Weights,
        passes: Passes = PLAIN,  # noqa: ARG002 - its passes are its own
    ) -> "Mining":
        """The scores of a network with these weights."""
        return Mining(self, weights)


def rule(asked: Asked, tensors: Mapping[str, Parameter]) -> GemMiner:
    """The rule for a network.

    Args:
        asked: how many weights are left in the end.
        tensors: that have scores.
    """
    sizes = {name: prod(tensor.shape) for name, tensor in tensors.items()}
    counts = asked.counts(sizes)
    return GemMiner(
        shapes={name: tensor.shape for name, tensor in tensors.items()},
        sizes=in_pools(sizes, counts),
        counts=counts,
    )


class Mining:
    """The scores of one network at work."""

    def __init__(self, asked: GemMiner, weights: Weights) -> None:
        self._asked = asked
        self._weights = {name: weights[name] for name in asked.shapes}
        self._frozen = {name: np.empty(shape, bool) for name, shape in asked.shapes.items()}
        self._mask = {name: np.empty(shape, bool) for name, shape in asked.shapes.items()}
        self._numbers = dict.fromkeys(asked.shapes, 0)

    def act(self, scores: Scores, moment: Moment, out: Weights) -> Mask:
        """The weights left that score above ½; at the end all that are left."""
        for name, values in scores.items():
            np.less(values, FROZEN / 2, out=self._frozen[name])
            np.clip(values, 0, 1, out=values)
        self._freeze(scores, moment)
        for name, values in scores.items():
            np.copyto(values, FROZEN, where=self._frozen[name])
            if moment.step >= moment.end:
                np.logical_not(self._frozen[name], out=self._mask[name])
            else:
                np.greater(values, ACTS, out=self._mask[name])
            np.multiply(self._weights[name], self._mask[name], out=out[name])
            self._numbers[name] = int(np.count_nonzero(self._mask[name]))
        return self._mask

    def number(self, name: str) -> int:
        """How many weights of a tensor act."""
        return self._numbers[name]

    def pull(self, name: str, scores: Floats, gradient: Floats) -> None:  # noqa: ARG002
        """Times weight; 0 for frozen ones."""
        gradient *= self._weights[name]
        np.copyto(gradient, 0, where=self._frozen[name])

    def _freeze(self, scores: Scores, moment: Moment) -> None:
        """Freeze the lowest scores, as many as are due at this moment."""
        wanted = self._asked.counts_at(moment)
        kept = {n: f.size - int(np.count_nonzero(f)) for n, f in self._frozen.items()}
        if in_pools(kept, wanted) == wanted:
            return
        left = {name: ~frozen for name, frozen in self._frozen.items()}
        # A draw of its own decides between the many scores that are clipped to 0.
        left = pruning.prune_to(scores, left, wanted, moment.draw())
        self._frozen = {name: ~kept for name, kept in left.items()}
