"""Signed supermasks: a trained number per weight keeps it, hides it, or turns its sign.

Koster, Grothe, Rettinger 2022, "Signing the supermask: keep, hide, invert",
arXiv:2201.13361, and its code. With m the trained number and τ a threshold per layer, a
weight w acts as w · sign(m) where |m| > τ, and is 0 elsewhere. m begins uniform in ±b,
b = √(6 / (fan_in + fan_out)), and τ = .4 b, so that 60 % of the weights act at first. The
gradient of m is g · w, with g the gradient of the weight as it acts. Weight decay takes its
share of m at every step, apart from the gradient, and so hides weights: how many act is not
asked for.

Deviations: τ is .4 of the bound, not of the largest number that was drawn. Momentum is
not Nesterov's. The rate of the presets falls in ten steps, that of the source at every
step. The weights of the source are ±√(3 / fan_in) (``rewind.to: signed-constant`` with
``kaiming-normal`` gives ±√(2 / fan_in)) between ELU units; ours have ReLU.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt

import numpy as np

from pipeline.core.arrays import Floats, Mask, Scores, Weights
from pipeline.core.cuts.asked import Asked
from pipeline.core.models.layers import Parameter
from pipeline.core.training.score_passes import PLAIN, Passes
from pipeline.core.training.score_rules import ForTensors, Moment, uniform

THRESHOLD = 0.4
"""share of the bound of the initial numbers below which a weight is hidden"""


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedSupermask(ForTensors):
    """The rule of signed supermasks."""

    bounds: Mapping[str, float]
    """initial numbers lie within ± these"""
    decays_by_itself: bool = field(default=True, init=False)

    def initial(self, rng: np.random.Generator) -> Scores:
        """Uniform numbers."""
        return uniform(self.bounds, self.shapes, rng)

    def begin(self, weights: Weights, passes: Passes = PLAIN) -> "Signed":
        """The scores of a network with these weights."""
        return Signed(self, weights, passes)


def rule(
    asked: Asked | None,  # noqa: ARG001 - training decides how many weights act
    tensors: Mapping[str, Parameter],
) -> SignedSupermask:
    """The rule for a network.

    Args:
        asked: not used.
        tensors: that have scores.
    """
    return SignedSupermask(
        shapes={name: tensor.shape for name, tensor in tensors.items()},
        bounds={name: sqrt(6 / (t.fan_in + t.fan_out)) for name, t in tensors.items()},
    )


class Signed:
    """The scores of one network at work."""

    def __init__(self, asked: SignedSupermask, weights: Weights, passes: Passes) -> None:
        self._passes = passes
        self._numbers = dict.fromkeys(asked.shapes, 0)
        self._weights = {name: weights[name] for name in asked.shapes}
        self._thresholds = {n: np.float32(THRESHOLD * b) for n, b in asked.bounds.items()}
        self._mask = {name: np.empty(shape, bool) for name, shape in asked.shapes.items()}

    def act(self, scores: Scores, moment: Moment, out: Weights) -> Mask:  # noqa: ARG002
        """The weights whose numbers pass the threshold, with the numbers' signs."""
        for name, weight in self._weights.items():
            score, drawn = scores[name].reshape(-1), weight.reshape(-1)
            kept, acting = self._mask[name].reshape(-1), out[name].reshape(-1)
            self._numbers[name] = self._passes.turn(
                score, drawn, self._thresholds[name], kept, acting
            )
        return self._mask

    def number(self, name: str) -> int:
        """How many weights of a tensor act."""
        return self._numbers[name]

    def pull(self, name: str, scores: Floats, gradient: Floats) -> None:  # noqa: ARG002
        """Times weight."""
        gradient *= self._weights[name]
