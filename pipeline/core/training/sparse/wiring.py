"""Who reads whom in a pruned network, as the lists that the sparse kernels follow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Integers
from pipeline.core.batches import Dataset
from pipeline.core.training.sparse.kernels import Wiring
from pipeline.core.training.vectors import CHUNK

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
        row_of_pixel, _channels(data), block_rows or num_rows
    )
    visits, visit_of_weight = _visits(masks, live, part_of_pixel)
    order = _by_visit(visit_of_weight, len(visits))
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
        scale=_scale(data)[channels],
        offset=(-np.array(data.mean) / std).astype(np.float32)[channels],
        num_rows=num_rows,
        block_rows=block_rows,
        num_hidden=int(num_units[-2]),
        num_units=int(num_units[-1]),
    )
    return wiring, order


@dataclass(frozen=True, kw_only=True, slots=True)
class Rewired:
    """What changes in a wiring where some pixels are always 0."""

    visits: NDArray[np.uint32]
    starts: NDArray[np.uint32]
    sources: NDArray[np.uint32]
    rows: Integers
    scale: Floats
    pixels: Integers
    """in each row of the matrix that is read; at least one"""
    weights: NDArray[np.uint32]
    """the numbers of the weights that are left"""


def rewire(wiring: Wiring, shown: Bools, data: Dataset) -> Rewired:
    """The same network for images most of whose pixels may be 0, for forward passes.

    Args:
        wiring: as ``wire`` made it.
        shown: per pixel, whether it is other than 0 in any image.
        data: as ``wire`` got it.
    """
    units = np.sort(wiring.first_units).astype(np.int64)
    num_visits = len(wiring.rows) * len(units)
    first, end = wiring.starts[num_visits], wiring.starts[-1]
    visit = np.repeat(np.arange(num_visits), np.diff(wiring.starts[: num_visits + 1]))
    row = wiring.sources[:first] + wiring.rows[visit // max(len(units), 1)]
    pixel = np.add.outer(wiring.chunks, np.arange(CHUNK)).ravel()[row]
    kept = np.flatnonzero(shown[pixel])
    unit, pixel = wiring.visits[visit[kept]].astype(np.int64), pixel[kept]
    used = np.zeros(len(shown), np.bool_)
    used[pixel] = True
    pixels = np.flatnonzero(used) if len(pixel) else np.zeros(1, np.int64)
    row_of_pixel = np.maximum(np.cumsum(used) - 1, 0)
    channels, rows, part_of_pixel = _parts(
        row_of_pixel, _channels(data), wiring.block_rows or len(pixels)
    )
    part = part_of_pixel[pixel]
    visits, new_visit = _visits_of_parts(units, unit, part, len(rows))
    order = _by_visit(new_visit, len(visits))
    counts = np.bincount(new_visit, minlength=len(visits))
    return Rewired(
        visits=np.concatenate([visits.astype(np.uint32), wiring.visits[num_visits:]]),
        starts=_starts(np.concatenate([counts, np.diff(wiring.starts[num_visits:])])),
        sources=np.concatenate(
            [
                (row_of_pixel[pixel] - rows[part])[order].astype(np.uint32),
                wiring.sources[first:end],
            ]
        ),
        rows=rows,
        scale=_scale(data)[channels],
        pixels=pixels,
        weights=np.concatenate([kept[order], np.arange(first, end)]).astype(np.uint32),
    )


def _channels(data: Dataset) -> Integers:
    """The channel of each pixel."""
    channels, *plane = data.image_shape
    return np.repeat(np.arange(channels), math.prod(plane))


def _scale(data: Dataset) -> Floats:
    """Per channel, 1 / std."""
    return (1 / np.array(data.std, np.float64)).astype(np.float32)


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
) -> tuple[Integers, Integers]:
    """The live units of all layers, those of the first one once per part of the input.

    In each part or layer from few to many incoming weights: neighbors are alike, so that
    the processor guesses right when their loops end.

    Returns:
        The units; and of each kept weight the visit in which it is read, or the number of
        visits if that is in none.
    """
    unit, pixel = np.nonzero(masks[0])
    read = live[0][unit]
    part = part_of_pixel[pixel]
    first_visits, first_visit = _visits_of_parts(
        np.flatnonzero(live[0]), unit[read], part[read], part_of_pixel[-1] + 1
    )
    visits, visit_of_unit = [first_visits], []
    num_visits, first_unit = len(first_visits), len(masks[0])
    for kept, used in zip(masks[1:], live[1:], strict=True):
        units = _from_few(used, kept.sum(axis=1))
        visits.append(first_unit + units)
        place = np.full(len(used), -1)
        place[units] = num_visits + np.arange(len(units))
        visit_of_unit.append(place[np.nonzero(kept)[0]])
        num_visits, first_unit = num_visits + len(units), first_unit + len(used)
    of_first = np.full(len(unit), -1)
    of_first[read] = first_visit
    visit_of_weight = np.concatenate([of_first, *visit_of_unit])
    visit_of_weight[visit_of_weight < 0] = num_visits
    return np.concatenate(visits), visit_of_weight


def _visits_of_parts(
    units: Integers, unit: Integers, part: Integers, num_parts: int
) -> tuple[Integers, Integers]:
    """The visits of the first layer, part by part, in each from few to many weights.

    Args:
        units: the live ones, ascending.
        unit: of each weight of a live unit.
        part: of the pixel that this weight reads.
        num_parts: how many there are.

    Returns:
        The unit of each visit; and the visit of each weight.
    """
    index = np.zeros(units.max(initial=0) + 1, np.int64)
    index[units] = np.arange(len(units))
    place = part * len(units) + index[unit]
    counts = np.bincount(place, minlength=num_parts * len(units))
    from_few = np.argsort(counts.reshape(num_parts, -1), axis=1, kind="stable")
    first_visit = np.arange(num_parts)[:, np.newaxis] * len(units)
    visit = (first_visit + np.argsort(from_few, axis=1)).ravel()
    return units[from_few].ravel(), visit[place]


def _by_visit(visit: Integers, num_visits: int) -> Integers:
    """The order of weights by visit: numpy sorts numbers of 16 bits by counting."""
    small = visit.astype(np.min_scalar_type(num_visits))
    order: Integers = np.argsort(small, kind="stable")
    return order


def _from_few(live: Bools, counts: Integers) -> Integers:
    """The live units of a layer from few to many."""
    units = np.flatnonzero(live)
    return units[np.argsort(counts[units], kind="stable")]


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
    row_of_pixel: Integers, channel: Integers, block_rows: int
) -> tuple[Integers, Integers, Integers]:
    """The input in parts of one channel and one block of rows.

    Returns:
        Of each part, its channel and its first row; and the part of each pixel.
    """
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
