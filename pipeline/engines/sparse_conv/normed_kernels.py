"""Compiled training of convolutional networks with batch norm, without pruned weights.

Vectors and planes are those of ``kernels.py``. A norm needs the statistics of a whole
batch, so each operation runs over all blocks of 16 examples before the next one begins. In
the columns that fill up the last block all planes are 0, so they add nothing to any sum.
"""

import math

import numpy as np
from numba import literal_unroll

from pipeline.engines.shared.caching import kernel
from pipeline.engines.shared.kernels import Examples, Rule, move_all
from pipeline.engines.shared.sums import lane_sum, part_sum, product
from pipeline.engines.shared.vectors import (
    LANES,
    ONE,
    TileShape,
    add,
    fma,
    gate,
    load,
    mul,
    splat,
    store,
    uint,
)
from pipeline.engines.sparse_conv.convolutions import place_of
from pipeline.engines.sparse_conv.kernels import (
    add_sums,
    gather,
    loss_gradient,
    order_values,
    softmax,
)
from pipeline.engines.sparse_conv.normed_records import (
    CONVOLVE,
    NORMALIZE,
    POOL,
    SPLIT,
    NormedNet,
    NormedWorkspace,
    Op,
)
from pipeline.engines.sparse_conv.norms import (
    normalize,
    normalize_back,
    pool_planes,
    pool_planes_back,
    row_of,
    settle,
    settle_back,
    settle_running,
    split,
    split_back,
    sum_back,
)
from pipeline.engines.sparse_conv.records import SHAPES, Order
from pipeline.engines.sparse_conv.registers import both_products

TURNS = (0,) * 2
"""partial sums of a tile's squares, which take turns"""


@kernel
def train(
    net: NormedNet, examples: Examples, order: Order, rule: Rule, work: NormedWorkspace
) -> None:
    """Run one optimizer step per row of ``order``; writes into net and work."""
    for step in range(len(order.examples)):
        _whole_forward(net, examples, order, step, work)
        batch, share = order.examples[step], 1.0 / order.examples.shape[1]
        loss_gradient(work.logits, work.logit_gradients, examples.labels, batch, share)
        _whole_back(net, work, len(batch))
        for tensor in (net.weights, net.biases):
            move_all(tensor, rule, step)


@kernel
def evaluate(
    net: NormedNet, examples: Examples, order: Order, work: NormedWorkspace
) -> tuple[float, int]:
    """Sum of the cross-entropies of examples, and how many are classified right.

    ``order`` has one step, which takes all examples.
    """
    order_values(net, work)
    settle_running(net, work)
    loss, correct = 0.0, 0
    num_examples = order.examples.shape[1]
    for first in range(0, num_examples, LANES):
        count = min(LANES, num_examples - first)
        _fill_lanes(work, count)
        _gather(net, examples, order, (0, first), work, 0)
        for i in range(len(net.wiring.convs)):
            _forward(net, work, 0, net.wiring.convs[i])
        _connect(net, work, 0)
        for column in range(count):
            label = examples.labels[order.examples[0, first + column]]
            best, total = softmax(work.logits, column)
            loss += math.log(total)
            loss -= work.logits[label, column] - work.logits[best, column]
            correct += best == label
    return loss, correct


@kernel
def _whole_forward(
    net: NormedNet, examples: Examples, order: Order, step: int, work: NormedWorkspace
) -> None:
    """Compute the logits of a batch, and update the running statistics."""
    batch_size = order.examples.shape[1]
    order_values(net, work)
    _fill_lanes(work, batch_size)
    work.totals[:] = 0.0  # evaluations leave sums
    work.squares[:] = 0.0
    for block in range(len(work.planes)):
        _gather(net, examples, order, (step, block * LANES), work, block)
    for i in range(len(net.wiring.convs)):
        op = net.wiring.convs[i]
        if op.kind == NORMALIZE:
            settle(net, work, op, batch_size * op.height * op.width)
        for block in range(len(work.planes)):
            _forward(net, work, block, op)
    for block in range(len(work.planes)):
        _connect(net, work, block)


@kernel
def _whole_back(net: NormedNet, work: NormedWorkspace, batch_size: int) -> None:
    """Compute the gradients of all weights from those of the logits."""
    _connect_back(net, work)
    for block in range(len(work.planes)):
        _spread(net, work, block)
    for i in range(len(net.wiring.convs) - 1, -1, -1):
        _back(net, work, net.wiring.convs[i], batch_size)
    add_sums(net, work)


