"""Inputs of the sparse kernels: pixels, mostly blank ones at the border, blank rows."""

import numpy as np

from pipeline.core.arrays import Bytes, Floats, Integers
from pipeline.engines.shared.caching import kernel
from pipeline.engines.shared.kernels import Examples, announce
from pipeline.engines.shared.rows import CHUNK, transpose
from pipeline.engines.shared.sums import range_sum
from pipeline.engines.shared.vectors import (
    LANES,
    Shape,
    Vectors,
    Words,
    fma,
    is_blank,
    load,
    splat,
    uint,
)
from pipeline.engines.sparse.records import Arranged, Net, Reads, Shorts, Wiring, Workspace


@kernel
def gather(
    net: Net, examples: Examples, block: Integers, work: Workspace, shape: Shape
) -> int:
    """Fill the pixel matrix; padding repeats the last example.

    Returns:
        The number of rim rows that are not blank; ``work.lit`` lists them.
    """
    wiring, half = net.wiring, 8 * len(shape)
    for column in range(2 * half):
        example = block[min(column, len(block) - 1)]
        work.begins[column] = example * examples.num_pixels
    for chunk in range(len(wiring.chunks)):
        for left in range(0, half, LANES):
            transpose(
                examples.images,
                wiring.chunks[chunk],
                work.begins,
                (left, half),
                work.pixels,
                (wiring.places, chunk * CHUNK),
            )
    num_lit: int = _find_lit(wiring, work, shape)
    return num_lit


@kernel
def gather_arranged(
    net: Net, split: Arranged, first: int, work: Workspace, shape: Shape
) -> int:
    """``gather`` the block that begins at ``first``, and announce the next one."""
    end = first + LANES * len(shape)
    announce(split.examples, split.order[end : 2 * end - first])
    num_lit: int = gather(net, split.examples, split.order[first:end], work, shape)
    return num_lit


@kernel
def _find_lit(wiring: Wiring, work: Workspace, shape: Shape) -> int:
    """Note which rows of the rim are not blank; returns how many."""
    num_core, num_lit = wiring.num_core, 0
    for row in range(len(wiring.rim_ends)):
        at = uint(num_core + row) * uint(LANES * len(shape))
        is_lit = not is_blank(work.pixels, at, shape)
        work.is_lit[row] = is_lit
        work.lit[num_lit] = row
        num_lit += is_lit
    return num_lit


@kernel
def find_filled(rows: Bytes, filled: Bytes) -> None:
    """Make ``filled`` (N, W) other than 0 where a column of images (N, C · H, W) is.

    Only every other row is looked at, since strokes are two pixels wide.
    """
    num_examples, num_rows, num_columns = rows.shape
    for example in range(num_examples):
        for row in range(0, num_rows, 2):
            for column in range(num_columns):
                at = (uint(example), uint(column))
                filled[at] |= rows[uint(example), uint(row), uint(column)]


@kernel
def pack(
    net: Net,
    split: Arranged,
    pixels: Words,
    places: Integers,
    work: Workspace,
    shape: Shape,
) -> None:
    """Write a split into tiles with room for all rows.

    Also write ``places`` (tiles, rows): the number of each row in its tile, -1 if blank.
    """
    width = LANES * len(shape)
    size = width // 2
    num_tiles, num_rows = places.shape
    count = 0
    for tile in range(num_tiles):
        gather_arranged(net, split, tile * width, work, shape)
        first = count
        for row in range(num_rows):
            if is_blank(work.pixels, uint(row * width), shape):
                places[tile, row] = -1
                continue
            places[tile, row] = count - first
            for word in range(size):
                pixels[uint(count * size + word)] = work.pixels[uint(row * size + word)]
            count += 1


@kernel
def list_reads(
    reads: Reads, places: Integers, order: Integers, rows: Shorts, listed: Shorts
) -> None:
    """Write the reads of rows that are not blank, tile by tile.

    Args:
        reads: of the first layer.
        places: (tiles, rows), from ``pack``.
        order: of the tiles.
        rows: of the tiles, with room for all and one more.
        listed: the tiles' ``reads``, likewise.
    """
    count = 0
    for tile in range(len(order)):
        for number in order[tile]:
            first, end = span(reads.starts, uint(number))
            for k in range(first, end):
                place = places[uint(tile), uint(reads.rows[k])]
                rows[uint(count)], listed[uint(count)] = place, k - first
                count += place >= 0


@kernel
def take_biases(net: Net, work: Workspace) -> None:
    """Copy the biases; add to those of the first layer what it reads from blank rim rows.

    A diverged weight shows there, too: 0 · NaN is NaN.
    """
    wiring, value = net.wiring, net.weights.value
    for unit in range(wiring.num_units):
        work.biases[unit] = net.biases.value[unit]
    row, end = blank_rows(wiring, work, 0)
    while row < end:
        offset = net.scaling.rim_offset[row]
        for k in range(uint(wiring.rim_starts[row]), uint(wiring.rim_starts[end])):
            work.biases[uint(wiring.sources[k])] += offset * value[k]
        row, end = blank_rows(wiring, work, end)


@kernel
def take_all_offsets(net: Net, work: Workspace) -> None:
    """Copy the biases, and add what the whole input adds when every row is blank."""
    wiring = net.wiring
    work.is_lit[:] = False
    take_biases(net, work)
    for part in range(len(wiring.rows)):
        for visit in numbers(wiring.first_visits, uint(part)):
            first, end = span(wiring.starts, visit)
            total = weights_total(net.weights.value, first, end)
            work.biases[wiring.visits[visit]] += total * net.scaling.offset[part]


@kernel
def blank_rows(wiring: Wiring, work: Workspace, first: int) -> tuple[int, int]:
    """The next run of neighboring blank rim rows of one channel; it may be empty."""
    num_rows = len(wiring.rim_ends)
    while first < num_rows and work.is_lit[first]:
        first += 1
    end = first
    while end < num_rows and end < wiring.rim_ends[first] and not work.is_lit[end]:
        end += 1
    return first, end


@kernel
def rim_row(net: Net, row: int, work: Workspace, shape: Shape) -> Vectors:
    """The normalized pixels of a rim row."""
    at = uint(net.wiring.num_core + row) * uint(LANES * len(shape))
    scale = splat(net.scaling.rim_scale[row], shape)
    offset = splat(net.scaling.rim_offset[row], shape)
    return fma(scale, load(work.pixels, at, shape), offset)


@kernel
def weights_total(value: Floats, first: np.uint64, end: np.uint64) -> np.float32:
    """Sum of a range of weights."""
    total = np.float32(0)
    while first < end:
        total += range_sum(value, first, end - first)
        first += uint(LANES)
    return total


@kernel
def span(firsts: Words | Integers, number: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Where an item of a packed list begins and ends."""
    return uint(firsts[number]), uint(firsts[number + uint(1)])


@kernel
def numbers(firsts: Words | Integers, number: np.uint64) -> range:
    """The range from an item's begin to its end in a packed list."""
    return range(*span(firsts, number))
