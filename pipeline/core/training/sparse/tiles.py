"""A split in tiles: the form in which the sparse kernels evaluate it.

Digits are narrow and wide. Those alike leave the same pixels 0, and what is 0 in a whole
tile costs nothing.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Bytes, Integers
from pipeline.core.batches import Split
from pipeline.core.training.compiled import aligned
from pipeline.core.training.kernels import Examples
from pipeline.core.training.sparse.kernels import Net, Tiles, Workspace, find_filled, pack
from pipeline.core.training.vectors import CHUNK, LANES, Shape

Pixel = TypeVar("Pixel", np.float32, np.uint8)


def make_tiles(split: Split, net: Net, work: Workspace, shape: Shape) -> Tiles:
    """The examples of a split, those alike side by side.

    Args:
        split: its images are bytes.
        net: that evaluations are of.
        work: of blocks as wide as a tile.
        shape: of a tile; it is 16 · len(shape) columns wide.
    """
    width = LANES * len(shape)
    num_tiles = -(-len(split) // width)
    num_core, num_rim = net.wiring.num_core, len(net.wiring.rim_ends)
    order = _by_extent(split.images) if num_rim else np.arange(len(split))
    size = num_tiles * (num_core + num_rim) * width // 2
    scaling = net.scaling
    tiles = Tiles(
        pixels=aligned(size, np.uint32),
        first_words=np.zeros(num_tiles + 1, np.int64),
        lit=np.empty(num_tiles * num_rim, np.int64),
        first_lit=np.zeros(num_tiles + 1, np.int64),
        rows=num_core + np.arange(num_rim),
        labels=split.labels[order],
        scaling=scaling._replace(
            offset=0 * scaling.offset, rim_offset=0 * scaling.rim_offset
        ),
    )
    pack(net, flat(split.images, split.labels), order, tiles, work, shape)
    return tiles


def flat(images: NDArray[Pixel], labels: Integers) -> Examples:
    """Images as rows, each at least as long as what is read at once."""
    rows = images.reshape(len(images), -1)
    missing = max(CHUNK - rows.shape[1], 0)
    if missing:
        rows = np.pad(rows, ((0, 0), (0, missing)))
    return Examples(
        images=np.ascontiguousarray(rows).reshape(-1),
        labels=np.ascontiguousarray(labels),
        num_pixels=rows.shape[1],
    )


def _by_extent(images: Bytes) -> Integers:
    """From narrow to wide, equally wide ones from left to right."""
    num_columns = images.shape[-1]
    found = np.zeros((len(images), num_columns), np.uint8)
    find_filled(images.reshape(len(images), -1, num_columns), found)
    filled = found > 0
    left, right = filled.argmax(axis=1), filled[:, ::-1].argmax(axis=1)
    width = np.where(filled.any(axis=1), num_columns - left - right, 0)
    order: Integers = np.lexsort((left, width))
    return order
