"""List the examples of steps in the form that the kernels for convolutions read."""

import numpy as np
from numpy.typing import NDArray

from pipeline.core.augmentations.flip_crop import MAX_SHIFT, flip_crop_draws
from pipeline.core.batches import BatchOrder
from pipeline.core.training.engine import Job
from pipeline.engines.sparse_conv.records import Order


def ordered(job: Job, order: BatchOrder, first_step: int, num_steps: int) -> Order:
    """Which examples a stretch of steps sees, and how flip-crop moves them."""
    found = unmoved(order.indices(first_step, num_steps))
    if job.settings.augment == "flip-crop":
        for number in range(num_steps):
            found.flips[number], corners = flip_crop_draws(
                job.settings.batch_size,
                seed=job.seed,
                round=job.round,
                copy=job.copy,
                step=first_step + number,
            )
            found.shifts[number] = corners - MAX_SHIFT
    return found


def unmoved(examples: NDArray[np.int64]) -> Order:
    """The examples of some steps, (steps, B), as they are."""
    return Order(
        examples=examples,
        flips=np.zeros(examples.shape, np.bool_),
        shifts=np.zeros((*examples.shape, 2), np.int64),
    )
