"""Arrange the examples of a split so that similar ones share a tile.

Some digits are narrow and some are wide. Similar digits leave the same pixels 0, and
weights on a pixel that is 0 in a whole tile are left out.
"""

import numpy as np

from pipeline.core.arrays import Integers
from pipeline.core.batches import Split
from pipeline.engines.shared.compiled import aligned, flat
from pipeline.engines.shared.rows import CHUNK
from pipeline.engines.shared.vectors import LANES, MAX_VECTORS, Shape
from pipeline.engines.sparse.inputs import find_filled, list_reads, pack
from pipeline.engines.sparse.records import Arranged, Net, Reads, Tiles, Workspace
from pipeline.engines.sparse.wiring import Bools, firsts, starts_of

TILE: Shape = (0,) * (2 * MAX_VECTORS)
"""the shape of a tile, as wide as registers allow: 16 · len(TILE) columns"""
MAX_READS = 2**22
"""most reads of a split that are listed tile by tile: 16 MB, or half if half are blank"""
MAX_ROWS = 2**16
"""most rows of a tile: as many as the numbers in a list can distinguish"""


def are_few(reads: Reads, split: Arranged) -> bool:
    """Whether the reads of a split are few enough to be listed tile by tile."""
    num_reads = len(reads.rows) * _num_tiles(split)
    return num_reads <= MAX_READS and split.examples.num_pixels <= MAX_ROWS


def _num_tiles(split: Arranged) -> int:
    return -(-len(split.order) // (LANES * len(TILE)))


def make_tiles(split: Arranged, net: Net, reads: Reads, work: Workspace) -> Tiles:
    """Put a split into tiles.

    Args:
        split: its images are bytes.
        net: the network that is to be evaluated.
        reads: what its first layer reads.
        work: working memory for blocks as wide as a tile.
    """
    width, wiring = LANES * len(TILE), net.wiring
    num_rows = wiring.num_core + len(wiring.rim_ends)
    num_tiles = _num_tiles(split)
    pixels = aligned(num_tiles * num_rows * width // 2, np.uint32)
    places = np.empty((num_tiles, num_rows), np.int64)
    pack(net, split, pixels, places, work, TILE)
    is_lit = places >= 0
    counts = _numbers_of_reads(reads, is_lit)
    from_few = np.argsort(counts, axis=1, kind="stable")
    starts = starts_of(np.take_along_axis(counts, from_few, axis=1).ravel())
    rows, listed = np.empty((2, int(starts[-1]) + 1), np.uint16)
    list_reads(reads, places, from_few, rows, listed)
    first_rows = firsts(np.count_nonzero(is_lit, axis=1))
    return Tiles(
        pixels=pixels,
        first_words=np.append(first_rows, first_rows[-1]) * width // 2,
        order=from_few.astype(np.uint32),
        starts=starts,
        rows=rows,
        reads=listed,
    )


def _numbers_of_reads(reads: Reads, is_lit: Bools) -> Integers:
    """How many lit rows each unit reads in each tile, (tiles, units).

    ``is_lit`` is (tiles, rows).
    """
    reads_row = np.zeros((len(reads.units), is_lit.shape[1]), np.float32)
    unit = np.repeat(np.arange(len(reads.units)), np.diff(reads.starts))
    reads_row[unit, reads.rows] = 1
    counts: Integers = (is_lit.astype(np.float32) @ reads_row.T).astype(np.int64)
    return counts


def arranged(split: Split) -> Arranged:
    """Order a split from narrow to wide images, equally wide ones from left to right."""
    num_columns = split.images.shape[-1]
    found = np.zeros((len(split), num_columns), np.uint8)
    find_filled(split.images.reshape(len(split), -1, num_columns), found)
    filled = found > 0
    left, right = filled.argmax(axis=1), filled[:, ::-1].argmax(axis=1)
    width = np.where(filled.any(axis=1), num_columns - left - right, 0)
    order = np.lexsort((left, width))
    return Arranged(flat(split.images, split.labels, CHUNK), order, split.labels[order])
