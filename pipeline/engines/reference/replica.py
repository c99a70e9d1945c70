"""One process of a shared training: the reference engine, on its part of every batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pipeline.core.losses import mean_loss
from pipeline.core.models.forward import forward
from pipeline.core.training.engine import Evaluation, Job, State
from pipeline.engines.reference.engine import Reference, chance, exact_convolutions


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Which process this is."""

    rank: int
    of: int
    """how many there are"""
    meeting: Path
    """the file by which they find each other"""


class Replica(Reference):
    """The network of one process. Weights and optimizer are equal in all of them."""

    def __init__(self, job: Job, place: Place) -> None:
        super().__init__(job)
        self._place = place
        # torch waits for the gradients of all weights that it is told of.
        used = [self._trained[name] for name in self._next_gradients(self._trained)]
        self._loss: nn.Module = _Loss(job, self._weights, used)
        if place.of > 1:
            self._loss = DistributedDataParallel(self._loss)

    def evaluate(self, split: str) -> list[Evaluation]:
        """Loss and accuracy on a split, with the first process's running statistics."""
        if self._place.of > 1:
            for weight in self._weights.values():
                if not weight.requires_grad:
                    dist.broadcast(weight, 0)
        return super().evaluate(split)

    def restore(self, state: State, step: int) -> None:
        """Continue after ``step`` steps, counted from initialization."""
        if step > self._job.first_step:
            self._repeat_first_pass()
        super().restore(state, step)

    def _repeat_first_pass(self) -> None:
        """Pass backward once as the first step did; nobody uses the gradients.

        In its first pass torch adds gradients up in other groups than in all that follow,
        and of three or more processes' sums the order decides the last bits.
        """
        (examples,) = self._order.indices(self._step, 1)
        with exact_convolutions():
            self._backward(*self._batch(torch.from_numpy(examples)))

    def _shown(self, split: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Every so many batches."""
        return islice(super()._shown(split), self._place.rank, None, self._place.of)

    def _total(self, loss: float, correct: int) -> tuple[float, int]:
        """The sums of all processes."""
        if self._place.of == 1:
            return loss, correct
        device = next(iter(self._weights.values())).device
        sums = torch.tensor([loss, correct], dtype=torch.float64, device=device)
        dist.all_reduce(sums)
        return float(sums[0]), int(sums[1])

    def _backward(self, inputs: Tensor, labels: Tensor) -> None:
        """Leave the gradients of the whole batch's mean loss, from this part of it."""
        rank, of = self._place.rank, self._place.of
        own = labels.tensor_split(of)[rank]
        # torch takes the mean over processes, whose parts may differ by one example.
        share = of * len(own) / len(labels)
        with chance(self._job, self._step, part=rank):
            loss = self._loss(inputs.tensor_split(of)[rank], own)
        (share * loss).backward()


class _Loss(nn.Module):
    """The mean loss of a batch as a function of the weights, as torch's class wants it."""

    def __init__(
        self, job: Job, weights: dict[str, Tensor], used: Sequence[Tensor]
    ) -> None:
        super().__init__()
        self._job = job
        self._named = weights
        self._used = nn.ParameterList(used)

    def forward(self, inputs: Tensor, labels: Tensor) -> Tensor:
        logits = forward(self._job.network, self._named, inputs, training=True)
        precision = self._job.settings.loss_precision
        return mean_loss(logits, labels, self._job.data.description, precision)