@kernel
def _fill_lanes(work: NormedWorkspace, count: int) -> None:
    for column in range(len(work.lanes)):
        work.lanes[column] = np.float32(column < count)


@kernel
def _gather(
    net: NormedNet,
    examples: Examples,
    order: Order,
    at: tuple[int, int],
    work: NormedWorkspace,
    block: int,
) -> None:
    """Fill the images' planes of one block; columns without an example are 0."""
    gather(net.wiring, examples, order, at, work.planes[block])
    op = net.wiring.convs[0]
    lanes = load(work.lanes, uint(block * LANES), ONE)
    for y in range(op.height):
        for channel in range(op.inputs):
            place = row_of(op, op.source, op.inputs, y, channel)
            for _ in range(op.width):
                pixels = load(work.planes[block], place, ONE)
                store(work.planes[block], place, mul(pixels, lanes))
                place += uint(LANES)


@kernel
def _forward(net: NormedNet, work: NormedWorkspace, block: int, op: Op) -> None:
    if op.kind == CONVOLVE:
        _convolve(net, work, block, op)
    elif op.kind == NORMALIZE:
        normalize(work, block, op)
    elif op.kind == SPLIT:
        split(work.planes[block], op)
    else:
        pool_planes(work.planes[block], op)


@kernel
def _back(net: NormedNet, work: NormedWorkspace, op: Op, batch_size: int) -> None:
    if op.kind == NORMALIZE:
        for block in range(len(work.planes)):
            sum_back(work, block, op)
        settle_back(net, work, op, batch_size * op.height * op.width)
    for block in range(len(work.planes)):
        if op.kind == CONVOLVE:
            _convolve_back(net, work, block, op)
        elif op.kind == NORMALIZE:
            normalize_back(work, block, op)
        elif op.kind == POOL:
            pool_planes_back(work, block, op)
        elif not op.is_first:
            split_back(work.gradients[block], op)


@kernel
def _convolve(net: NormedNet, work: NormedWorkspace, block: int, op: Op) -> None:
    for i in range(op.first_tile, op.end_tile):
        rows, columns, y, x = net.wiring.tiles[i]
        for shape in literal_unroll(SHAPES):
            if len(shape[0]) == rows and len(shape[1]) == columns:
                _tile(net, work, block, op, (y, x), shape)


@kernel
def _tile(
    net: NormedNet,
    work: NormedWorkspace,
    block: int,
    op: Op,
    corner: tuple[int, int],
    shape: TileShape,
) -> None:
    """Compute the outputs of all channels at the positions of one tile."""
    wiring, planes = net.wiring, work.planes[block]
    begin, stride = place_of(op, op.source, op.inputs, corner)
    begin -= stride + uint(LANES)
    target, target_stride = place_of(op, op.target, op.outputs, corner)
    for i in range(op.outputs):
        tile = splat(np.float32(0), shape)
        output = uint(op.first_output + i)
        k, end = uint(wiring.starts[output]), uint(wiring.starts[output + uint(1)])
        while k < end:
            inputs = load(planes, (begin + uint(wiring.sources[k]), stride), shape)
            tile = fma(splat(work.values[k], shape), inputs, tile)
            k += uint(1)
        at = target + uint(i * (op.width + 2) * LANES)
        store(planes, (at, target_stride), tile)
        work.totals[op.norm + i] += lane_sum(part_sum(tile))
        work.squares[op.norm + i] += lane_sum(product(tile, tile, TURNS))


@kernel
def _convolve_back(net: NormedNet, work: NormedWorkspace, block: int, op: Op) -> None:
    for i in range(op.first_tile, op.end_tile):
        rows, columns, y, x = net.wiring.tiles[i]
        for shape in literal_unroll(SHAPES):
            if len(shape[0]) == rows and len(shape[1]) == columns:
                _tile_back(net, work, block, op, (y, x), shape)


