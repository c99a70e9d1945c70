"""Flip-crop: shift and mirror training images at random, as a function of the step."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.core import seeding
from pipeline.core.arrays import Floats, Integers

if TYPE_CHECKING:
    from torch import Tensor  # compiled engines train without torch

MAX_SHIFT = 4
"""the most pixels by which flip-crop moves an image in each direction"""


def augment(
    images: "Tensor", *, seed: int, round: int, copy: int | str = 0, step: int
) -> "Tensor":
    """Move and mirror each image of a batch; see ``flip_crop``."""
    flips, corners = flip_crop_draws(
        len(images), seed=seed, round=round, copy=copy, step=step
    )
    moved = flip_crop(images.cpu().numpy(), flips=flips, corners=corners)
    return images.new_tensor(moved)


def flip_crop_draws(
    batch_size: int, *, seed: int, round: int, copy: int | str = 0, step: int
) -> tuple[NDArray[np.bool_], Integers]:
    """Draw the flips and shifts of one step's batch, as a function of the step alone.

    Returns:
        Whether to flip each image, bool (B,), with probability 1/2; and where its crop
        begins in the padded image, int64 (B, 2) for rows and columns, in
        0..2·MAX_SHIFT, where MAX_SHIFT leaves the image in its place.
    """
    rng = seeding.generator(seed, "augment", round=round, copy=f"{copy}/step={step}")
    flips = rng.integers(0, 2, size=batch_size, dtype=np.int64).astype(np.bool_)
    return flips, rng.integers(0, 2 * MAX_SHIFT + 1, size=(batch_size, 2))


def flip_crop(images: Floats, *, flips: NDArray[np.bool_], corners: Integers) -> Floats:
    """Move each image by up to 4 pixels, and mirror half of them left to right.

    Pixels that move in from the border are 0 *after* normalization, the mean color, as
    in He et al. 2016 (arXiv:1512.03385, section 4.2). Deviation: the usual torchvision
    recipe and open_lth pad the raw image, hence with black.

    Args:
        images: normalized float32 (B, C, H, W); left unchanged.
        flips: bool (B,), from ``flip_crop_draws``.
        corners: int64 (B, 2), from ``flip_crop_draws``.

    Returns:
        The changed images, in the shape of ``images``.
    """
    border = (MAX_SHIFT, MAX_SHIFT)
    padded = np.pad(images, ((0, 0), (0, 0), border, border))
    windows = np.lib.stride_tricks.sliding_window_view(
        padded, images.shape[2:], axis=(2, 3)
    )  # (B, C, 9, 9, H, W), a view
    rows, columns = corners.T
    moved = windows[np.arange(len(images)), :, rows, columns]  # (B, C, H, W)
    return np.where(flips[:, None, None, None], moved[..., ::-1], moved)
