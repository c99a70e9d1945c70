"""What the compiled engines share around their kernels: checks, numbers, memory.

Nothing here is compiled; what kernels share is in ``kernels.py`` and ``vectors.py``.
"""

import math
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Integers
from pipeline.core.augmentation import flip_crop, flip_crop_draws
from pipeline.core.batches import normalize
from pipeline.core.models.layers import Linear
from pipeline.core.training.engine import Job, refuse_frozen
from pipeline.core.training.schedules import learning_rate
from pipeline.core.training.settings import ADAM_BETAS
from pipeline.engines.shared.kernels import Examples, Rule, Tensor
from pipeline.engines.shared.vectors import CACHE_LINE, LANES

Number = TypeVar("Number", np.float32, np.uint32)
Pixel = TypeVar("Pixel", np.float32, np.uint8)


def refuse_unfit(job: Job, engine: str) -> None:
    """Refuse another device than the CPU, frozen weights, and labels that are no logit.

    Raises:
        ValueError: with one line that says what to give instead.
    """
    if job.settings.device != "cpu":
        raise ValueError(
            f"the {engine} engine trains on the CPU, not on {job.settings.device}; "
            "give train.device: cpu, or train.engine: reference"
        )
    refuse_frozen([job], engine)
    logits = next(x.outputs for x in job.network[::-1] if isinstance(x, Linear))
    for split in (job.data.train, job.data.validation, job.data.test):
        if len(split) and not 0 <= split.labels.min() <= split.labels.max() < logits:
            raise ValueError(
                f"labels reach from {split.labels.min()} to {split.labels.max()}, but "
                f"the network has {logits} logits; give it one per class"
            )


def optimizer_numbers(
    job: Job, first_step: int, num_steps: int
) -> tuple[bool, np.float32, np.float32, Floats]:
    """The fields of a kernel's ``Rule`` for some steps, in its order.

    Args:
        job: a training that begins with a fresh optimizer at its first step.
        first_step: of these steps, counted from initialization.
        num_steps: ≥ 0.

    Returns:
        Whether it is Adam; momentum; the weight decay that is added to the gradient; and
        (num_steps, 3): step size, 1 / √(second bias correction), factor of the weights.
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
    """A normalized batch (B, C, H, W) after flip-crop, as drawn for this step."""
    flips, corners = flip_crop_draws(
        len(examples), seed=job.seed, round=job.round, copy=job.copy, step=step
    )
    data = job.data
    images = normalize(data.train.images[examples], mean=data.mean, std=data.std)
    return flip_crop(images, flips=flips, corners=corners)


def augmented(
    job: Job, order: Integers, rule: Rule, first_step: int
) -> Iterator[tuple[Floats, Integers, Integers, Rule]]:
    """A stretch of steps one by one, since kernels cannot draw.

    Args:
        job: what is trained.
        order: (steps, B), as kernels get it.
        rule: of these steps.
        first_step: of them.

    Yields:
        Moved images (B, C, H, W), their labels, an order for one step that takes them all,
        and the rule of that step.
    """
    for number, examples in enumerate(order):
        yield (
            moved(job, examples, first_step + number),
            job.data.train.labels[examples],
            np.arange(len(examples))[np.newaxis],
            rule._replace(rates=rule.rates[number : number + 1]),
        )


def flat(images: NDArray[Pixel], labels: Integers, at_least: int = 1) -> Examples:
    """Examples as kernels read them.

    Args:
        images: (N, C, H, W).
        labels: (N,).
        at_least: pixels of an image; smaller ones are filled up with 0.
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
    """These values, without gradients and moments yet, and room for whole vectors."""
    size = (len(values) // LANES + 2) * LANES
    made = Tensor(*(aligned(size, np.float32) for _ in Tensor._fields))
    made.value[: len(values)] = values
    return made


def aligned(size: int, dtype: type[Number]) -> NDArray[Number]:
    """Zeros that begin where a cache line begins: reading across two costs double."""
    num_bytes = size * np.dtype(dtype).itemsize
    raw = np.zeros(num_bytes + CACHE_LINE, np.uint8)
    first = -raw.ctypes.data % CACHE_LINE
    return raw[first : first + num_bytes].view(dtype)
