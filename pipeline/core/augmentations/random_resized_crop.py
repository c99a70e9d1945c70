"""Random resized crops: parts of random size and shape, cut out of images and enlarged."""

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own name for it
from numpy.typing import NDArray
from torch import Tensor

from pipeline.core import seeding
from pipeline.core.arrays import Integers

AREAS = (0.08, 1.0)
"""least and largest share of the image's pixels"""
RATIOS = (3 / 4, 4 / 3)
"""least and largest ratio of width to height"""
TRIES = 10
"""draws of an area and a ratio; where none of them fits, the crop is the middle"""


class Crops(NamedTuple):
    """The parts of the images of one step, and whether they are mirrored."""

    flips: NDArray[np.bool_]
    """bool (B,), with probability 1/2"""
    sizes: Integers
    """height and width in pixels, int64 (B, 2)"""
    corners: Integers
    """first row and column, int64 (B, 2)"""


def augment(
    images: Tensor, *, seed: int, round: int, copy: int | str = 0, step: int
) -> Tensor:
    """Cut a part out of each image, resize it, and mirror half of them left to right.

    A part has 8 to 100 % of the pixels and a ratio of width to height of 3/4 to 4/3, drawn
    on a logarithmic scale; its place is uniform. It is enlarged by bilinear interpolation.

    Source: Szegedy et al. 2015, arXiv:1409.4842, section 6, as ``RandomResizedCrop`` of
    torchvision has it, the recipe of ResNet-50. Deviation: there the part is cut out of the
    photograph; here out of the square that the data set holds.

    Args:
        images: normalized float32 (B, C, H, W), on any device; left unchanged.
        seed: of the replicate.
        round: of the training.
        copy: of the training.
        step: whose batch this is.

    Returns:
        The changed images, in the shape of ``images``.
    """
    shape = tuple(images.shape[2:])
    crops = drawn(len(images), shape, seed=seed, round=round, copy=copy, step=step)
    changed = torch.empty_like(images)
    for number, (flip, size, corner) in enumerate(
        zip(crops.flips.tolist(), crops.sizes.tolist(), crops.corners.tolist(), strict=True)
    ):
        (height, width), (top, left) = size, corner
        part = images[number : number + 1, :, top : top + height, left : left + width]
        part = F.interpolate(part, shape, mode="bilinear")
        changed[number] = part[0].flip(-1) if flip else part[0]
    return changed


def drawn(
    batch_size: int,
    shape: tuple[int, ...],
    *,
    seed: int,
    round: int,
    copy: int | str = 0,
    step: int,
) -> Crops:
    """Draw the parts of one step's batch, as a function of the step alone.

    Args:
        batch_size: B.
        shape: height and width of the images.
        seed: of the replicate.
        round: of the training.
        copy: of the training.
        step: whose batch this is.
    """
    rng = seeding.generator(seed, "augment", round=round, copy=f"{copy}/step={step}")
    flips = rng.integers(0, 2, size=batch_size, dtype=np.int64).astype(np.bool_)
    areas = rng.uniform(*AREAS, (batch_size, TRIES)) * math.prod(shape)
    low, high = map(math.log, RATIOS)
    ratios = np.exp(rng.uniform(low, high, (batch_size, TRIES)))
    places = rng.random((batch_size, 2))
    tried = np.rint(np.sqrt([areas / ratios, areas * ratios])).astype(np.int64)
    sizes: Integers = np.moveaxis(tried, 0, -1)  # (B, TRIES, 2)
    whole = np.array(shape, np.int64)
    fits: NDArray[np.bool_] = np.all((sizes > 0) & (sizes <= whole), axis=-1)
    found: NDArray[np.bool_] = np.any(fits, axis=1, keepdims=True)
    first = sizes[np.arange(batch_size), fits.argmax(axis=1)]
    chosen = np.where(found, first, _middle(shape))
    free = whole - chosen
    inside = np.floor(places * (free + 1)).astype(np.int64)
    corners = np.where(found, inside, free // 2)
    return Crops(flips=flips, sizes=chosen, corners=corners)


def _middle(shape: tuple[int, ...]) -> Integers:
    """Height and width of the largest part with an allowed ratio."""
    height, width = shape
    low, high = RATIOS
    wanted = min(max(width / height, low), high)
    rows, columns = round(width / wanted), round(height * wanted)
    return np.array([min(height, rows), min(width, columns)])
