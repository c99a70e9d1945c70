"""Who reads whom in a pruned network, as the lists that the sparse kernels follow."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Integers
from pipeline.core.batches import Dataset
from pipeline.core.training.sparse.kernels import Scaling, Wiring
from pipeline.core.training.vectors import CHUNK

Bools = NDArray[np.bool_]

BLOCK_ROWS = 128
"""so many rows of 64 columns take 32 KB, and leave room in a first-level cache of 48"""
OFTEN = 0.65
"""share of batches that must light up a pixel for it not to be on the rim, where a weight
costs half as much again if its pixel is lit, and a quarter otherwise"""
SAMPLE = 2048
"""images, to count how often each pixel is lit"""
WEIGHTS_PER_VISIT = 10
"""of a unit in a block, on average, from which blocks pay"""


def wire(
    masks: Sequence[Bools], data: Dataset, num_columns: int
) -> tuple[Wiring, Scaling, Integers]:
    """The kept weights of a fully connected network as lists of who reads whom.

    Args:
        masks: per layer, (outputs, inputs), True = kept; any of them may keep nothing.
        data: shape, normalization, and a sample of its training images are read.
        num_columns: examples that are computed together.

    Returns:
        The wiring, whose weights stand in the order in which they are computed, then those
        on the rim, then those of units that reach no logit; how it scales pixels; and for
        each weight its number in the order of the masks, layer by layer, in each as True
        entries are in C order.
    """
    num_units = np.cumsum([0, *(len(kept) for kept in masks)])
    live = _live(masks)
    used = _used(masks[0], live[0])
    in_core = used & _often_lit(data, num_columns)
    on_rim = used & ~in_core
    core_row = np.maximum(np.cumsum(in_core) - 1, 0)
    num_core, rim = int(np.count_nonzero(in_core)), np.flatnonzero(on_rim)
    chunks, places = _chunks(in_core, on_rim)
    block_rows = _block_rows(masks[0][live[0]] & in_core, num_core)
    channels = _channels(data)
    part_channels, rows, part_of_pixel = _parts(core_row, channels, block_rows or num_core)
    visits, visit_of_weight = _visits(masks, live, part_of_pixel, on_rim)
    order = _in_order(visit_of_weight, len(visits) + len(rim) + 1)
    counts = np.bincount(visit_of_weight, minlength=len(visits) + len(rim) + 1)
    starts = _starts(counts)
    reader, pixel = np.nonzero(masks[0])
    place = (core_row - rows[part_of_pixel])[pixel]
    sources = [np.where(on_rim[pixel], reader, place)]
    for kept, first_input in zip(masks[1:], num_units, strict=False):
        sources.append(first_input + np.nonzero(kept)[1])
    reader_starts, readers, reader_weights = _readers(masks, live, num_units)
    outgoing = masks[1].sum(axis=0) if masks[1:] else np.zeros(len(masks[0]), np.int64)
    wiring = Wiring(
        visits=visits.astype(np.uint32),
        starts=starts[: len(visits) + 1],
        sources=np.concatenate(sources)[order].astype(np.uint32),
        first_units=_from_few(live[0], outgoing).astype(np.uint32),
        reader_starts=reader_starts,
        readers=readers,
        reader_weights=_inverse(order)[reader_weights].astype(np.uint32),
        chunks=chunks,
        places=places,
        rows=rows,
        rim_starts=starts[len(visits) : -1],
        rim_ends=np.searchsorted(channels[rim], channels[rim], side="right"),
        num_core=num_core,
        block_rows=block_rows,
        num_hidden=int(num_units[-2]),
        num_units=int(num_units[-1]),
    )
    return wiring, _scaling(data, part_channels, channels[rim]), order


def _often_lit(data: Dataset, num_columns: int) -> Bools:
    """Per pixel, whether so many examples at once rarely leave it 0."""
    images = data.train.images
    sample = images[:: -(-len(images) // SAMPLE) or 1].reshape(-1, *images[0].ravel().shape)
    share = (sample > 0).mean(axis=0)
    often: Bools = 1 - (1 - share) ** num_columns >= OFTEN
    return often


def _scaling(data: Dataset, of_parts: Integers, of_rim: Integers) -> Scaling:
    """From the channels of parts and of rows of the rim."""
    std = np.array(data.std, np.float64)
    scale = (1 / std).astype(np.float32)
    offset = (-np.array(data.mean) / std).astype(np.float32)
    return Scaling(scale[of_parts], offset[of_parts], scale[of_rim], offset[of_rim])


def _channels(data: Dataset) -> Integers:
    """The channel of each pixel."""
    channels, *plane = data.image_shape
    return np.repeat(np.arange(channels), math.prod(plane))


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
    masks: Sequence[Bools],
    live: Sequence[Bools],
    part_of_pixel: Integers,
    on_rim: Bools,
) -> tuple[Integers, Integers]:
    """The live units of all layers, those of the first one once per part of the input.

    In each part or layer from few to many incoming weights: neighbors are alike, so that
    the processor guesses right when their loops end.

    Returns:
        The units; and of each kept weight the visit in which it is read. After the visits
        count the rows of the rim, and then one for all weights that are not read.
    """
    unit, pixel = np.nonzero(masks[0])
    is_read = live[0][unit]
    read = is_read & ~on_rim[pixel]
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
    seen = is_read & on_rim[pixel]
    of_first[seen] = num_visits + (np.cumsum(on_rim) - 1)[pixel[seen]]
    visit_of_weight = np.concatenate([of_first, *visit_of_unit])
    visit_of_weight[visit_of_weight < 0] = num_visits + np.count_nonzero(on_rim)
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


def _in_order(visit: Integers, num_visits: int) -> Integers:
    """The weights by visit: numpy sorts numbers of 16 bits by counting."""
    small = visit.astype(np.min_scalar_type(num_visits))
    order: Integers = np.argsort(small, kind="stable")
    return order


def _inverse(order: Integers) -> Integers:
    """Where in an order each number stands."""
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return place


def _from_few(live: Bools, counts: Integers) -> Integers:
    """The live units of a layer from few to many."""
    units = np.flatnonzero(live)
    return units[np.argsort(counts[units], kind="stable")]


def _chunks(in_core: Bools, on_rim: Bools) -> tuple[Integers, Integers]:
    """The fewest runs of CHUNK neighbors that hold all pixels of core and rim.

    Returns:
        Where each begins, within the image; and the row of the matrix for each pixel in
        it: those of the core first, then the rim, then one for all others.
    """
    num_core, num_rim = np.count_nonzero(in_core), np.count_nonzero(on_rim)
    row = np.full(max(len(in_core), CHUNK), num_core + num_rim)
    row[: len(in_core)][in_core] = np.arange(num_core)
    row[: len(in_core)][on_rim] = num_core + np.arange(num_rim)
    last = max(len(in_core) - CHUNK, 0)
    chunks: list[int] = []
    for pixel in np.flatnonzero(in_core | on_rim):
        if not chunks or pixel >= chunks[-1] + CHUNK:
            chunks.append(min(int(pixel), last))
    begins = np.array(chunks, np.int64)
    return begins, row[np.add.outer(begins, np.arange(CHUNK))].ravel()


def _block_rows(kept: Bools, num_rows: int) -> int:
    """Rows of equal blocks, or 0 if units have too few weights in each for that to pay."""
    num_blocks = max(-(-num_rows // BLOCK_ROWS), 1)
    pays = np.count_nonzero(kept) >= WEIGHTS_PER_VISIT * len(kept) * num_blocks
    return -(-num_rows // num_blocks) if pays else 0


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