@kernel
def _tile_back(
    net: NormedNet,
    work: NormedWorkspace,
    block: int,
    op: Op,
    corner: tuple[int, int],
    shape: TileShape,
) -> None:
    """Add one tile's contributions to the gradients of kept weights, and of its inputs."""
    wiring, planes, gradients = net.wiring, work.planes[block], work.gradients[block]
    target, stride = place_of(op, op.target_gradient, op.outputs, corner)
    target -= stride + uint(LANES)
    source, source_stride = place_of(op, op.source, op.inputs, corner)
    into, _ = place_of(op, max(op.source_gradient, 0), op.inputs, corner)
    for i in range(op.inputs):
        channel = uint(op.first_input + i)
        row = uint(i * (op.width + 2) * LANES)
        here, there = (source + row, source_stride), (into + row, source_stride)
        tile = splat(np.float32(0), shape)
        if op.adds:
            tile = load(gradients, there, shape)
        k = uint(wiring.reader_starts[channel])
        end = uint(wiring.reader_starts[channel + uint(1)])
        while k < end:
            places = (target + uint(wiring.readers[k]), stride), here
            weight = net.weights.value[k]
            tile, dots = both_products(tile, weight, (gradients, planes), places)
            at = k * uint(LANES)
            store(work.sums, at, add(load(work.sums, at, ONE), dots))
            k += uint(1)
        if not op.is_first:
            store(gradients, there, gate(tile, load(planes, here, shape)))


@kernel
def _connect(net: NormedNet, work: NormedWorkspace, block: int) -> None:
    """Compute features and logits of one block."""
    at, _, channels, height, width = net.wiring.last
    share = splat(np.float32(1 / (height * width)), ONE)
    column = uint(block * LANES)
    num_columns = uint(len(work.lanes))
    for i in range(channels):
        total = splat(np.float32(0), ONE)
        for y in range(height):
            place = uint(at + (((y + 1) * channels + i) * (width + 2) + 1) * LANES)
            for _ in range(width):
                total = add(total, load(work.planes[block], place, ONE))
                place += uint(LANES)
        store(work.units.reshape(-1), uint(i) * num_columns + column, mul(total, share))
    first = 2 * len(net.running.means)
    for logit in range(len(work.logits)):
        total = splat(net.biases.value[first + logit], ONE)
        for k in range(net.wiring.unit_starts[logit], net.wiring.unit_starts[logit + 1]):
            source = uint(net.wiring.unit_sources[k - net.wiring.unit_starts[0]])
            unit = load(work.units.reshape(-1), source * num_columns + column, ONE)
            total = fma(splat(net.weights.value[k], ONE), unit, total)
        store(work.logits.reshape(-1), uint(logit) * num_columns + column, total)


@kernel
def _connect_back(net: NormedNet, work: NormedWorkspace) -> None:
    """Add the gradients of the linear layer, and find those of the features."""
    work.unit_gradients[:] = np.float32(0)
    first = 2 * len(net.running.means)
    for logit in range(len(work.logits)):
        for column in range(len(work.lanes)):
            g = work.logit_gradients[logit, column]
            net.biases.gradient[first + logit] += g
        for k in range(net.wiring.unit_starts[logit], net.wiring.unit_starts[logit + 1]):
            source = net.wiring.unit_sources[k - net.wiring.unit_starts[0]]
            total = splat(np.float32(0), ONE)
            weight = splat(net.weights.value[k], ONE)
            for column in range(0, len(work.lanes), LANES):
                here = uint(logit * len(work.lanes) + column)
                there = uint(source * len(work.lanes) + column)
                g = load(work.logit_gradients.reshape(-1), here, ONE)
                total = fma(load(work.units.reshape(-1), there, ONE), g, total)
                known = load(work.unit_gradients.reshape(-1), there, ONE)
                store(work.unit_gradients.reshape(-1), there, fma(weight, g, known))
            net.weights.gradient[k] += lane_sum(total)


@kernel
def _spread(net: NormedNet, work: NormedWorkspace, block: int) -> None:
    """Give all positions of the last planes their share of the features' gradients."""
    at, at_gradient, channels, height, width = net.wiring.last
    share = splat(np.float32(1 / (height * width)), ONE)
    for i in range(channels):
        unit = uint(i * len(work.lanes) + block * LANES)
        gradient = mul(load(work.unit_gradients.reshape(-1), unit, ONE), share)
        for y in range(height):
            row = (((y + 1) * channels + i) * (width + 2) + 1) * LANES
            place, to = uint(at + row), uint(at_gradient + row)
            for _ in range(width):
                output = load(work.planes[block], place, ONE)
                store(work.gradients[block], to, gate(gradient, output))
                place += uint(LANES)
                to += uint(LANES)
