"""List what reads what in a pruned convolutional network, for the sparse kernels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Integers, Mask
from pipeline.core.batches import Dataset, prepared
from pipeline.core.models.layers import Conv, Layers, Linear, MaxPool, Network, layers_of
from pipeline.engines.shared.vectors import LANES
from pipeline.engines.sparse_conv.records import (
    CONV,
    NO_POOL,
    TILES,
    UNITS,
    WIDTH,
    Wiring,
)

Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """A network's lists, and the memory that one block of 16 examples needs."""

    wiring: Wiring
    plane_size: int
    """number of floats in the planes of one block"""
    num_conv_weights: int


def wire(network: Network, mask: Mask, data: Dataset) -> Layout:
    """Turn the kept weights of a network into lists of what reads what.

    Args:
        network: repetitions of Conv, ReLU and optionally MaxPool; a MaxPool before
            Flatten; then Linear layers with ReLU between them.
        mask: any tensor may keep nothing; a missing one keeps everything.
        data: shape and normalization of its images are read.

    Returns:
        The lists. They number weights layer by layer, in each in the C order of the True
        entries of its mask by input.
    """
    convs, plane_size = _convs(layers_of(network), data.images.shape)
    layers = [layer for layer in layers_of(network) if isinstance(layer, Conv | Linear)]
    masks = [kept(layer, mask) for layer in layers]
    conv_masks, linear_masks = masks[: len(convs)], masks[len(convs) :]
    live = _live(conv_masks, linear_masks)
    lists = [_lists(conv, bits) for conv, bits in zip(convs, conv_masks, strict=True)]
    first_weights = np.cumsum([0, *(len(found.readers) for found in lists)])
    tiles = [cover(int(conv["height"]), int(conv["width"])) for conv in convs]
    ends = np.cumsum([len(found) for found in tiles])
    convs["end_tile"] = ends
    convs["first_tile"] = ends - [len(found) for found in tiles]
    unit_layers, unit_starts, unit_readers = _units(linear_masks)
    wiring = Wiring(
        convs=convs,
        tiles=np.array([tile for found in tiles for tile in found], np.int64),
        live=live,
        starts=_starts([found.num_sources for found in lists]),
        sources=_joined([found.sources for found in lists]),
        positions=_joined(
            [
                first + found.positions
                for first, found in zip(first_weights, lists, strict=False)
            ]
        ),
        reader_starts=_starts([found.num_readers for found in lists]),
        readers=_joined([found.readers for found in lists]),
        unit_starts=unit_starts + int(first_weights[-1]),
        unit_readers=unit_readers,
        unit_layers=unit_layers,
        unit_biases=_unit_biases(convs, unit_layers),
        values=normalized_bytes(data),
    )
    return Layout(
        wiring=wiring, plane_size=plane_size, num_conv_weights=int(first_weights[-1])
    )


def kept(layer: Conv | Linear, mask: Mask) -> Bools:
    """The mask of a layer's kernel; True everywhere if the mask has no entry for it."""
    shape: tuple[int, ...] = (layer.outputs, layer.inputs)
    if isinstance(layer, Conv):
        shape = (*shape, layer.kernel, layer.kernel)
    return mask.get(f"{layer.name}.weight", np.ones(shape, np.bool_))


def cover(height: int, width: int) -> list[tuple[int, int, int, int]]:
    """Cut a plane into tiles of the compiled sizes.

    Returns:
        Rows and columns, one of TILES; first row; first column. Every position is in
        exactly one tile.
    """
    tiles: list[tuple[int, int, int, int]] = []
    y = 0
    while y < height:
        whole = [tile for tile in TILES if tile[1] == width and tile[0] <= height - y]
        pieces = [max(whole)] if whole else _pieces(width)
        x = 0
        for rows, columns in pieces:
            tiles.append((rows, columns, y, x))
            x += columns
        y += pieces[0][0]
    return tiles


