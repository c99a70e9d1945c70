"""Learned supermasks: every weight acts with a probability of its own, which is trained.

Zhou, Lan, Liu, Yosinski 2019, "Deconstructing lottery tickets", arXiv:1905.01067, and its
code. A weight w acts as w · b, where b is drawn anew at each step: 1 with probability σ(v),
else 0; an evaluation has the draw of the step that follows it. Scores v begin at 0. With g
the gradient of a weight as it acts, its score's gradient is g · w · σ'(v). ``rescaled``
(dynamic weight rescaling) multiplies a layer by its number of weights over the number that
acts; as in the code, the gradient knows of this factor: g is replaced by
c (g − Σ g w b / (w Σ b)), c the factor.
How many weights act is not asked for: it is what training makes of it.

Deviations: probabilities are rounded down to multiples of 2⁻¹⁶, which is what a draw has;
the source gives the mean accuracy of 10 masks, here the mask that is drawn at the end is
the result, with its accuracy. If a layer draws no weight at all, its factor is that of one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Mask, Scores, Weights
from pipeline.core.cuts.asked import Asked
from pipeline.core.models.layers import Parameter
from pipeline.core.training.score_passes import PLAIN, Passes
from pipeline.core.training.score_rules import ForTensors, Moment

BLOCK = 2**13
"""numbers that stay in the processor's cache together"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Supermask(ForTensors):
    """The rule of learned supermasks."""

    rescaled: bool

    def initial(self, rng: np.random.Generator) -> Scores:  # noqa: ARG002 - all alike
        """Scores of 0: every weight acts half of the time."""
        return {name: np.zeros(shape, np.float32) for name, shape in self.shapes.items()}

    def begin(self, weights: Weights, passes: Passes = PLAIN) -> "Drawn":
        """The scores of a network with these weights."""
        return Drawn(self, weights, passes)


def rule(
    asked: Asked | None,  # noqa: ARG001 - training decides how many weights act
    tensors: Mapping[str, Parameter],
    *,
    rescaled: bool = False,
) -> Supermask:
    """The rule for a network.

    Args:
        asked: not used.
        tensors: that have scores.
        rescaled: whether a layer is multiplied by its number of weights over the number
            that acts.
    """
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    return Supermask(shapes=shapes, rescaled=rescaled)


class Drawn:
    """The scores of one network at work."""

    def __init__(self, asked: Supermask, weights: Weights, passes: Passes) -> None:
        self._passes = passes
        self._asked = asked
        self._weights = {name: weights[name] for name in asked.shapes}
        self._chance = {n: np.empty(w.size, np.float32) for n, w in self._weights.items()}
        self._mask = {name: np.empty(shape, bool) for name, shape in asked.shapes.items()}
        self._numbers = dict.fromkeys(asked.shapes, 0)
        self._out: Weights = {}

    def act(self, scores: Scores, moment: Moment, out: Weights) -> Mask:
        """The weights that are drawn."""
        rng = moment.draw()
        for name, weight in self._weights.items():
            chance, kept = self._chance[name], self._mask[name]
            np.multiply(scores[name].reshape(-1), np.float32(0.5), out=chance)
            np.tanh(chance, out=chance)  # the logistic function is (1 + tanh(v / 2)) / 2
            self._numbers[name] = self._passes.draw(
                chance,
                draws(rng, weight.size),
                weight.reshape(-1),
                kept.reshape(-1),
                out[name].reshape(-1),
            )
            if self._asked.rescaled:
                out[name] *= self._factor(name)
        self._out = out
        return self._mask

    def number(self, name: str) -> int:
        """How many weights of a tensor act."""
        return self._numbers[name]

    def pull(self, name: str, scores: Floats, gradient: Floats) -> None:  # noqa: ARG002
        """Times weight and slope of the chance; rescaled, less what the factor loses."""
        shared, factor = np.float32(0), np.float32(1)
        arrays = (gradient, self._weights[name], self._out[name])
        flat, weights, acting = (array.reshape(-1) for array in arrays)
        if self._asked.rescaled:
            factor = self._factor(name)
            total = product(flat, acting) / float(factor)
            shared = np.float32(total / max(self._numbers[name], 1))
        chances = self._chance[name]
        self._passes.times_slope(flat, weights, chances, shared, factor)

    def _factor(self, name: str) -> np.float32:
        """Weights of a tensor over those that act."""
        return np.float32(self._weights[name].size / max(self._numbers[name], 1))


def product(first: Floats, second: Floats) -> float:
    """The sum of (N,) products, by blocks: BLAS takes one thread for such short ones."""
    parts = range(0, first.size, BLOCK)
    return sum(float(np.dot(first[p : p + BLOCK], second[p : p + BLOCK])) for p in parts)


def draws(rng: np.random.Generator, size: int) -> NDArray[np.uint16]:
    """Numbers 0 … DRAWS − 1, all equally likely: four from each number of the generator."""
    raw = rng.bit_generator.random_raw(-(-size // 4))
    found: NDArray[np.uint16] = raw.astype("<u8", copy=False).view("<u2")[:size]
    return found
