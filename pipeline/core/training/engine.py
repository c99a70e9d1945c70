"""The contract of training engines: every engine fulfills what this module says.

An engine trains one or several networks (lanes) of the same shape side by side. It
holds the optimizer and the data; the loop in ``loop.py`` says when to train on and when
to evaluate.

The reference engine defines the right results. ``tests/engines/test_contract.py`` checks
that the other engines agree with it, and that every engine keeps these promises:

- n steps give the same bits, however ``advance`` is called to make them;
- after every step, pruned weights have exactly their values in the start: 0, or frozen
  at another value, which some engines refuse; biases and norms are never masked;
- ``restore(state(), step)`` in a fresh engine continues bit for bit;
- the same jobs on the same machine with the same versions give the same bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pipeline.core import seeding
from pipeline.core.arrays import Mask, Scores, Weights
from pipeline.core.batches import BatchOrder, Dataset
from pipeline.core.description import Actions, Description, Tokens, Vectors
from pipeline.core.models.layers import Network
from pipeline.core.training.mask_rules import MaskRule
from pipeline.core.training.score_rules import Learned, Moment, ScoreRule, moment
from pipeline.core.training.settings import TrainSettings

State = dict[str, NDArray[np.generic]]
"""Everything that an engine needs to continue bit for bit, by names of its own choice."""


class Ability(Enum):
    """What some trainings need and some engines cannot do.

    The values complete the sentence "engine … cannot …".
    """

    FREEZE = "hold pruned weights at other values than 0"
    CHANGE_MASK = "change its mask while it trains"
    REGROW = "bring pruned weights back while it trains"
    TRAIN_SCORES = "train scores in place of weights"
    READ_VECTORS = "read vectors"
    READ_TOKENS = "read sequences of tokens"
    OTHER_BETAS = "train with betas other than 0.9 and 0.999"
    DOUBLE_LOSS = "compute the loss in float64"
    OTHER_AUGMENTATION = "change training images by anything but flip-crop"
    OWN_OPTIMIZER = "update weights by an optimizer that is not built in"
    ACT = "act in an environment"
    MIX_NORMS = "mix norms with their first values while it trains"
    SHARE_BATCHES = "share each batch among several processes"


def needed_for(data: Description) -> set[Ability]:
    """The abilities that such examples need; every engine reads images in classes."""
    acts = {Ability.ACT} if isinstance(data.labels, Actions) else set()
    match data.inputs:
        case Vectors():
            return acts | {Ability.READ_VECTORS}
        case Tokens():
            return acts | {Ability.READ_TOKENS}
        case _:
            return acts


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One network to train: a lane of an engine."""

    network: Network
    start: Weights
    """weights at the first step. Pruned weights are 0; a pruned weight that is not 0 is
    frozen: it stays in the network and never changes"""
    mask: Mask
    data: Dataset
    settings: TrainSettings
    seed: int
    round: int
    copy: int | str = 0
    """distinguishes data orders where common_noise is off, or where copies are compared"""
    first_step: int = 0
    """step of schedule and data order at which this training starts (late rewinding: k)"""
    last_step: int | None = None
    """step at which it ends although its schedule goes on (early: k); None = at the end
    of the schedule"""
    rule: MaskRule | None = None
    """how the mask changes while the network trains; None = it stays the same"""
    score_rule: ScoreRule | None = None
    """how scores, which train in place of weights, make the network; None = weights
    train"""

    @property
    def total_steps(self) -> int:
        """The number of steps of a whole training, over which the schedule extends."""
        return self.settings.total_steps(len(self.data.train))

    @property
    def frozen(self) -> Weights:
        """The frozen weights, for each tensor that has some.

        Each array has its tensor's shape, and 0 where a weight is kept.
        """
        pruned = {
            name: np.where(kept, np.float32(0), self.start[name])
            for name, kept in self.mask.items()
        }
        return {name: values for name, values in pruned.items() if values.any()}

    def batch_order(self) -> BatchOrder:
        """Which examples each step sees."""
        return BatchOrder(
            len(self.data.train),
            self.settings.batch_size,
            seed=self.seed,
            round=self.round,
            copy=self.copy,
        )

    @property
    def end_step(self) -> int:
        """The step at which this training ends."""
        return self.total_steps if self.last_step is None else self.last_step

    @property
    def changes(self) -> tuple[int, ...]:
        """The steps after which a rule changes the mask; empty where it stays the same."""
        return self.rule.steps(self.first_step, self.total_steps) if self.rule else ()

    @property
    def candidates_since(self) -> int:
        """The first step whose network may be the early stop's: at its final density."""
        if self.score_rule:
            return self.score_rule.settled(self.first_step, self.end_step)
        return self.changes[-1] if self.changes else self.first_step

    def norm_share(self, step: int) -> float:
        """The share of their first values in the norms of a step, in [0, 1).

        Source: Oh et al. 2025, arXiv:2504.05357: one number for all norms of a batch.
        """
        copy = f"{self.copy}/step={step}"
        rng = seeding.generator(self.seed, "norm_share", round=self.round, copy=copy)
        return float(rng.random())

    def moment(self, step: int) -> Moment:
        """A step of a training of scores."""
        return moment(
            step, self.first_step, self.end_step, seed=self.seed, round=self.round
        )

    def first_scores(self) -> Scores:
        """The scores before the first step of a training of scores."""
        assert self.score_rule is not None, "this training has no scores"
        rng = seeding.generator(self.seed, "scores", round=self.round)
        return self.score_rule.initial(rng)


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Mean cross-entropy and accuracy (a fraction) over all labels of a split.

    A network answers with the first of its largest logits; a NaN is larger than all others.
    """

    loss: float
    accuracy: float


class Engine(Protocol):
    """One or several networks in training. An engine's module makes it: ``make(jobs)``."""

    def advance(self, num_steps: int) -> None:
        """Run that many optimizer steps."""

    def evaluate(self, split: str) -> list[Evaluation]:
        """Loss and accuracy on ``train``, ``validation`` or ``test``, one per lane."""

    def weights(self) -> list[Weights]:
        """Copies of the current weights, one dictionary per lane."""

    def state(self) -> State:
        """A copy of weights, optimizer state, and whatever else continuing needs."""

    def restore(self, state: State, step: int) -> None:
        """Continue from a state taken by ``state()`` after ``step`` steps."""


