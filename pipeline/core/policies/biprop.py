"""Biprop: weights with the largest scores act by their signs, at one size a layer.

Diffenderfer & Kailkhura 2021, "Multi-prize lottery ticket hypothesis", arXiv:2103.09377,
and its code. Scores are those of edge-popup. A weight that acts is α · sign(w), with
α = Σ|w| / number over the weights of its layer that act: of all single sizes the nearest
to the weights in the squared distance. The gradient of a score is g · w · sign(score), with
g the gradient of the weight as it acts: the step to α · sign(w) is passed as if it were the
identity, and α as a constant. ``affine`` trains scales and shifts of norms beside the
scores.

In global scope with a density of .5 or below, the number of weights that act falls from
all to the one asked for in the first tenth of the steps, evenly by step, so that no layer
is emptied at once.

Weights are those of a fan-in of density × fan_in (``scale_fan``): α grows by 1/√density.

Deviations: α is divided by the number of weights that act; the code divides by int(k n),
which is that number or 1 beside it. It takes the fraction removed for the fraction kept
where it scales the fan-in; ours takes the one that is kept. Its ramp takes 10 epochs of
any number. A layer that is emptied all the same has α = 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, frexp, ldexp, log2, prod, sqrt

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Mask, Scores, Weights
from pipeline.core.counts import POOL, densities, in_pools
from pipeline.core.cuts.asked import Asked
from pipeline.core.models.layers import Parameter, Role
from pipeline.core.top_scores import Places, TopScores
from pipeline.core.training.score_passes import PLAIN, Passes
from pipeline.core.training.score_rules import ForTensors, Moment, uniform

RAMP = 0.1
"""share of the steps in which the number of weights that act falls"""
RAMP_UP_TO = 0.5
"""the largest density at which it falls"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Biprop(ForTensors):
    """The rule of biprop: how many weights act, and for which fan-in they are drawn."""

    bounds: Mapping[str, float]
    """initial scores lie within ± these"""
    sizes: Mapping[str, int]
    """weights of each pool"""
    counts: Mapping[str, int]
    """those that act, per pool as for ``pruning.prune_to``"""
    scales: Mapping[str, float]
    """what multiplies the weights of a tensor"""
    also_trains: frozenset[Role]

    @property
    def ramps(self) -> bool:
        """Whether the number of weights that act falls at the beginning."""
        return POOL in self.counts and self.counts[POOL] <= RAMP_UP_TO * self.sizes[POOL]

    def settled(self, first: int, end: int) -> int:
        """The end of the ramp, if there is one."""
        return first + ceil(RAMP * (end - first)) if self.ramps else first

    def counts_at(self, moment: Moment) -> Mapping[str, int]:
        """Weights that act at a moment, per pool."""
        since = self.settled(moment.first, moment.end)
        if moment.step >= since:
            return self.counts
        left = (since - moment.step) / (since - moment.first)
        return {
            pool: count + round(left * (self.sizes[pool] - count))
            for pool, count in self.counts.items()
        }

    def initial(self, rng: np.random.Generator) -> Scores:
        """Uniform scores."""
        return uniform(self.bounds, self.shapes, rng)

    def begin(self, weights: Weights, passes: Passes = PLAIN) -> "Signs":
        """The scores of a network with these weights."""
        return Signs(self, weights, passes)


def rule(asked: Asked, tensors: Mapping[str, Parameter], *, affine: bool = False) -> Biprop:
    """The rule for a network.

    Args:
        asked: how many weights act.
        tensors: that have scores.
        affine: whether scales and shifts of norms train.
    """
    sizes = {name: prod(tensor.shape) for name, tensor in tensors.items()}
    counts = asked.counts(sizes)
    left = densities(sizes, counts)
    return Biprop(
        shapes={name: tensor.shape for name, tensor in tensors.items()},
        bounds={name: 1 / sqrt(tensor.fan_in) for name, tensor in tensors.items()},
        sizes=in_pools(sizes, counts),
        counts=counts,
        scales={name: 1 / sqrt(left[name]) for name in tensors},
        also_trains=frozenset(("scale", "shift")) if affine else frozenset(),
    )


class Sizes:
    """The sum of the sizes of a tensor's weights that act, kept up to date.

    Sizes are whole numbers of a unit, so that the sum is exact: it does not depend on the
    order in which weights came and went.
    """

    def __init__(self, weights: Floats) -> None:
        sizes = np.abs(weights).astype(np.float64)
        self._exponent = 62 - ceil(log2(sizes.size)) - int(frexp(sizes.max())[1])
        self._units = np.rint(np.ldexp(sizes.reshape(-1), self._exponent)).astype(np.int64)
        self._total = 0

    def change(self, places: Places, acts: NDArray[np.bool_]) -> None:
        """Add the weights at some places that act now; take away those that did."""
        self._total += int(self._units[places] @ np.where(acts, 1, -1))

    def best(self, number: int) -> np.float32:
        """The size α ≥ 0 that is nearest to all weights that act: the mean of their sizes.

        Args:
            number: of the weights that act.
        """
        return np.float32(ldexp(self._total / number, -self._exponent) if number else 0)


class Signs:
    """The scores of one network at work."""

    def __init__(self, asked: Biprop, weights: Weights, passes: Passes) -> None:
        self._asked = asked
        self._passes = passes
        self._top = TopScores(asked.shapes, asked.counts, passes.in_doubt)
        self._weights = {
            name: weights[name] * np.float32(scale) for name, scale in asked.scales.items()
        }
        self._sizes = {name: Sizes(weight) for name, weight in self._weights.items()}
        self._signs = {name: np.zeros(w.size, np.int8) for name, w in self._weights.items()}

    def act(self, scores: Scores, moment: Moment, out: Weights) -> Mask:
        """The signs of the weights with the largest scores, at one size a layer."""
        changed = self._top.keep(scores, self._asked.counts_at(moment))
        for name, places in changed.items():
            kept = self._top.mask[name].reshape(-1)[places]
            self._sizes[name].change(places, kept)
            signs = np.sign(self._weights[name].reshape(-1)[places])
            self._signs[name][places] = signs * kept
            size = self._sizes[name].best(self._top.numbers[name])
            self._passes.spread(self._signs[name], size, out[name].reshape(-1))
        return self._top.mask

    def number(self, name: str) -> int:
        """How many weights of a tensor act."""
        return self._top.numbers[name]

    def pull(self, name: str, scores: Floats, gradient: Floats) -> None:
        """Times weight and sign of the score."""
        flat = (array.reshape(-1) for array in (gradient, self._weights[name], scores))
        self._passes.times_sign(*flat)
