"""A split in tiles: the form in which the sparse kernels evaluate it.

Digits are narrow and wide. Those alike leave the same pixels 0, and what is 0 in a whole
group costs nothing: validation images of MNIST have 661 pixels in use, groups of an eighth
of them 488 on average.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Bytes, Integers
from pipeline.core.batches import Dataset, Split
from pipeline.core.training.compiled import aligned
from pipeline.core.training.sparse.kernels import Tiles, Wiring
from pipeline.core.training.sparse.wiring import Bools, rewire
from pipeline.core.training.vectors import LANES, Shape, Words

GROUPS = 8
"""each has a copy of the weights' numbers, which must not outgrow the caches"""
UPPER_HALF = (np.arange(256, dtype=np.float32).view(np.uint32) >> 16).astype(np.uint16)
"""of each byte as float32"""
WORTH_GROUPING = 0.9
"""of the pixels in use in all examples, what groups may use on average"""


def make_tiles(split: Split, data: Dataset, wiring: Wiring, shape: Shape) -> Tiles:
    """The examples of a split, grouped, and for each group the weights that they need.

    Args:
        split: its images are bytes.
        data: which it belongs to.
        wiring: of the network whose weights evaluations read.
        shape: of a tile; it is 16 · len(shape) columns wide.
    """
    width = LANES * len(shape)
    rows = split.images.reshape(len(split), -1)
    groups = _groups(split.images, width)
    shown = [rows[group].max(axis=0) > 0 for group in groups]
    if _hardly_pays(groups, shown):
        groups, shown = [np.arange(len(split))], [np.logical_or.reduce(shown)]
    seen = [rewire(wiring, pixels, data) for pixels in shown]
    pixels = [
        _packed(rows[group], one.pixels, width)
        for group, one in zip(groups, seen, strict=True)
    ]
    most_weights = max(len(one.weights) for one in seen)
    return Tiles(
        pixels=np.concatenate(pixels),
        labels=np.ascontiguousarray(split.labels[np.concatenate(groups)]),
        num_tiles=np.array([-(-len(group) // width) for group in groups]),
        num_rows=np.array([len(one.pixels) for one in seen]),
        first_visits=_firsts([one.visits for one in seen]),
        visits=np.concatenate([one.visits for one in seen]),
        starts=np.concatenate([one.starts for one in seen]),
        first_weights=_firsts([one.weights for one in seen]),
        sources=np.concatenate([one.sources for one in seen]),
        weights=np.concatenate([one.weights for one in seen]),
        first_parts=_firsts([one.rows for one in seen]),
        rows=np.concatenate([one.rows for one in seen]),
        scale=np.concatenate([one.scale for one in seen]),
        offset=np.zeros(sum(len(one.rows) for one in seen), np.float32),
        value=aligned((most_weights // LANES + 2) * LANES, np.float32),
        bias=aligned(wiring.num_units, np.float32),
    )


def _firsts(parts: Sequence[NDArray[Any]]) -> Integers:
    """Where each begins when they stand one after the other; and the end."""
    return np.cumsum([0, *(len(part) for part in parts)])


def _groups(images: Bytes, width: int) -> list[Integers]:
    """The examples by the extent of what they show, in groups of whole tiles."""
    num_examples = len(images)
    size = -(-num_examples // (GROUPS * width)) * width
    order = _by_extent(images)
    return [order[first : first + size] for first in range(0, num_examples, size)]


def _hardly_pays(groups: Sequence[Integers], shown: Sequence[Bools]) -> bool:
    """Whether groups use about the pixels of all: photographs fill their frame."""
    pairs = zip(groups, shown, strict=True)
    used = sum(len(group) * np.count_nonzero(pixels) for group, pixels in pairs)
    num_examples = sum(len(group) for group in groups)
    in_use = np.count_nonzero(np.logical_or.reduce(shown))
    return bool(used > WORTH_GROUPING * num_examples * in_use)


def _by_extent(images: Bytes) -> Integers:
    """From narrow to wide, equally wide ones from left to right."""
    filled = images.max(axis=(1, 2)) > 0
    left, right = filled.argmax(axis=1), filled[:, ::-1].argmax(axis=1)
    width = np.where(filled.any(axis=1), filled.shape[1] - left - right, 0)
    order: Integers = np.lexsort((left, width))
    return order


def _packed(rows: Bytes, pixels: Integers, width: int) -> Words:
    """The pixel matrices of the tiles of a group, one after the other."""
    half, num_tiles = width // 2, -(-len(rows) // width)
    columns = UPPER_HALF[rows.T[pixels]]
    packed = np.zeros((num_tiles, len(pixels), half, 2), np.uint16)
    for number, words in enumerate(packed):
        for side in (0, 1):
            first = width * number + half * side
            found = columns[:, first : first + half]
            words[:, : found.shape[1], side] = found
    return packed.reshape(-1).view(np.uint32)
