"""Learned supermasks: every weight acts with a probability of its own, which is trained.

Zhou, Lan, Liu, Yosinski 2019, "Deconstructing lottery tickets", arXiv:1905.01067, and its
code. A weight w acts as w · b, where b is drawn anew at each step and at each evaluation:
1 with probability σ(v), else 0. Scores v begin at 0. With g the gradient of a weight as it
acts, its score's gradient is g · w · σ'(v). ``rescaled`` (dynamic weight rescaling)
multiplies a layer by its number of weights over the number that acts; as in the code, the
gradient knows of this factor: g is replaced by c (g − Σ g w b / (w Σ b)), c the factor.
How many weights act is not asked for: it is what training makes of it.

Deviations: probabilities are rounded down to multiples of 2⁻¹⁶, which is what a draw has;
the source gives the mean accuracy of 10 masks, here the mask that is drawn at the end is
the result, with its accuracy. If a layer draws no weight at all, its factor is that of one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Mask, Scores, Weights
from pipeline.core.cuts.asked import Asked
from pipeline.core.models.layers import Parameter, Role
from pipeline.core.training.score_rules import Moment, Shapes

DRAWS = 2**16
"""equally likely values of a draw"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Supermask:
    """The rule of learned supermasks."""

    shapes: Shapes
    rescaled: bool
    also_trains: frozenset[Role] = field(default=frozenset(), init=False)
    decays_by_itself: bool = field(default=False, init=False)

    @property
    def counted(self) -> tuple[str, ...]:
        """The tensors that have scores."""
        return tuple(self.shapes)

    def settled(self, first: int, end: int) -> int:  # noqa: ARG002 - never before the end
        """The end, whose mask is the result."""
        return end

    def initial(self, rng: np.random.Generator) -> Scores:  # noqa: ARG002 - all alike
        """Scores of 0: every weight acts half of the time."""
        return {name: np.zeros(shape, np.float32) for name, shape in self.shapes.items()}

    def begin(self, weights: Weights) -> "Drawn":
        """The scores of a network with these weights."""
        return Drawn(self, weights)


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

    def __init__(self, asked: Supermask, weights: Weights) -> None:
        self._asked = asked
        self._weights = {name: weights[name] for name in asked.shapes}
        self._chance = {name: np.empty_like(w) for name, w in self._weights.items()}
        self._mask = {name: np.empty(shape, bool) for name, shape in asked.shapes.items()}
        self._acting = dict.fromkeys(asked.shapes, 1)

    def act(self, scores: Scores, moment: Moment, out: Weights) -> Mask:
        """The weights that are drawn."""
        rng = moment.draw()
        for name, weight in self._weights.items():
            chance, kept = self._chance[name], self._mask[name]
            logistic(scores[name], chance)
            limits = np.multiply(chance, np.float32(DRAWS), out=out[name])
            np.less(draws(rng, weight.shape), np.floor(limits, out=limits), out=kept)
            np.multiply(weight, kept, out=out[name])
            self._acting[name] = max(int(np.count_nonzero(kept)), 1)
            if self._asked.rescaled:
                out[name] *= np.float32(weight.size / self._acting[name])
        return self._mask

    def pull(self, name: str, scores: Floats, gradient: Floats) -> None:  # noqa: ARG002
        """Times weight and slope of the chance; rescaled, less what the factor loses."""
        chance, acting = self._chance[name], self._acting[name]
        gradient *= self._weights[name]
        if self._asked.rescaled:
            shared = np.add.reduce(gradient * self._mask[name], axis=None, dtype=np.float64)
            gradient -= np.float32(shared / acting)
            gradient *= np.float32(gradient.size / acting)
        gradient *= chance
        gradient *= np.float32(1) - chance


def logistic(scores: Floats, out: Floats) -> None:
    """1 / (1 + exp(−v)), as a tanh, which does not overflow."""
    np.multiply(scores, np.float32(0.5), out=out)
    np.tanh(out, out=out)
    out *= np.float32(0.5)
    out += np.float32(0.5)


def draws(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """Numbers 0 … DRAWS − 1, all equally likely: four from each number of the generator."""
    size = int(np.prod(shape))
    raw = rng.bit_generator.random_raw(-(-size // 4))
    found: NDArray[np.uint16] = raw.astype("<u8", copy=False).view("<u2")[:size]
    return found.reshape(shape)