def _pieces(width: int) -> list[tuple[int, int]]:
    """Cut one row into equal pieces, or into large ones if equal ones have one column."""
    sizes = [columns for rows, columns in TILES if rows == 1]
    equal = max(columns for columns in sizes if width % columns == 0)
    if equal > 1:
        return [(1, equal)] * (width // equal)
    pieces: list[tuple[int, int]] = []
    while width:
        columns = max(columns for columns in sizes if columns <= width)
        pieces.append((1, columns))
        width -= columns
    return pieces


def _convs(
    network: Layers, image_shape: tuple[int, int, int]
) -> tuple[NDArray[np.void], int]:
    """Shapes and places of the convolutions, without tiles; and floats of all planes."""
    inputs, height, width = image_shape
    convs: list[dict[str, int]] = []
    source, end = 0, _plane_size(image_shape)
    for number, layer in enumerate(network):
        if not isinstance(layer, Conv):
            continue
        before = convs[-1] if convs else {"first_input": 0, "inputs": 0, "first_output": 0}
        conv = {
            "inputs": inputs,
            "outputs": layer.outputs,
            "height": height,
            "width": width,
            "first_input": before["first_input"] + before["inputs"],
            "first_output": before["first_output"] + before.get("outputs", 0),
            "source": source,
            "target": end,
            "behind": NO_POOL,
        }
        convs.append(conv)
        source, end = end, end + _plane_size((layer.outputs, height, width))
        inputs = layer.outputs
        if isinstance(network[number + 2], MaxPool):
            height, width = height // 2, width // 2
            is_last = not isinstance(network[number + 3], Conv)
            conv["behind"] = UNITS if is_last else end
            source, end = end, end + _plane_size((inputs, height, width))
    table = np.zeros(len(convs), CONV)
    for row, conv in zip(table, convs, strict=True):
        for name, value in conv.items():
            row[name] = value
    return table, end


def _plane_size(shape: tuple[int, int, int]) -> int:
    channels, height, width = shape
    return (height + 2) * channels * (width + 2) * LANES


def _live(conv_masks: Sequence[Bools], linear_masks: Sequence[Bools]) -> Bools:
    """For each channel, the image's first, whether kept weights lead from it to a logit."""
    used: Bools = np.ones(len(linear_masks[-1]), np.bool_)
    for bits in linear_masks[::-1]:
        used = np.logical_or.reduce(bits[used], axis=0)
    used = np.logical_or.reduce(used.reshape(len(conv_masks[-1]), -1), axis=1)
    live = [used]
    for bits in conv_masks[::-1]:
        used = np.logical_or.reduce(bits[used], axis=(0, 2, 3))
        live.insert(0, used)
    return np.concatenate(live)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Lists:
    """The lists of one convolution; ``Wiring`` explains them."""

    num_sources: Integers
    sources: Integers
    positions: Integers
    num_readers: Integers
    readers: Integers


def _lists(conv: np.void, bits: Bools) -> _Lists:
    inputs, outputs, width = (int(conv[n]) for n in ("inputs", "outputs", "width"))
    by_input = bits.swapaxes(0, 1)
    numbers = np.zeros(by_input.shape, np.int64)
    numbers[by_input] = np.arange(np.count_nonzero(bits))
    _, channel, y, x = np.nonzero(bits)
    _, reader, y_back, x_back = np.nonzero(by_input)
    return _Lists(
        num_sources=bits.sum(axis=(1, 2, 3)),
        sources=((y * inputs + channel) * (width + 2) + x) * LANES,
        positions=numbers.swapaxes(0, 1)[bits],
        num_readers=by_input.sum(axis=(1, 2, 3)),
        readers=(((2 - y_back) * outputs + reader) * (width + 2) + 2 - x_back) * LANES,
    )


def _units(masks: Sequence[Bools]) -> tuple[Integers, Integers, NDArray[np.uint32]]:
    """First unit of each layer; where units' weights begin; the unit that reads each."""
    sizes = [masks[0].shape[1], *(len(bits) for bits in masks)]
    layers = np.concatenate([[0], np.cumsum(sizes)])
    readers = [
        first + np.nonzero(bits.T)[1]
        for first, bits in zip(layers[1:], masks, strict=False)
    ]
    starts = _starts([bits.sum(axis=0) for bits in masks])
    return layers, starts, _joined([found * WIDTH for found in readers])


def _unit_biases(convs: NDArray[np.void], layers: Integers) -> Integers:
    """The position of each unit's bias; biases of channels come before those of units."""
    last = convs[-1]
    num_channels = int(last["first_output"] + last["outputs"])
    area = int(layers[1]) // int(last["outputs"])
    channels = int(last["first_output"]) + np.arange(layers[1]) // area
    return np.concatenate([channels, num_channels + np.arange(layers[-1] - layers[1])])


def normalized_bytes(data: Dataset) -> NDArray[np.float32]:
    """(C, 256): for each channel of the images, the normalized value of each byte."""
    pixels = np.arange(256, dtype=np.uint8).reshape(-1, 1, 1, 1)
    pixels = np.repeat(pixels, len(data.images.mean), axis=1)  # (256, C, 1, 1)
    normalized = prepared(pixels, data.images)
    return np.ascontiguousarray(normalized[:, :, 0, 0].T)


def _starts(counts: Sequence[Integers]) -> Integers:
    starts: Integers = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    return starts.astype(np.int64)


def _joined(parts: Sequence[Integers]) -> NDArray[np.uint32]:
    return np.concatenate(parts).astype(np.uint32)
