"""List which units read which inputs in a pruned network, for the sparse kernels."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Integers
from pipeline.core.batches import Dataset
from pipeline.engines.shared.rows import CHUNK
from pipeline.engines.sparse.records import Reads, Scaling, Wiring

Bools = NDArray[np.bool_]
Pairs = tuple[Integers, ...]
"""two arrays over the kept weights of a layer: the unit that reads, and what it reads"""

BLOCK_ROWS = 128
"""most rows (of the pixel matrix, or units) of a part: with 64 columns they take 32 KB, and
leave room in a first-level cache of 48 KB"""
OFTEN = 0.65
"""a pixel belongs to the rim if a smaller share of batches lights it up. A rim weight costs
half as much again as another one if its pixel is lit, and a quarter otherwise"""
SAMPLE = 2048
"""number of images in which to count how often each pixel is lit"""
WEIGHTS_PER_VISIT = 10
"""average number of a unit's weights in a block from which on blocks pay"""


def wire(
    masks: Sequence[Bools], data: Dataset, num_columns: int
) -> tuple[Wiring, Scaling, Reads, Integers]:
    """Turn the masks of a fully connected network into lists of which unit reads what.

    Args:
        masks: one per layer, (outputs, inputs), True = kept; any of them may keep nothing.
        data: shape, normalization, and a sample of its training images are read.
        num_columns: number of examples that are computed together.

    Returns:
        The wiring; how it scales pixels; what its first layer reads, unit by unit; and the
        position of each weight in the wiring. There, weights come in the order in which
        they are computed, then those on the rim, then those of units that reach no logit.
        They are numbered as in the masks: layer by layer, True entries in C order.
    """
    num_units = firsts([len(kept) for kept in masks])
    live = _live(masks)
    weights = [np.nonzero(kept) for kept in masks]
    used = _used(masks[0], live[0])
    in_core = used & _often_lit(data, num_columns)
    on_rim = used & ~in_core
    core_row = np.maximum(np.cumsum(in_core) - 1, 0)
    num_core, rim = int(np.count_nonzero(in_core)), np.flatnonzero(on_rim)
    row_of_pixel = _rows(in_core, on_rim)
    chunks, places = _chunks(row_of_pixel, num_core + len(rim))
    block_rows = _block_rows(masks[0][live[0]] & in_core, num_core)
    channels = _channels(data)
    part_channels, rows, part_of_pixel = _parts(core_row, channels, block_rows or num_core)
    part_of_input = [part_of_pixel, *_parts_of_units(masks, live)]
    visits, visit_of_weight = _visits(weights, live, part_of_input, on_rim)
    num_visits = sum(map(len, visits))
    order = _in_order(visit_of_weight, num_visits + len(rim) + 1)
    place = _inverse(order)
    starts = starts_of(np.bincount(visit_of_weight, minlength=num_visits + len(rim) + 1))
    reader, pixel = weights[0]
    row = (core_row - rows[part_of_pixel])[pixel]
    sources = [np.where(on_rim[pixel], reader, row)]
    sources += [
        first_input + source
        for (_, source), first_input in zip(weights[1:], num_units, strict=False)
    ]
    live_units = _units_from_few(masks, live)
    reader_starts, readers, reader_weights = _readers(weights, live, num_units)
    num_parts = np.array([part[-1] + 1 for part in part_of_input])
    wiring = Wiring(
        visits=np.concatenate(visits).astype(np.uint32),
        starts=starts[: num_visits + 1],
        sources=np.concatenate(sources)[order].astype(np.uint32),
        units=np.concatenate(live_units).astype(np.uint32),
        first_units=firsts([len(units) for units in live_units]),
        first_parts=firsts(num_parts),
        begins_sums=np.isin(np.arange(num_parts.sum()), np.cumsum(num_parts)[:-1]),
        ends_sums=np.isin(np.arange(num_parts.sum()), np.cumsum(num_parts) - 1),
        first_visits=firsts([len(units) for units in visits]),
        reader_starts=reader_starts,
        readers=readers,
        reader_weights=place[reader_weights].astype(np.uint32),
        chunks=chunks,
        places=places,
        rows=rows,
        rim_starts=starts[num_visits:-1],
        rim_ends=np.searchsorted(channels[rim], channels[rim], side="right"),
        num_core=num_core,
        block_rows=block_rows,
        num_hidden=int(num_units[-2]),
        num_units=int(num_units[-1]),
    )
    scaling = _scaling(data, part_channels, channels[rim])
    pixels = (row_of_pixel, scaling.scale[part_of_pixel])
    return wiring, scaling, _reads(weights[0], live[0], pixels, place), place


