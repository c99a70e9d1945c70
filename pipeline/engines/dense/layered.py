"""The part of the dense engine that trains any network without norms, in torch.

It computes layer by layer, without autograd (``layers.py``), and updates all weights in one
call of the optimizer. Pruned weights are computed like all others; after each step they are
set to 0, or to the values at which they are frozen.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from pipeline.core.arrays import Mask, Weights
from pipeline.core.batches import Dataset
from pipeline.core.models.layers import Flatten, Network, layers_of, parameters
from pipeline.core.training.engine import Evaluation, Job, State
from pipeline.core.training.schedules import learning_rate
from pipeline.engines.dense.layers import Gradients, channels_last, gradients, logits
from pipeline.engines.shared.compiled import moved
from pipeline.engines.shared.updates import Fused

SPLITS = ("train", "validation", "test")
KEPT_NORMALIZED_BYTES = 32 * 2**20
"""an evaluation split up to this size is normalized once: 10,000 MNIST images fit"""


class Layered:
    """One network, its optimizer, and its data.

    ``gradients`` computes the gradients of a batch; a program that trains by another rule
    gives a function of its own.
    """

    def __init__(self, job: Job, *, gradients: Gradients = gradients) -> None:
        self._gradients = gradients
        self._job = job
        self._step = job.first_step
        self._data = _Data(job.data, batch=_evaluation_batch(job.network))
        self._order = job.batch_order()
        self._weights = {name: _own(job.start[name]) for name in parameters(job.network)}
        self._num_updates = torch.zeros(())
        self._optimizer = Fused(self._weights, job.settings)
        self._pruned = self._bits_of(job.mask)
        self._frozen = [
            (self._weights[name].view(torch.int32), _own(values.view(np.int32)))
            for name, values in job.frozen.items()
        ]
        num_logits = parameters(job.network)[_last_bias(job.network)].shape[0]
        self._one_hot = torch.eye(num_logits)

    def advance(self, num_steps: int) -> None:
        """Run that many optimizer steps."""
        with _denormals_as_0():
            for examples in torch.from_numpy(self._order.indices(self._step, num_steps)):
                self._update(examples)
                self._step += 1

    def evaluate(self, split: str) -> list[Evaluation]:
        """Loss and accuracy on ``train``, ``validation`` or ``test``."""
        loss, correct = 0.0, 0
        with _denormals_as_0():
            for images, labels in self._data.in_order(split):
                found = logits(self._job.network, self._weights, images)  # (B, classes)
                loss += F.cross_entropy(found, labels, reduction="sum").item()
                correct += int((found.argmax(dim=1) == labels).sum())
        num_examples = len(self._data.labels[split])
        return [Evaluation(loss=loss / num_examples, accuracy=correct / num_examples)]

    def weights(self) -> list[Weights]:
        """Copies of the current weights."""
        return [{name: _copy(weight) for name, weight in self._weights.items()}]

    def state(self) -> State:
        """Weights and the optimizer's moments."""
        return {name: _copy(tensor) for name, tensor in self._tensors()}

    def restore(self, state: State, step: int) -> None:
        """Continue after ``step`` steps, counted from initialization."""
        self._step = step
        for name, tensor in self._tensors():
            tensor.copy_(torch.tensor(state[name]))

    def restrict(self, masks: Sequence[Mask]) -> None:
        """Go on under a smaller mask."""
        (mask,) = masks
        self._pruned = self._bits_of(mask)
        for name, (bits, kept) in self._pruned.items():
            bits.bitwise_and_(kept)
            for moments in self._optimizer.moments.values():
                moments[name].view(torch.int32).bitwise_and_(kept)

    def _bits_of(self, mask: Mask) -> dict[str, tuple[Tensor, Tensor]]:
        """For each tensor with a pruned weight: its weights' bits, and the bits to keep."""
        return {
            name: (self._weights[name].view(torch.int32), _own(np.where(kept, -1, 0)))
            for name, kept in mask.items()
            if not kept.all()
        }

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        for name, weight in self._weights.items():
            yield f"weight/{name}", weight
        for kind, moments in self._optimizer.moments.items():
            for name, moment in moments.items():
                yield f"{kind}/{name}", moment

    def _update(self, examples: Tensor) -> None:
        job = self._job
        images, labels = self._data.batch(examples)
        if job.settings.augment == "flip-crop":
            images = torch.from_numpy(moved(job, examples.numpy(), self._step))
        target = self._one_hot.index_select(0, labels)
        found = self._gradients(job.network, self._weights, images, target)
        self._optimizer.update(
            found,
            self._num_updates.fill_(self._step + 1 - job.first_step),
            learning_rate(job.settings, self._step, job.total_steps),
        )
        # Only weights are masked: moments of a pruned weight change no other weight.
        # They are masked by their bits, because a product with 0 keeps NaN.
        for bits, kept in self._pruned.values():
            bits.bitwise_and_(kept)
        for bits, values in self._frozen:
            bits.bitwise_or_(values)


class _Data:
    """The splits in memory; training images stay raw pixels until they are used."""

    def __init__(self, data: Dataset, *, batch: int) -> None:
        splits = {name: getattr(data, name) for name in SPLITS}
        self._images = {n: torch.tensor(s.images) for n, s in splits.items()}
        self.labels = {n: torch.tensor(s.labels) for n, s in splits.items()}
        self._mean = torch.tensor(data.images.mean)[:, None, None]
        self._std = torch.tensor(data.images.std)[:, None, None]
        self._batch = batch
        self._normalized: dict[str, Tensor] = {}

    def batch(self, examples: Tensor) -> tuple[Tensor, Tensor]:
        """Normalized images (B, C, H, W) and labels (B,) of training examples."""
        images = self._images["train"].index_select(0, examples)
        return self._normalize(images), self.labels["train"].index_select(0, examples)

    def in_order(self, split: str) -> Iterator[tuple[Tensor, Tensor]]:
        """A split as batches of normalized images; the last may be smaller."""
        images = self._images[split]
        if split not in self._normalized and 4 * images.numel() <= KEPT_NORMALIZED_BYTES:
            self._normalized[split] = self._normalize(images)
        known = self._normalized.get(split)
        for first in range(0, len(images), self._batch):
            part = slice(first, first + self._batch)
            batch = self._normalize(images[part]) if known is None else known[part]
            yield batch, self.labels[split][part]

    def _normalize(self, images: Tensor) -> Tensor:
        return images.float().sub_(self._mean).div_(self._std)


@contextmanager
def _denormals_as_0() -> Iterator[None]:
    """Treat numbers below 1.2e-38 as 0, as the engine ``sparse`` does.

    Moments of a dead unit become so small, and so do the weights that a program freezes.
    An Intel processor takes a hundred cycles for each such number: with 9,697 of them
    among the 235,200 weights of fc1 a step took 23 ms instead of 1.3 (2026-11-21).
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _evaluation_batch(network: Network) -> int:
    """Examples per forward pass: few enough that activations stay in the cache."""
    return 1000 if isinstance(layers_of(network)[0], Flatten) else 50


def _last_bias(network: Network) -> str:
    return list(parameters(network))[-1]


def _own(array: NDArray[np.generic]) -> Tensor:
    """A copy in torch's memory, with the kernels of convolutions channels-last."""
    tensor = torch.tensor(array)
    if tensor.dtype == torch.int64:
        tensor = tensor.int()
    return channels_last(tensor) if tensor.ndim == 4 else tensor


def _copy(tensor: Tensor) -> NDArray[np.float32]:
    """A copy as a numpy array in C order."""
    array: NDArray[np.float32] = tensor.numpy().copy(order="C")
    return array
