"""What every training engine promises.

An engine trains one or several networks (lanes) of the same shape side by side. It
holds the optimizer and the data; the loop in ``loop.py`` says when to go on and when to
look.
The reference engine is the definition of right; the others are proven equal to it by
``tests/engines/test_contract.py``:

- after ``advance(n)`` in any slicing the bits are the same as after n single steps;
- pruned weights are after every step exactly what they are in the start: 0, or frozen at
  another value, which some engines refuse; biases and norms are never masked;
- ``restore(state(), step)`` in a fresh engine continues bit for bit;
- same jobs, same machine, same versions: same bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Mask, Weights
from pipeline.core.batches import BatchOrder, Dataset
from pipeline.core.models.layers import Network
from pipeline.core.training.mask_rules import MaskRule
from pipeline.core.training.settings import TrainSettings

State = dict[str, NDArray[np.generic]]
"""Everything an engine needs to continue bit for bit, by name; its own business."""


class Ability(Enum):
    """What some trainings need and not every engine can; the value completes "cannot"."""

    FREEZE = "hold pruned weights at other values than 0"
    CHANGE_MASK = "change its mask while it trains"


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One network to train: a lane of an engine."""

    network: Network
    start: Weights
    """pruned weights are 0; where they are not, they are frozen: they act, and stay"""
    mask: Mask
    data: Dataset
    settings: TrainSettings
    seed: int
    round: int
    copy: int | str = 0
    """tells data orders apart where common_noise is off, or copies are compared"""
    first_step: int = 0
    """where on schedule and data order this training starts (late rewinding: k)"""
    last_step: int | None = None
    """where it ends although its schedule goes on (early: k); None = with the schedule"""
    rule: MaskRule | None = None
    """how the mask changes while the network trains; None = it stays as it is"""

    @property
    def total_steps(self) -> int:
        """Steps of the whole training that the schedule is made for."""
        return self.settings.total_steps(len(self.data.train))

    @property
    def frozen(self) -> Weights:
        """The pruned weights of each tensor that has some which are not 0.

        Shapes of the tensors; 0 where a weight is kept.
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Mean cross-entropy and accuracy (a fraction) over a whole split."""

    loss: float
    accuracy: float


class Engine(Protocol):
    """One or several networks in training; made by a module's ``make(jobs)``."""

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

        What they prune is 0 from now on, and so is the optimizer's memory of it now.
        """


def only_job(jobs: Sequence[Job], engine: str) -> Job:
    """The one job of an engine without lanes.

    Raises:
        ValueError: if there are more or none.
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