def _reads(
    weights: Pairs, live: Bools, pixels: tuple[Integers, Floats], place: Integers
) -> Reads:
    """List what the live units of the first layer read.

    Args:
        weights: the kept weights of that layer.
        live: which units of that layer are live.
        pixels: the row and the scale of each pixel.
        place: the position of each kept weight.
    """
    row_of_pixel, scale_of_pixel = pixels
    is_read = live[weights[0]]
    reader, pixel = weights[0][is_read], weights[1][is_read]
    units = np.flatnonzero(live)
    return Reads(
        units=units.astype(np.uint32),
        starts=starts_of(np.bincount(reader, minlength=len(live))[units]),
        rows=row_of_pixel[pixel].astype(np.uint32),
        weights=place[: len(is_read)][is_read].astype(np.uint32),
        scales=scale_of_pixel[pixel],
        scaled=np.empty(len(pixel), np.float32),
    )


def _often_lit(data: Dataset, num_columns: int) -> Bools:
    """For each pixel, whether enough batches of ``num_columns`` examples light it up."""
    images = data.train.images
    sample = images[:: -(-len(images) // SAMPLE)]
    share = (sample.reshape(len(sample), -1) > 0).mean(axis=0)
    often: Bools = 1 - (1 - share) ** num_columns >= OFTEN
    return often


def _scaling(data: Dataset, of_parts: Integers, of_rim: Integers) -> Scaling:
    """The scaling of parts and of rim rows, whose channels are given."""
    std = np.array(data.images.std, np.float64)
    scale = (1 / std).astype(np.float32)
    offset = (-np.array(data.images.mean) / std).astype(np.float32)
    return Scaling(scale[of_parts], offset[of_parts], scale[of_rim], offset[of_rim])


def _channels(data: Dataset) -> Integers:
    """The channel of each pixel."""
    channels, *plane = data.images.shape
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
    weights: Sequence[Pairs],
    live: Sequence[Bools],
    part_of_input: Sequence[Integers],
    on_rim: Bools,
) -> tuple[list[Integers], Integers]:
    """List the live units of each layer, once per part of the layer's inputs.

    In each part units come from few to many incoming weights: neighbors have loops of
    similar length, so that the processor guesses right when they end.

    Returns:
        The units of each part; and for each kept weight the visit in which it is read.
        Numbers after those of the visits stand for the rim rows, and the last number for
        all weights that are never read.
    """
    pixel = weights[0][1]
    is_read = [alive[reader] for alive, (reader, _) in zip(live, weights, strict=True)]
    seen = np.flatnonzero(is_read[0] & on_rim[pixel])
    is_read[0][seen] = False
    visits: list[Integers] = []
    visit_of_weight = []
    num_visits, first_unit = 0, 0
    for layer, (reader, source) in enumerate(weights):
        units = np.flatnonzero(live[layer])
        part = part_of_input[layer]
        found = np.flatnonzero(is_read[layer])
        of_parts, visit = _visits_of_parts(
            units, reader[found], part[source[found]], part[-1] + 1
        )
        visits += list(first_unit + of_parts)
        place = np.full(len(reader), -1)
        place[found] = num_visits + visit
        num_visits, first_unit = num_visits + of_parts.size, first_unit + len(live[layer])
        visit_of_weight.append(place)
    everywhere = np.concatenate(visit_of_weight)
    everywhere[everywhere < 0] = num_visits + np.count_nonzero(on_rim)
    everywhere[seen] = num_visits + (np.cumsum(on_rim) - 1)[pixel[seen]]
    return visits, everywhere


def _visits_of_parts(
    units: Integers, unit: Integers, part: Integers, num_parts: int
) -> tuple[Integers, Integers]:
    """List the visits of one layer.

    Args:
        units: the live units, ascending.
        unit: for each weight of a live unit, that unit.
        part: for each of these weights, the part that it reads.
        num_parts: number of parts.

    Returns:
        The unit of each visit, (parts, units); and the visit of each weight.
    """
    index = np.zeros(units.max(initial=0) + 1, np.int64)
    index[units] = np.arange(len(units))
    place = part * len(units) + index[unit]
    counts = np.bincount(place, minlength=num_parts * len(units))
    from_few = np.argsort(counts.reshape(num_parts, -1), axis=1, kind="stable")
    first_visit = np.arange(num_parts)[:, np.newaxis] * len(units)
    visit = (first_visit + np.argsort(from_few, axis=1)).ravel()
    return units[from_few], visit[place]


def _in_order(visit: Integers, num_visits: int) -> Integers:
    """Sort the weights by visit; numpy sorts numbers of 16 bits fast, by counting."""
    small = visit.astype(np.min_scalar_type(num_visits))
    order: Integers = np.argsort(small, kind="stable")
    return order


def _inverse(order: Integers) -> Integers:
    """The position of each number in an order."""
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return place


def _units_from_few(masks: Sequence[Bools], live: Sequence[Bools]) -> list[Integers]:
    """The live units of each layer from few to many outgoing weights."""
    found, first_unit = [], 0
    outgoing = [*(kept.sum(axis=0) for kept in masks[1:]), np.zeros(len(masks[-1]))]
    for alive, counts in zip(live, outgoing, strict=True):
        units = np.flatnonzero(alive)
        found.append(first_unit + units[np.argsort(counts[units], kind="stable")])
        first_unit += len(alive)
    return found


def _chunks(row_of_pixel: Integers, num_rows: int) -> tuple[Integers, Integers]:
    """Cover all pixels that have a row with as few runs of CHUNK neighbors as possible.

    Args:
        row_of_pixel: the row of each pixel in the pixel matrix.
        num_rows: number of rows of core and rim.

    Returns:
        Where each run begins in the image; and the row of each pixel in it.
    """
    missing = max(CHUNK - len(row_of_pixel), 0)
    row = np.pad(row_of_pixel, (0, missing), constant_values=num_rows)
    last = max(len(row_of_pixel) - CHUNK, 0)
    chunks: list[int] = []
    for pixel in np.flatnonzero(row_of_pixel < num_rows):
        if not chunks or pixel >= chunks[-1] + CHUNK:
            chunks.append(min(int(pixel), last))
    begins = np.array(chunks, np.int64)
    return begins, row[np.add.outer(begins, np.arange(CHUNK))].ravel()


def _rows(in_core: Bools, on_rim: Bools) -> Integers:
    """The row of the pixel matrix for each pixel: core, rim, one for all others."""
    used = np.concatenate([np.flatnonzero(in_core), np.flatnonzero(on_rim)])
    row = np.full(len(in_core), len(used))
    row[used] = np.arange(len(used))
    return row


def _block_rows(kept: Bools, num_rows: int) -> int:
    """The rows of each block, or 0 if units have too few weights per block for that."""
    num_blocks = max(-(-num_rows // BLOCK_ROWS), 1)
    pays = np.count_nonzero(kept) >= WEIGHTS_PER_VISIT * len(kept) * num_blocks
    return -(-num_rows // num_blocks) if pays else 0


def _parts(
    row_of_pixel: Integers, channel: Integers, block_rows: int
) -> tuple[Integers, Integers, Integers]:
    """Split the input into parts, each of one channel and one block of rows.

    Returns:
        The channel of each part and its first row; and the part of each pixel.
    """
    block = row_of_pixel // max(block_rows, 1)
    begins = (np.diff(channel, prepend=-1) != 0) | (np.diff(block, prepend=-1) != 0)
    return channel[begins], block[begins] * block_rows, np.cumsum(begins) - 1


def _parts_of_units(masks: Sequence[Bools], live: Sequence[Bools]) -> list[Integers]:
    """For each layer but the first, the part to which each of its inputs belongs."""
    found = []
    for kept, alive in zip(masks[1:], live[1:], strict=True):
        units = np.arange(kept.shape[1])
        found.append(units // (_block_rows(kept[alive], len(units)) or len(units)))
    return found


def _readers(
    weights: Sequence[Pairs], live: Sequence[Bools], num_units: Integers
) -> tuple[NDArray[np.uint32], NDArray[np.uint32], Integers]:
    """List the outgoing weights of hidden units to live units, by the unit they leave."""
    counts = np.zeros(int(num_units[-2]), np.int64)
    readers, positions = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    first_weight = len(weights[0][0])
    for layer, (reader, source) in enumerate(weights[1:], start=1):
        used = np.flatnonzero(live[layer][reader])
        used = used[np.argsort(source[used], kind="stable")]
        readers.append(num_units[layer] + reader[used])
        positions.append(first_weight + used)
        first, end = num_units[layer - 1], num_units[layer]
        counts[first:end] = np.bincount(source[used], minlength=end - first)
        first_weight += len(reader)
    return (
        starts_of(counts),
        np.concatenate(readers).astype(np.uint32),
        np.concatenate(positions),
    )


def starts_of(counts: Integers) -> NDArray[np.uint32]:
    """As ``firsts``, in the type of the kernels' lists."""
    return firsts(counts).astype(np.uint32)


def firsts(counts: Sequence[int] | Integers) -> Integers:
    """Where each of several consecutive parts begins, and the end of the last."""
    return np.concatenate([[0], np.cumsum(counts)])
