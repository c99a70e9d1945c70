"""Inputs of the batched engine's steps, on the device: examples, flips, learning rates.

All inputs keep their place in memory, so that a captured CUDA graph finds them.

Legend: S lanes, B examples per batch.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from pipeline.core.augmentations.flip_crop import MAX_SHIFT, flip_crop_draws
from pipeline.core.training.engine import Job
from pipeline.core.training.schedules import learning_rate

STRETCH = 64
"""number of steps whose inputs are laid out on the device at once"""


class Inputs:
    """The inputs of a stretch of steps; each step moves the position on by one."""

    def __init__(self, jobs: Sequence[Job], device: torch.device) -> None:
        self._jobs = jobs
        settings = jobs[0].settings
        self._orders = [job.batch_order() for job in jobs]
        shape = (STRETCH, len(jobs), settings.batch_size)
        self.position = torch.zeros(1, dtype=torch.int64, device=device)
        """position of the next step within the stretch"""
        self._examples = torch.zeros(shape, dtype=torch.int64, device=device)
        self._flips = torch.zeros(shape, dtype=torch.bool, device=device)
        self._corners = torch.zeros((*shape, 2), dtype=torch.int64, device=device)
        self._counts = torch.zeros(STRETCH, device=device)
        self._rates = torch.zeros(STRETCH, device=device)

    def lay_out(self, first_step: int, num_steps: int) -> None:
        """Fill in the inputs of at most STRETCH steps, and go to the first of them."""
        job = self._jobs[0]
        steps = range(first_step, first_step + num_steps)
        examples = [order.indices(first_step, num_steps) for order in self._orders]
        _fill(self._examples, np.stack(examples, axis=1))
        _fill(self._counts, np.array([step + 1 - job.first_step for step in steps]))
        rates = [learning_rate(job.settings, step, job.total_steps) for step in steps]
        _fill(self._rates, np.array(rates))
        if job.settings.augment == "flip-crop":
            draws = [[_draws(job, step) for job in self._jobs] for step in steps]
            _fill(self._flips, np.array([[flips for flips, _ in row] for row in draws]))
            _fill(self._corners, np.array([[at for _, at in row] for row in draws]))
        self.position.zero_()

    def examples(self) -> Tensor:
        """Positions of the training examples of this step: int64 (S, B)."""
        return self._now(self._examples)

    def flip_crop(self) -> tuple[Tensor, Tensor]:
        """Flips, bool (S, B), and corners, int64 (S, B, 2), of this step."""
        return self._now(self._flips), self._now(self._corners)

    def count_and_rate(self) -> tuple[Tensor, Tensor]:
        """Number of this update, counted from 1, and its learning rate."""
        return self._now(self._counts), self._now(self._rates)

    def next(self) -> None:
        """Go to the next step."""
        self.position.add_(1)

    def _now(self, stretch: Tensor) -> Tensor:
        return stretch.index_select(0, self.position)[0]


def moved(images: Tensor, flips: Tensor, corners: Tensor) -> Tensor:
    """Flip-crop with the same bits as in ``pipeline.core.augmentations``, on any device.

    Args:
        images: (S, B, C, H, W).
        flips: bool (S, B).
        corners: int64 (S, B, 2).

    Returns:
        The changed images, in the shape of ``images``.
    """
    flat = F.pad(images.flatten(0, 1), [MAX_SHIFT] * 4)
    height, width = images.shape[-2:]
    rows, columns = (torch.arange(size, device=images.device) for size in (height, width))
    first = corners.flatten(0, 1)  # (S·B, 2)
    columns = torch.where(flips.flatten()[:, None], columns.flip(0), columns)
    examples = torch.arange(len(flat), device=images.device)[:, None, None]
    pixels = flat.movedim(1, -1)[
        examples, (first[:, :1] + rows)[:, :, None], (first[:, 1:] + columns)[:, None, :]
    ]  # (S·B, H, W, C)
    return pixels.movedim(-1, 1).reshape(images.shape)


def _draws(job: Job, step: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    return flip_crop_draws(
        job.settings.batch_size, seed=job.seed, round=job.round, copy=job.copy, step=step
    )


def _fill(buffer: Tensor, values: NDArray[np.generic]) -> None:
    buffer[: len(values)].copy_(torch.tensor(values))
