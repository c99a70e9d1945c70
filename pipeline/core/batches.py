"""Data in memory: how it is split and normalized, and which examples each step sees."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

import numpy as np

from pipeline.core import seeding
from pipeline.core.arrays import Bytes, Floats, Integers
from pipeline.core.description import Description, Images, Inputs


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Examples: inputs and labels, as the data set's description says."""

    inputs: Bytes | Floats | Integers
    """images uint8 (N, C, H, W), vectors float32 (N, F) or tokens int64 (N, L)"""
    labels: Integers
    """classes int64 (N,), or tokens int64 (N, P)"""

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.labels)

    @property
    def images(self) -> Bytes:
        """The inputs of a data set of images: raw pixels, uint8 (N, C, H, W)."""
        assert self.inputs.dtype == np.uint8, "inputs that are no images"
        return self.inputs  # type: ignore[return-value]  # numpy's types say less


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """A data set with its fixed split; inputs stay raw until a batch is made."""

    train: Split
    validation: Split
    test: Split
    description: Description

    @property
    def images(self) -> Images:
        """What is known of its images.

        Raises:
            ValueError: if its inputs are something else.
        """
        return self.description.images


class Batch(NamedTuple):
    """Examples as a network sees them."""

    inputs: Floats | Integers
    """as by ``prepared``: (B, …)"""
    labels: Integers
    """int64 (B,), or (B, P)"""


def split_positions(
    labels: Integers,
    *,
    validation: int,
    test: int,
    stratified: bool,
    rng: np.random.Generator,
) -> tuple[Integers, Integers, Integers]:
    """Divide examples into training (the rest), validation and test.

    Args:
        labels: int64 (N,); their values matter only if ``stratified``.
        validation: number of validation examples, ≥ 0.
        test: number of test examples, ≥ 0; 0 where an official test set exists.
        stratified: every part holds each class in its share of the whole, to ±1.
        rng: stream ``split`` of seed 0: the split is the same for all replicates.

    Returns:
        Positions of training, validation and test examples: disjoint, each ascending,
        together 0..N-1.

    Raises:
        ValueError: if nothing is left to train on.
    """
    if validation + test >= len(labels):
        raise ValueError(
            f"cannot take {validation} validation and {test} test examples out of "
            f"{len(labels)}: none are left for training; take fewer"
        )
    shuffled = rng.permutation(len(labels))
    if stratified:
        shuffled = _classes_interleaved(shuffled, labels)
    return (
        np.sort(shuffled[validation + test :]),
        np.sort(shuffled[:validation]),
        np.sort(shuffled[validation : validation + test]),
    )


def _classes_interleaved(shuffled: Integers, labels: Integers) -> Integers:
    """Reorder so that any stretch holds every class in about its overall share."""
    share = np.empty(len(labels))  # the share of an example's class that precedes it
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        share[members] = (np.arange(len(members)) + 0.5) / len(members)
    # Stable: classes of equal size tie at every rank, and keep the drawn order.
    return shuffled[np.argsort(share[shuffled], kind="stable")]


def order(
    num_examples: int, *, seed: int, round: int, copy: int | str = 0, epoch: int
) -> Integers:
    """The order of the examples in one epoch: a permutation, int64 (N,).

    The same for all variants of a round, unless ``copy`` tells them apart.
    """
    rng = seeding.generator(seed, "data_order", round=round, copy=f"{copy}/epoch={epoch}")
    return rng.permutation(num_examples)


class _Stream(TypedDict):
    seed: int
    round: int
    copy: int | str


class BatchOrder:
    """Which examples each step of one training sees.

    The examples depend on the step alone. Steps are counted from initialization, so a
    start at step k continues the order at k. The current epoch's permutation is kept for
    speed. The incomplete last batch of an epoch is dropped.
    """

    def __init__(
        self,
        num_examples: int,
        batch_size: int,
        *,
        seed: int,
        round: int,
        copy: int | str = 0,
    ) -> None:
        if not 1 <= batch_size <= num_examples:
            raise ValueError(
                f"batch_size {batch_size} does not fit {num_examples} training "
                f"examples; take 1 to {num_examples}"
            )
        self.num_examples = num_examples
        self.batch_size = batch_size
        self.steps_per_epoch = num_examples // batch_size
        self._stream: _Stream = {"seed": seed, "round": round, "copy": copy}
        self._epoch = -1
        self._batches: Integers = np.empty((0, batch_size), dtype=np.int64)

    def batch(self, step: int) -> Integers:
        """Positions of the examples of one step, counted from 0: int64 (B,)."""
        epoch, within = divmod(step, self.steps_per_epoch)
        batch: Integers = self._epoch_batches(epoch)[within]
        return batch.copy()

    def indices(self, first_step: int, num_steps: int) -> Integers:
        """Positions for ``num_steps`` steps from ``first_step`` on: (num_steps, B)."""
        found = np.empty((num_steps, self.batch_size), dtype=np.int64)
        filled = 0
        while filled < num_steps:
            epoch, within = divmod(first_step + filled, self.steps_per_epoch)
            stretch = self._epoch_batches(epoch)[within : within + num_steps - filled]
            found[filled : filled + len(stretch)] = stretch
            filled += len(stretch)
        return found

    def _epoch_batches(self, epoch: int) -> Integers:
        if epoch != self._epoch:
            examples = order(self.num_examples, **self._stream, epoch=epoch)
            full = self.steps_per_epoch * self.batch_size
            self._batches = examples[:full].reshape(-1, self.batch_size)
            self._epoch = epoch
        return self._batches


def normalize(images: Bytes, *, mean: tuple[float, ...], std: tuple[float, ...]) -> Floats:
    """Each channel minus its mean, over its standard deviation, in float32.

    Args:
        images: uint8 (..., C, H, W).
        mean: of the raw pixel values (0..255 or 0..16, not 0..1), one per channel.
        std: standard deviation of the same values, > 0, one per channel.

    Returns:
        Normalized images in the shape of ``images``; the same bits on every machine.
    """
    normalized = images.astype(np.float32)
    normalized -= np.asarray(mean, dtype=np.float32)[:, None, None]
    normalized /= np.asarray(std, dtype=np.float32)[:, None, None]
    return normalized


def prepared(found: Bytes | Floats | Integers, inputs: Inputs) -> Floats | Integers:
    """Inputs as a network sees them: images are normalized, all others stay as they are.

    Args:
        found: inputs of some examples, (B, …).
        inputs: what they are.
    """
    if isinstance(inputs, Images):
        pixels: Bytes = found  # type: ignore[assignment]  # as the description says
        return normalize(pixels, mean=inputs.mean, std=inputs.std)
    return found  # type: ignore[return-value]  # likewise


def shuffled_batches(data: Dataset, size: int, rng: np.random.Generator) -> Iterator[Batch]:
    """Every training example once, in batches, in a random order.

    Args:
        data: its training part is used, without augmentation.
        size: examples per batch; the last may have fewer.
        rng: stream ``score_batch``, which draws the order.

    Raises:
        ValueError: if there are fewer examples than ``size``.
    """
    num = len(data.train)
    if not 1 <= size <= num:
        raise ValueError(f"no batch of {size} in {num} training examples; take 1 to {num}")
    shuffled = rng.permutation(num)
    for first in range(0, num, size):
        at = shuffled[first : first + size]
        inputs = prepared(data.train.inputs[at], data.description.inputs)
        yield Batch(inputs, data.train.labels[at])
