"""Flip-crop: training images moved and mirrored by chance, a function of the step."""

import numpy as np
from numpy.typing import NDArray

from pipeline.core import seeding
from pipeline.core.arrays import Floats, Integers

MAX_SHIFT = 4
"""pixels by which flip-crop moves an image in each direction, at most"""


def flip_crop_draws(
    batch_size: int, *, seed: int, round: int, copy: int | str = 0, step: int
) -> tuple[NDArray[np.bool_], Integers]:
    """The chance in one step's flip-crop, a function of the step alone.

    Returns:
        Whether to flip, bool (B,), probability 1/2; where the crop begins in the padded
        image, int64 (B, 2) for rows and columns, 0..2·MAX_SHIFT, MAX_SHIFT = unmoved.
    """
    rng = seeding.generator(seed, "augment", round=round, copy=f"{copy}/step={step}")
    flips = rng.integers(0, 2, size=batch_size, dtype=np.int64).astype(np.bool_)
    return flips, rng.integers(0, 2 * MAX_SHIFT + 1, size=(batch_size, 2))


def flip_crop(images: Floats, *, flips: NDArray[np.bool_], corners: Integers) -> Floats:
    """Move each image by up to 4 pixels, and mirror half of them left to right.

    What moves in from the border is 0 *after* normalization, the mean color, as in He
    et al. 2016 (arXiv:1512.03385, section 4.2). Deviation: the usual torchvision recipe
    and open_lth pad the raw image, hence with black.

    Args:
        images: normalized float32 (B, C, H, W); left unchanged.
        flips: bool (B,), from ``flip_crop_draws``.
        corners: int64 (B, 2), from ``flip_crop_draws``.

    Returns:
        Shape of ``images``.
    """
    border = (MAX_SHIFT, MAX_SHIFT)
    padded = np.pad(images, ((0, 0), (0, 0), border, border))
    windows = np.lib.stride_tricks.sliding_window_view(
        padded, images.shape[2:], axis=(2, 3)
    )  # (B, C, 9, 9, H, W), a view
    rows, columns = corners.T
    moved = windows[np.arange(len(images)), :, rows, columns]  # (B, C, H, W)
    return np.where(flips[:, None, None, None], moved[..., ::-1], moved)
