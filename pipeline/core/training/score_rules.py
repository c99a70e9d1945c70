"""The contract of score rules: scores train, weights stay, and the scores make the network.

In such a training every weight that counts has a score. The optimizer updates the scores;
after each update the rule says which weights act, and how strongly. A gradient goes
straight through the step from scores to weights, as if that step had a slope of the rule's
own. The rules themselves are in ``core/policies``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np

from pipeline.core import seeding
from pipeline.core.arrays import Floats, Mask, Scores, Weights
from pipeline.core.models.layers import Parameter, Role
from pipeline.core.training.score_passes import PLAIN, Passes

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """When scores make a network: the rule's counts and draws may depend on it."""

    step: int
    """number of updates so far"""
    first: int
    """step at which the training begins"""
    end: int
    """step at which it ends"""
    draw: Callable[[], np.random.Generator]
    """the random stream of this step; every call gives it from its beginning"""


def moment(step: int, first: int, end: int, *, seed: int, round: int) -> Moment:
    """A step of the training of a round with one seed."""
    stream = partial(seeding.quick, seed, "mask_sample", round=round, copy=f"step={step}")
    return Moment(step=step, first=first, end=end, draw=stream)


class Scoring(Protocol):
    """The scores of one network at work; it keeps arrays from one step to the next."""

    def act(self, scores: Scores, moment: Moment, out: Weights) -> Mask:
        """Make the weights that the scores stand for.

        Args:
            scores: of the tensors that count; a rule may change them, to clip them for
                instance, and the training goes on with what it leaves.
            moment: of the training.
            out: the same tensors; filled with the weights as they act, ±0 where pruned.
                They are the same arrays at every call, and nobody else writes into them:
                a rule may change only the weights that act no longer, or anew.

        Returns:
            Which weights act. The arrays hold until the next call.
        """

    def number(self, name: str) -> int:
        """How many weights of a tensor act since the last ``act``."""

    def pull(self, name: str, scores: Floats, gradient: Floats) -> None:
        """Turn the gradient of a tensor's weights into that of its scores, in place.

        Args:
            name: of the tensor.
            scores: of it, as the last ``act`` saw them.
            gradient: of the loss with respect to what ``act`` gave; overwritten.
        """


class ScoreRule(Protocol):
    """How scores make a network, fixed before the training begins.

    A rule is a frozen dataclass of plain values: they enter the digest of a training, and
    they go to the workers with its job.
    """

    @property
    def counted(self) -> tuple[str, ...]:
        """Names of the tensors that have scores, and so a mask."""

    @property
    def also_trains(self) -> frozenset[Role]:
        """Roles of the other tensors that the optimizer updates beside the scores."""

    @property
    def decays_by_itself(self) -> bool:
        """Whether weight decay is a share of the scores per step, apart from the gradient.

        The share is the setting times rate / first rate; else decay is the optimizer's.
        """

    def settled(self, first: int, end: int) -> int:
        """The first step from which on the number of weights kept is the final one."""

    def initial(self, rng: np.random.Generator) -> Scores:
        """The scores before the first step."""

    def begin(self, weights: Weights, passes: Passes = PLAIN) -> Scoring:
        """The scores of a network with these weights, which never change.

        Args:
            weights: of the tensors that count.
            passes: how to go through all scores of a tensor.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class ForTensors:
    """What most score rules share: nothing else trains, and the last mask is the result."""

    shapes: Shapes
    """of the tensors that have scores"""
    also_trains: frozenset[Role] = field(default=frozenset(), init=False)
    decays_by_itself: bool = field(default=False, init=False)

    @property
    def counted(self) -> tuple[str, ...]:
        """The tensors that have scores."""
        return tuple(self.shapes)

    def settled(self, first: int, end: int) -> int:  # noqa: ARG002 - never before the end
        """The end, whose mask is the result."""
        return end


@dataclass(frozen=True, kw_only=True, slots=True)
class Learned:
    """What a training of scores has found."""

    scores: Scores
    held: Weights
    """the tensors that no step trains, as the engine holds them at the end"""
    kept_steps: dict[str, int]
    """per tensor, the sum over all steps of the number of weights that acted"""


def uniform(
    bounds: Mapping[str, float], shapes: Shapes, rng: np.random.Generator
) -> Scores:
    """Scores uniform in ±bound, tensor by tensor."""
    return {
        name: rng.uniform(-bounds[name], bounds[name], shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def held_names(parameters: Mapping[str, Parameter], rule: ScoreRule) -> list[str]:
    """Names of the tensors that neither scores nor steps nor batches may change."""
    return [
        name
        for name, parameter in parameters.items()
        if name in rule.counted
        or (parameter.trainable and parameter.role not in rule.also_trains)
    ]


def act(
    rule: ScoreRule, weights: Weights, scores: Scores, moment: Moment
) -> tuple[Weights, Mask]:
    """The counted tensors as they act, and their mask."""
    out = {name: np.empty_like(weights[name]) for name in rule.counted}
    own = {name: values.copy() for name, values in scores.items()}
    found = rule.begin(weights).act(own, moment, out)
    # The sum makes 0 of −0.
    return {name: acting + np.float32(0) for name, acting in out.items()}, {
        name: found[name].copy() for name in rule.counted
    }
