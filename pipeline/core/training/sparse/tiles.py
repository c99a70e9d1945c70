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
    groups = _groups(split.images, width)
    seen = [rewire(wiring, _shown(split.images[group]), data) for group in groups]
    pixels = [
        _packed(split.images[group], one.pixels, width)
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
    """The examples by the extent of what they show, in groups of whole tiles.

    One group in their own order where grouping would hardly pay: photographs fill their
    frame.
    """
    num_examples = len(images)
    size = -(-num_examples // (GROUPS * width)) * width
    order = _by_extent(images)
    groups = [order[first : first + size] for first in range(0, num_examples, size)]
    used = sum(len(group) * _shown(images[group]).sum() for group in groups)
    if used > WORTH_GROUPING * num_examples * _shown(images).sum():
        return [np.arange(num_examples)]
    return groups


def _by_extent(images: Bytes) -> Integers:
    """From narrow to wide, equally wide ones from left to right."""
    filled = images.max(axis=(1, 2)) > 0
    left, right = filled.argmax(axis=1), filled[:, ::-1].argmax(axis=1)
    order: Integers = np.lexsort((left, -left - right))
    return order


def _shown(images: Bytes) -> Bools:
    """Per pixel, whether it is other than 0 in any image."""
    shown: Bools = images.reshape(len(images), -1).max(axis=0) > 0
    return shown


def _packed(images: Bytes, pixels: Integers, width: int) -> Words:
    """The pixel matrices of the tiles of a group, one after the other."""
    rows, half = images.reshape(len(images), -1), width // 2
    packed = np.empty((-(-len(rows) // width), len(pixels), half), np.uint32)
    for number, words in enumerate(packed):
        part = rows[width * number : width * (number + 1)]
        tile = np.zeros((len(pixels), width), np.float32)
        tile[:, : len(part)] = part.T[pixels]
        bits = tile.view(np.uint32)
        np.bitwise_or(bits[:, :half] >> 16, bits[:, half:], out=words)
    return packed.reshape(-1)