@runtime_checkable
class PruningEngine(Engine, Protocol):
    """An engine whose masks can shrink while it trains."""

    def restrict(self, masks: Sequence[Mask]) -> None:
        """Go on under these masks, one per lane, each a subset of the present one.

        Weights that they prune are 0 from now on. The optimizer's memory of these weights
        (momentum or moments) is set to 0 once, now.
        """


@runtime_checkable
class RegrowingEngine(PruningEngine, Protocol):
    """An engine whose masks can also take weights back in.

    ``restrict`` then takes any mask. A weight that comes back is 0, and so is the
    optimizer's memory of it.
    """

    def gradients(self) -> list[Weights]:
        """Gradients of the next batch's loss, one dictionary per lane.

        Each has the masked tensors, with the gradients of pruned weights too.
        """


@runtime_checkable
class ScoringEngine(Engine, Protocol):
    """An engine that can train scores in place of weights, of one network at a time.

    Its weights are those that act, as the scores of the present step make them.
    """

    def learned(self) -> list[Learned]:
        """Copies of the scores, and of what they made of the steps so far."""


def only_job(jobs: Sequence[Job], engine: str) -> Job:
    """The only job of an engine that trains one network at a time.

    Raises:
        ValueError: if there are several jobs or none.
    """
    if len(jobs) != 1:
        raise ValueError(
            f"the {engine} engine trains one network at a time, not {len(jobs)}; "
            "make one engine per job"
        )
    return jobs[0]


def refuse_frozen(jobs: Sequence[Job], engine: str) -> None:
    """Refuse pruned weights that are not 0, for engines that cannot hold them.

    Raises:
        ValueError: with one line that says what to give instead.
    """
    for job in jobs:
        if job.frozen:
            raise ValueError(
                f"the {engine} engine holds pruned weights at 0, and some of "
                f"{min(job.frozen)} are frozen at other values; give train.engine: "
                "reference"
            )
