"""Compiled convolutions in which only kept weights exist, and the pools behind them.

For each kept weight, a convolution adds a shifted image plane times the weight. The loop
over a channel's kept weights holds the sums of a tile of up to 28 neighboring positions in
registers, so that a multiply-add reads memory once. On the way back, both products of a
kept weight use the same gradients, which are read once.
"""

import numpy as np
from numba import literal_unroll

from pipeline.core.arrays import Floats
from pipeline.engines.shared.caching import kernel
from pipeline.engines.shared.sums import lane_sum, part_sum
from pipeline.engines.shared.vectors import (
    LANES,
    ONE,
    TileShape,
    add,
    fma,
    gate,
    larger,
    load,
    splat,
    store,
    uint,
)
from pipeline.engines.sparse_conv.records import (
    SHAPES,
    UNITS,
    WIDTH,
    Conv,
    Net,
    Place,
    Workspace,
)
from pipeline.engines.sparse_conv.registers import both_products, largest, store_at_largest


@kernel
def place_of(conv: Conv, first: int, channels: int, corner: tuple[int, int]) -> Place:
    """Where a position of the planes without their border is, and the distance of rows."""
    stride = uint(channels * (conv.width + 2) * LANES)
    y, x = corner
    at = uint(first) + uint(y + 1) * stride + uint((x + 1) * LANES)
    return at, stride


@kernel
def convolve(
    net: Net,
    work: Workspace,
    planes: Floats,
    conv: Conv,
    back: bool,  # noqa: FBT001  # Numba does not know arguments by keyword only
) -> None:
    """Compute a convolution of one block, or go back through it, tile by tile."""
    for i in range(conv.first_tile, conv.end_tile):
        rows, columns, y, x = net.wiring.tiles[i]
        for shape in literal_unroll(SHAPES):
            if len(shape[0]) == rows and len(shape[1]) == columns:
                if back:
                    _tile_back(net, work, planes, conv, (y, x), shape)
                else:
                    _tile(net, work, planes, conv, (y, x), shape)


@kernel
def _tile(
    net: Net,
    work: Workspace,
    planes: Floats,
    conv: Conv,
    corner: tuple[int, int],
    shape: TileShape,
) -> None:
    """Compute the outputs of all channels at the positions of one tile."""
    wiring = net.wiring
    begin, stride = place_of(conv, conv.source, conv.inputs, corner)
    begin -= stride + uint(LANES)
    target, target_stride = place_of(conv, conv.target, conv.outputs, corner)
    for i in range(conv.outputs):
        if wiring.live[conv.first_input + conv.inputs + i]:
            output = uint(conv.first_output + i)
            tile = splat(net.biases.value[output], shape)
            k, end = uint(wiring.starts[output]), uint(wiring.starts[output + uint(1)])
            while k < end:
                place = (begin + uint(wiring.sources[k]), stride)
                inputs = load(planes, place, shape)
                tile = fma(splat(work.values[k], shape), inputs, tile)
                k += uint(1)
            at = target + uint(i * (conv.width + 2) * LANES)
            tile = larger(splat(np.float32(0), shape), tile)
            store(planes, (at, target_stride), tile)


@kernel
def _tile_back(
    net: Net,
    work: Workspace,
    planes: Floats,
    conv: Conv,
    corner: tuple[int, int],
    shape: TileShape,
) -> None:
    """Add the contributions of one tile's positions to the gradients of kept weights.

    Also write the gradients of the inputs at these positions; those of images are never
    read.
    """
    wiring, arrays = net.wiring, (work.plane_gradients, planes)
    target, stride = place_of(conv, conv.target, conv.outputs, corner)
    target -= stride + uint(LANES)
    first, first_stride = place_of(conv, conv.source, conv.inputs, corner)
    for i in range(conv.inputs):
        channel = uint(conv.first_input + i)
        if wiring.live[channel]:
            here = first + uint(i * (conv.width + 2) * LANES), first_stride
            tile = splat(np.float32(0), shape)
            k = uint(wiring.reader_starts[channel])
            end = uint(wiring.reader_starts[channel + uint(1)])
            while k < end:
                places = (target + uint(wiring.readers[k]), stride), here
                weight = net.weights.value[k]
                tile, product = both_products(tile, weight, arrays, places)
                at = k * uint(LANES)
                store(work.sums, at, add(load(work.sums, at, ONE), product))
                k += uint(1)
            tile = gate(tile, load(planes, here, shape))
            store(work.plane_gradients, here, tile)
            if conv.first_input > 0:
                bias = conv.first_output - conv.inputs + i
                net.biases.gradient[bias] += lane_sum(part_sum(tile))


@kernel
def _behind(conv: Conv, block: int, position: tuple[int, int, int]) -> np.uint64:
    """Where a channel's pooled row begins, behind the pool."""
    channel, y, _ = position
    height, width = conv.height // 2, conv.width // 2
    if conv.behind == UNITS:
        return uint((channel * height + y) * width * WIDTH + block * LANES)
    row = (y + 1) * conv.outputs + channel
    return uint(conv.behind + (row * (width + 2) + 1) * LANES)


@kernel
def pool(net: Net, work: Workspace, block: int, conv: Conv) -> None:
    """Compute the largest output in each 2 × 2 window of all live channels."""
    planes = work.planes[block]
    step = uint(WIDTH if conv.behind == UNITS else LANES)
    for y in range(conv.height // 2):
        for i in range(conv.outputs):
            if net.wiring.live[conv.first_input + conv.inputs + i]:
                at, stride = place_of(conv, conv.target, conv.outputs, (2 * y, 0))
                at += uint(i * (conv.width + 2) * LANES)
                to = _behind(conv, block, (i, y, 0))
                for _ in range(conv.width // 2):
                    vector = largest(planes, (at, stride))
                    if conv.behind == UNITS:
                        store(work.units, to, vector)
                    else:
                        store(planes, to, vector)
                    at += uint(2 * LANES)
                    to += step


@kernel
def pool_back(net: Net, work: Workspace, block: int, conv: Conv) -> None:
    """Compute the gradients of the outputs from those behind the pool."""
    arrays = work.plane_gradients, work.planes[block]
    step = uint(WIDTH if conv.behind == UNITS else LANES)
    for y in range(conv.height // 2):
        for i in range(conv.outputs):
            if net.wiring.live[conv.first_input + conv.inputs + i]:
                at, stride = place_of(conv, conv.target, conv.outputs, (2 * y, 0))
                at += uint(i * (conv.width + 2) * LANES)
                to = _behind(conv, block, (i, y, 0))
                for _ in range(conv.width // 2):
                    if conv.behind == UNITS:
                        gradient = load(work.unit_gradients, to, ONE)
                    else:
                        gradient = load(work.plane_gradients, to, ONE)
                    store_at_largest(arrays, (at, stride), gradient)
                    at += uint(2 * LANES)
                    to += step
