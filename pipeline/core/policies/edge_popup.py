"""Edge-popup: the weights with the largest scores act, as they were drawn.

Ramanujan, Wortsman, Kembhavi, Farhadi, Rastegari 2020, "What's hidden in a randomly
weighted neural network?", arXiv:1911.13299, and its code. Scores begin uniform in
±1/√fan_in (``kaiming_uniform(a=√5)``). Per layer, or over all layers together, as many
weights as are asked for act, those with the largest |score|; with g the gradient of a
weight as it acts, its score's gradient is g · w · sign(score).

``scaled`` multiplies every weight by 1/√density, which is the same as drawing it for the
smaller fan-in that is left.

Deviations: counts are exact, rounded half to even; the code keeps n − int((1 − k) n). Its
scaled initialization takes the fraction removed for the fraction kept; ours takes the one
that is kept. Biases are there and stay as they begin; the source's layers have none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod, sqrt

import numpy as np

from pipeline.core.arrays import Floats, Mask, Scores, Weights
from pipeline.core.counts import densities
from pipeline.core.cuts.asked import Asked
from pipeline.core.models.layers import Parameter
from pipeline.core.top_scores import TopScores
from pipeline.core.training.score_passes import PLAIN, Passes
from pipeline.core.training.score_rules import ForTensors, Moment, uniform


@dataclass(frozen=True, kw_only=True, slots=True)
class EdgePopup(ForTensors):
    """The rule of edge-popup: how many weights act, and what multiplies them."""

    bounds: Mapping[str, float]
    """initial scores lie within ± these"""
    counts: Mapping[str, int]
    """weights that act, per pool as for ``pruning.prune_to``"""
    scales: Mapping[str, float]
    """what multiplies the weights of a tensor"""

    def settled(self, first: int, end: int) -> int:  # noqa: ARG002 - the same at any step
        """As many weights act at every step."""
        return first

    def initial(self, rng: np.random.Generator) -> Scores:
        """Uniform scores."""
        return uniform(self.bounds, self.shapes, rng)

    def begin(self, weights: Weights, passes: Passes = PLAIN) -> "Popup":
        """The scores of a network with these weights."""
        return Popup(self, weights, passes)


def rule(
    asked: Asked, tensors: Mapping[str, Parameter], *, scaled: bool = False
) -> EdgePopup:
    """The rule for a network.

    Args:
        asked: how many weights act.
        tensors: that have scores.
        scaled: whether weights are drawn for the fan-in that is left.
    """
    sizes = {name: prod(tensor.shape) for name, tensor in tensors.items()}
    counts = asked.counts(sizes)
    left = densities(sizes, counts)
    return EdgePopup(
        shapes={name: tensor.shape for name, tensor in tensors.items()},
        bounds={name: 1 / sqrt(tensor.fan_in) for name, tensor in tensors.items()},
        counts=counts,
        scales={name: 1 / sqrt(left[name]) if scaled else 1.0 for name in tensors},
    )


class Popup:
    """The scores of one network at work."""

    def __init__(self, asked: EdgePopup, weights: Weights, passes: Passes) -> None:
        self._asked = asked
        self._passes = passes
        self._top = TopScores(asked.shapes, asked.counts, passes.in_doubt)
        self._weights = {
            name: weights[name] * np.float32(scale) for name, scale in asked.scales.items()
        }
        self._begun = False

    def act(self, scores: Scores, moment: Moment, out: Weights) -> Mask:  # noqa: ARG002
        """The weights with the largest scores; how many of them is the same at any step."""
        if not self._begun:
            for acting in out.values():
                acting.fill(0)
            self._begun = True
        changed = self._top.keep(scores, self._asked.counts)
        for name, places in changed.items():
            kept = self._top.mask[name].reshape(-1)[places]
            np.put(out[name], places, self._weights[name].reshape(-1)[places] * kept)
        return self._top.mask

    def number(self, name: str) -> int:
        """How many weights of a tensor act."""
        return self._top.numbers[name]

    def pull(self, name: str, scores: Floats, gradient: Floats) -> None:
        """Times weight and sign of the score."""
        flat = (array.reshape(-1) for array in (gradient, self._weights[name], scores))
        self._passes.times_sign(*flat)
