"""Who reads whom in a pruned network, as the lists that the sparse kernels follow."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Integers
from pipeline.core.batches import Dataset
from pipeline.core.training.sparse.kernels import CHUNK, Wiring

Bools = NDArray[np.bool_]


def wire(masks: Sequence[Bools], data: Dataset) -> Wiring:
    """The kept weights of a fully connected network as lists of who reads whom.

    Args:
        masks: per layer, (outputs, inputs), True = kept; any of them may keep nothing.
        data: shape and normalization of its images are read.

    Returns:
        Weights are numbered layer by layer, in each as a mask's True entries are in
        C order. Outgoing weights to units that reach no logit are left out.
    """
    num_units = np.cumsum([0, *(len(kept) for kept in masks)])
    live = _live(masks)
    num_channels = data.image_shape[0]
    chunks, row_of_pixel = _chunks(_used(masks[0], live[0]))
    counts = [masks[0].reshape(len(masks[0]), num_channels, -1).sum(axis=2).ravel()]
    sources = [row_of_pixel[np.nonzero(masks[0])[1]]]
    for kept, first_input in zip(masks[1:], num_units, strict=False):
        counts.append(kept.sum(axis=1))
        sources.append(first_input + np.nonzero(kept)[1])
    reader_starts, readers, reader_weights = _readers(masks, live, num_units)
    std = np.array(data.std, np.float64)
    return Wiring(
        live=_sequence(masks, live),
        starts=_starts(np.concatenate(counts)),
        sources=np.concatenate(sources).astype(np.uint32),
        reader_starts=reader_starts,
        readers=readers,
        reader_weights=reader_weights,
        chunks=chunks,
        scale=(1 / std).astype(np.float32),
        offset=(-np.array(data.mean) / std).astype(np.float32),
        one=np.ones(1, np.float32),
        zero=np.zeros(1, np.float32),
        num_first=len(masks[0]),
        num_hidden=int(num_units[-2]),
        num_units=int(num_units[-1]),
    )


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
    num_first = wiring.starts[wiring.num_first * len(wiring.scale)]
    pixel_of_row = np.add.outer(wiring.chunks, np.arange(CHUNK)).ravel()
    kept = np.ones(wiring.starts[-1], np.bool_)
    if len(pixel_of_row):  # else no weight of the first layer leads to a logit
        kept[:num_first] = shown[pixel_of_row[wiring.sources[:num_first]]]
    weights = np.flatnonzero(kept)
    sources = wiring.sources[weights]
    end = np.count_nonzero(kept[:num_first])
    rows, sources[:end] = np.unique(sources[:end], return_inverse=True)
    pixels = pixel_of_row[rows] if len(pixel_of_row) else np.zeros(1, np.int64)
    rewired = wiring._replace(
        starts=_starts(kept)[wiring.starts],
        sources=sources,
        offset=np.zeros_like(wiring.offset),
    )
    return rewired, pixels if len(pixels) else np.zeros(1, np.int64), weights


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


def _sequence(masks: Sequence[Bools], live: Sequence[Bools]) -> NDArray[np.int32]:
    """The live units of all layers, in each from few to many incoming weights.

    Neighbors are alike, so that the processor guesses right when their loops end.
    """
    units, first = [], 0
    for number, (kept, used) in enumerate(zip(masks, live, strict=True)):
        outgoing = masks[number + 1].sum(axis=0) if number + 1 < len(masks) else used
        order = np.lexsort((outgoing, kept.sum(axis=1)))
        units.append(first + order[used[order]])
        first += len(used)
    return np.concatenate(units).astype(np.int32)


def _chunks(needed: Bools) -> tuple[Integers, Integers]:
    """The fewest runs of CHUNK neighbors that hold all needed pixels.

    Returns:
        Where each begins, within the image; and for each needed pixel its row in the
        matrix that has the chunks one below the other (0 for the others).
    """
    last = max(len(needed) - CHUNK, 0)
    chunks: list[int] = []
    rows = np.zeros(len(needed), np.int64)
    for pixel in np.flatnonzero(needed):
        if not chunks or pixel >= chunks[-1] + CHUNK:
            chunks.append(min(int(pixel), last))
        rows[pixel] = (len(chunks) - 1) * CHUNK + pixel - chunks[-1]
    return np.array(chunks, np.int64), rows


def _readers(
    masks: Sequence[Bools], live: Sequence[Bools], num_units: Integers
) -> tuple[NDArray[np.int32], NDArray[np.uint32], NDArray[np.uint32]]:
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
        np.concatenate(positions).astype(np.uint32),
    )


def _starts(counts: Integers) -> NDArray[np.int32]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
