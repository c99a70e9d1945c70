"""Plain Python around the kernels of compiled engines: checks, numbers, memory.

Nothing here is compiled; compiled functions that kernels share are in ``kernels.py`` and
``vectors.py``.
"""

import math
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Integers
from pipeline.core.augmentations.flip_crop import flip_crop, flip_crop_draws
from pipeline.core.batches import normalize
from pipeline.core.models.layers import Linear, layers_of
from pipeline.core.training.engine import Job, refuse_frozen
from pipeline.core.training.schedules import learning_rate
from pipeline.core.training.settings import ADAM_BETAS
from pipeline.engines.shared.kernels import Examples, Rule, Tensor
from pipeline.engines.shared.vectors import CACHE_LINE, LANES

Number = TypeVar("Number", np.float32, np.uint32)
Pixel = TypeVar("Pixel", np.float32, np.uint8)


def refuse_unfit(job: Job, engine: str) -> None:
    """Refuse devices other than the CPU, frozen weights, and labels without a logit.

    Raises:
        ValueError: with one line that says what to give instead.
    """
    if job.settings.device != "cpu":
        raise ValueError(
            f"the {engine} engine trains on the CPU, not on {job.settings.device}; "
            "give train.device: cpu, or train.engine: reference"
        )
    refuse_frozen([job], engine)
    logits = next(x.outputs for x in layers_of(job.network)[::-1] if isinstance(x, Linear))
    for split in (job.data.train, job.data.validation, job.data.test):
        if len(split) and not 0 <= split.labels.min() <= split.labels.max() < logits:
            raise ValueError(
                f"labels reach from {split.labels.min()} to {split.labels.max()}, but "
                f"the network has {logits} logits; give it one per class"
            )


def optimizer_numbers(
    job: Job, first_step: int, num_steps: int
) -> tuple[bool, np.float32, np.float32, Floats]:
    """The fields of a kernel's ``Rule`` for a stretch of steps, in its order.

    Args:
        job: a training that begins with a fresh optimizer at its first step.
        first_step: first of these steps, counted from initialization.
        num_steps: number of these steps, ≥ 0.

    Returns:
        Whether the optimizer is Adam; momentum; the weight decay that is added to the
        gradient; and (num_steps, 3): step size, 1 / √(second bias correction), factor of
        the weights.
    """
    settings = job.settings
    steps = range(first_step, first_step + num_steps)
    rates = np.empty((num_steps, 3))
    rates[:, 0] = [learning_rate(settings, step, job.total_steps) for step in steps]
    rates[:, 1] = 1.0
    decoupled = settings.weight_decay if settings.optimizer == "adamw" else 0.0
    rates[:, 2] = 1.0 - rates[:, 0] * decoupled
    if settings.optimizer != "sgd":
        updates = np.arange(1, num_steps + 1) + first_step - job.first_step
        first, second = (1.0 - beta**updates for beta in ADAM_BETAS)
        rates[:, 0] /= first
        rates[:, 1] = 1.0 / np.sqrt(second)
    return (
        settings.optimizer != "sgd",
        np.float32(settings.momentum),
        np.float32(settings.weight_decay - decoupled),
        rates.astype(np.float32),
    )


def moved(job: Job, examples: Integers, step: int) -> Floats:
    """A normalized batch (B, C, H, W) after the flip-crop that is drawn for this step."""
    flips, corners = flip_crop_draws(
        len(examples), seed=job.seed, round=job.round, copy=job.copy, step=step
    )
    data = job.data
    known = data.images
    images = normalize(data.train.images[examples], mean=known.mean, std=known.std)
    return flip_crop(images, flips=flips, corners=corners)


def augmented(
    job: Job, order: Integers, rule: Rule, first_step: int
) -> Iterator[tuple[Floats, Integers, Integers, Rule]]:
    """Yield the steps of a stretch one by one, since kernels cannot draw random numbers.

    Args:
        job: the training.
        order: examples of each step, (steps, B), as kernels get them.
        rule: the optimizer's numbers for these steps.
        first_step: first of these steps.

    Yields:
        For each step its moved images (B, C, H, W), their labels, an order that takes all
        of them in one step, and the rule of that step.
    """
    for number, examples in enumerate(order):
        yield (
            moved(job, examples, first_step + number),
            job.data.train.labels[examples],
            np.arange(len(examples))[np.newaxis],
            rule._replace(rates=rule.rates[number : number + 1]),
        )


def flat(images: NDArray[Pixel], labels: Integers, at_least: int = 1) -> Examples:
    """Turn examples into the flat form that kernels read.

    Args:
        images: (N, C, H, W).
        labels: (N,).
        at_least: least number of pixels of an image; smaller ones are filled up with 0.
    """
    rows = images.reshape(len(images), math.prod(images.shape[1:]))
    missing = max(at_least - rows.shape[1], 0)
    if missing:
        rows = np.pad(rows, ((0, 0), (0, missing)))
    return Examples(
        images=np.ascontiguousarray(rows).reshape(-1),
        labels=np.ascontiguousarray(labels),
        num_pixels=rows.shape[1],
    )


def tensor(values: Floats) -> Tensor:
    """Values with gradients and moments of 0, all padded to whole vectors."""
    size = (len(values) // LANES + 2) * LANES
    made = Tensor(*(aligned(size, np.float32) for _ in Tensor._fields))
    made.value[: len(values)] = values
    return made


def aligned(size: int, dtype: type[Number]) -> NDArray[Number]:
    """Zeros that begin at a cache line, since reading across two lines costs double."""
    num_bytes = size * np.dtype(dtype).itemsize
    raw = np.zeros(num_bytes + CACHE_LINE, np.uint8)
    first = -raw.ctypes.data % CACHE_LINE
    return raw[first : first + num_bytes].view(dtype)
