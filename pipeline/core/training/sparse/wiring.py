"""Who reads whom in a pruned network, as the lists that the sparse kernels follow."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Integers
from pipeline.core.batches import Dataset
from pipeline.core.training.sparse.kernels import CHUNK, Wiring

Bools = NDArray[np.bool_]

BLOCK_ROWS = 128
"""so many rows of 64 columns take 32 KB, and leave room in a first-level cache of 48"""
WEIGHTS_PER_VISIT = 10
"""of a unit in a block, on average, from which blocks pay"""


def wire(masks: Sequence[Bools], data: Dataset) -> tuple[Wiring, Integers]:
    """The kept weights of a fully connected network as lists of who reads whom.

    Args:
        masks: per layer, (outputs, inputs), True = kept; any of them may keep nothing.
        data: shape and normalization of its images are read.

    Returns:
        The wiring, whose weights stand in the order in which they are computed, those of
        units that reach no logit last; and for each of them its number in the order of
        the masks, layer by layer, in each as True entries are in C order.
    """
    num_units = np.cumsum([0, *(len(kept) for kept in masks)])
    live = _live(masks)
    chunks, row_of_pixel = _chunks(_used(masks[0], live[0]))
    num_rows = len(chunks) * CHUNK
    block_rows = _block_rows(masks[0][live[0]], num_rows)
    channels, rows, part_of_pixel = _parts(
        row_of_pixel, data.image_shape[0], block_rows or num_rows
    )
    visits = _visits(masks, live, part_of_pixel)
    visit_of_weight = _visit_of_weight(masks, visits, part_of_pixel)
    order = np.argsort(visit_of_weight, kind="stable")
    counts = np.bincount(visit_of_weight, minlength=len(visits) + 1)
    sources = [(row_of_pixel - rows[part_of_pixel])[np.nonzero(masks[0])[1]]]
    for kept, first_input in zip(masks[1:], num_units, strict=False):
        sources.append(first_input + np.nonzero(kept)[1])
    reader_starts, readers, reader_weights = _readers(masks, live, num_units)
    outgoing = masks[1].sum(axis=0) if masks[1:] else np.zeros(len(masks[0]), np.int64)
    std = np.array(data.std, np.float64)
    wiring = Wiring(
        visits=visits.astype(np.uint32),
        starts=_starts(counts[:-1]),
        sources=np.concatenate(sources)[order].astype(np.uint32),
        first_units=_from_few(live[0], outgoing).astype(np.uint32),
        reader_starts=reader_starts,
        readers=readers,
        reader_weights=np.argsort(order)[reader_weights].astype(np.uint32),
        chunks=chunks,
        rows=rows,
        scale=(1 / std).astype(np.float32)[channels],
        offset=(-np.array(data.mean) / std).astype(np.float32)[channels],
        num_rows=num_rows,
        block_rows=block_rows,
        num_hidden=int(num_units[-2]),
        num_units=int(num_units[-1]),
    )
    return wiring, order


def rewire(wiring: Wiring, shown: Bools) -> tuple[Wiring, Integers, Integers]:
    """The same network for images most of whose pixels may be 0, for forward passes.

    Args:
        wiring: as ``wire`` made it.
        shown: per pixel, whether it is other than 0 in any image.

    Returns:
        The wiring without the weights on other pixels and without offsets (which are to
        be added to the biases); the pixel in each row of the matrix that it reads, at
        least one; and the numbers of the weights that are left.
    """
    num_visits = len(wiring.rows) * len(wiring.first_units)
    part_of_visit = np.repeat(np.arange(len(wiring.rows)), len(wiring.first_units))
    part = np.repeat(part_of_visit, np.diff(wiring.starts[: num_visits + 1]))
    row = wiring.sources[: len(part)] + wiring.rows[part]
    pixel_of_row = np.add.outer(wiring.chunks, np.arange(CHUNK)).ravel()
    kept = np.ones(wiring.starts[-1], np.bool_)
    kept[: len(part)] = shown[pixel_of_row[row]]
    weights = np.flatnonzero(kept)
    old_rows, new_row = np.unique(row[kept[: len(part)]], return_inverse=True)
    rows = np.searchsorted(old_rows, wiring.rows)
    sources = wiring.sources[weights]
    sources[: len(new_row)] = new_row - rows[part[kept[: len(part)]]]
    pixels = pixel_of_row[old_rows] if len(old_rows) else np.zeros(1, np.int64)
    rewired = wiring._replace(
        starts=_starts(kept)[wiring.starts],
        sources=sources,
        rows=rows,
        offset=np.zeros_like(wiring.offset),
        num_rows=len(pixels),
    )
    return rewired, pixels, weights


def _live(masks: Sequence[Bools]) -> list[Bools]:
    """Per layer, the units from which kept weights lead to a logit."""
    live = [np.ones(len(masks[-1]), np.bool_)]
    for kept in masks[:0:-1]:
        live.insert(0, _used(kept, live[0]))
    return live


def _used(kept: Bools, live: Bools) -> Bools:
    """The inputs that a live unit reads."""
    used: Bools = np.logical_or.reduce(kept[live], axis=0)
    return used


def _visits(
    masks: Sequence[Bools], live: Sequence[Bools], part_of_pixel: Integers
) -> Integers:
    """The live units of all layers, those of the first one once per part of the input.

    In each part or layer from few to many incoming weights: neighbors are alike, so that
    the processor guesses right when their loops end.
    """
    parts = [masks[0][:, part_of_pixel == part] for part in range(part_of_pixel[-1] + 1)]
    units = [_from_few(live[0], kept.sum(axis=1)) for kept in parts]
    first = len(live[0])
    for kept, used in zip(masks[1:], live[1:], strict=True):
        units.append(first + _from_few(used, kept.sum(axis=1)))
        first += len(used)
    return np.concatenate(units)


def _from_few(live: Bools, counts: Integers) -> Integers:
    """The live units of a layer from few to many."""
    units = np.flatnonzero(live)
    return units[np.argsort(counts[units], kind="stable")]


def _visit_of_weight(
    masks: Sequence[Bools], visits: Integers, part_of_pixel: Integers
) -> Integers:
    """The visit in which each kept weight is read, or the number of visits if in none."""
    num_first, num_parts = len(masks[0]), part_of_pixel[-1] + 1
    of_unit = np.full((num_first + sum(map(len, masks[1:])), num_parts), len(visits))
    is_first = visits < num_first
    part = np.zeros_like(visits)
    part[is_first] = np.repeat(np.arange(num_parts), is_first.sum() // num_parts)
    of_unit[visits, part] = np.arange(len(visits))
    unit, pixel = np.nonzero(masks[0])
    found = [of_unit[unit, part_of_pixel[pixel]]]
    for kept in masks[1:]:
        found.append(of_unit[num_first + np.nonzero(kept)[0], 0])
        num_first += len(kept)
    return np.concatenate(found)


def _chunks(needed: Bools) -> tuple[Integers, Integers]:
    """The fewest runs of CHUNK neighbors that hold all needed pixels.

    Returns:
        Where each begins, within the image; and for each needed pixel its row in the
        matrix that has the chunks one below the other (for the others: that of the
        last needed one before, or 0).
    """
    last = max(len(needed) - CHUNK, 0)
    chunks: list[int] = []
    rows = np.zeros(len(needed), np.int64)
    for pixel in np.flatnonzero(needed):
        if not chunks or pixel >= chunks[-1] + CHUNK:
            chunks.append(min(int(pixel), last))
        rows[pixel] = (len(chunks) - 1) * CHUNK + pixel - chunks[-1]
    return np.array(chunks, np.int64), np.maximum.accumulate(rows)


def _block_rows(kept: Bools, num_rows: int) -> int:
    """BLOCK_ROWS, or 0 if live units have too few weights per block for that to pay."""
    num_visits = len(kept) * -(-num_rows // BLOCK_ROWS)
    pays = np.count_nonzero(kept) >= WEIGHTS_PER_VISIT * num_visits
    return BLOCK_ROWS if pays and num_visits else 0


def _parts(
    row_of_pixel: Integers, num_channels: int, block_rows: int
) -> tuple[Integers, Integers, Integers]:
    """The input in parts of one channel and one block of rows.

    Returns:
        Of each part, its channel and its first row; and the part of each pixel.
    """
    channel = np.repeat(np.arange(num_channels), len(row_of_pixel) // num_channels)
    block = row_of_pixel // max(block_rows, 1)
    begins = (np.diff(channel, prepend=-1) != 0) | (np.diff(block, prepend=-1) != 0)
    return channel[begins], block[begins] * block_rows, np.cumsum(begins) - 1


def _readers(
    masks: Sequence[Bools], live: Sequence[Bools], num_units: Integers
) -> tuple[NDArray[np.uint32], NDArray[np.uint32], Integers]:
    """Outgoing weights of hidden units to live units, by the unit they leave."""
    counts = np.zeros(int(num_units[-2]), np.int64)
    readers, positions = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    first_weight = np.count_nonzero(masks[0])
    for number, kept in enumerate(masks[1:], start=1):
        row, column = np.nonzero(kept)
        used = np.flatnonzero(live[number][row])
        used = used[np.argsort(column[used], kind="stable")]
        readers.append(num_units[number] + row[used])
        positions.append(first_weight + used)
        counts[num_units[number - 1] : num_units[number]] = np.bincount(
            column[used], minlength=kept.shape[1]
        )
        first_weight += len(row)
    return (
        _starts(counts),
        np.concatenate(readers).astype(np.uint32),
        np.concatenate(positions),
    )


def _starts(counts: Integers) -> NDArray[np.uint32]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.uint32)
