"""Compiled training of fully connected networks that computes every weight.

All units of all layers are numbered consecutively, the logits last. A matrix has one row
per unit (or pixel) and one column per example. One loop, ``_products``, computes all three
products of a layer: it takes a vector from each row of a matrix, multiplies it by one
factor for each of several units, and keeps the sums of these units in registers. So each
loaded number is used several times.

Rows of weights have a multiple of 16 places, filled up with 0. A layer's weights are
updated in registers and in the first-level cache as soon as their gradients are known,
which saves two trips to memory.
"""

from typing import Any, NamedTuple

import numpy as np

from pipeline.core.arrays import Floats, Integers
from pipeline.engines.dense.records import Net, Update, Workspace
from pipeline.engines.shared.caching import kernel
from pipeline.engines.shared.kernels import (
    Examples,
    Logits,
    Rule,
    announce,
    loss_gradient,
    loss_of,
    move_all,
    moved_value,
)
from pipeline.engines.shared.processor import flush_denormals, restore_mode
from pipeline.engines.shared.rows import (
    add_products,
    load_each,
    store_each,
    turn,
    zero_each,
)
from pipeline.engines.shared.sums import lane_sum
from pipeline.engines.shared.vectors import (
    LANES,
    MAX_VECTORS,
    ONE,
    Shape,
    gate,
    larger,
    load,
    only,
    splat,
    store,
    uint,
)

UNITS = (0,) * (6 if MAX_VECTORS == 4 else 3)
"""as many zeros as there are units whose sums fit the registers, with room for operands"""
_Sums = Any  # a tuple of vectors, in compiled code
_At = np.uint64
_Where = tuple[int, int, int]


class _Factors(NamedTuple):
    """Factors of vectors; unit i and row k have array[at + i · stride + k · ahead]."""

    array: Floats
    at: _At
    stride: _At
    ahead: _At


class _Rows(NamedTuple):
    """The vectors to multiply: row k begins at matrix[at + k · stride]."""

    matrix: Floats
    at: _At
    stride: _At
    num: int


@kernel
def train(
    net: Net,
    examples: Examples,
    order: Integers,
    rule: Rule,
    work: Workspace,
    shape: Shape,
) -> None:
    """Run one optimizer step per row of ``order`` (steps, B); writes into net and work.

    A batch is split into blocks of 16 · len(shape) examples; the last block is padded.
    """
    num_steps, batch_size = order.shape
    mode = flush_denormals()
    for step in range(num_steps):
        for first in range(0, batch_size, work.width):
            block = order[step, first : first + work.width]
            _gather(net, examples, block, work)
            if step + 1 < num_steps:
                announce(examples, order[step + 1, first : first + work.width])
            _forward(net, work, shape)
            ends = _logits(net, work)
            loss_gradient(ends, examples.labels, block, batch_size, shape)
            is_last = first + work.width >= batch_size
            update = Update(rule, step, first == 0, is_last, len(block))
            _backward(net, update, work, shape)
        move_all(net.biases, rule, step)
    restore_mode(mode)


@kernel
def evaluate(
    net: Net, examples: Examples, order: Integers, work: Workspace, shape: Shape
) -> tuple[float, int]:
    """Sum of the cross-entropies of examples, and how many are classified right.

    ``order`` lists all examples as 0, 1, 2 …
    """
    loss, correct = 0.0, 0
    mode = flush_denormals()
    for first in range(0, len(order), work.width):
        block = order[first : first + work.width]
        _gather(net, examples, block, work)
        announce(examples, order[first + work.width : first + 2 * work.width])
        _forward(net, work, shape)
        ends = _logits(net, work)
        block_loss, block_correct = loss_of(
            ends, examples.labels[first : first + len(block)], shape
        )
        loss += block_loss
        correct += block_correct
    restore_mode(mode)
    return loss, correct


@kernel
def _logits(net: Net, work: Workspace) -> Logits:
    last = len(net.layers.outputs) - 1
    first = net.layers.first_units[last]
    return Logits(
        first,
        first + net.layers.outputs[last],
        work.outputs,
        work.gradients,
        work.shares,
        work.peaks,
        work.totals,
    )


@kernel
def _gather(net: Net, examples: Examples, block: Integers, work: Workspace) -> None:
    """Fill in the first layer's inputs, as rows and columns; padding repeats an example."""
    stride, num_channels = net.layers.strides[0], len(net.mean)
    plane = examples.num_pixels // num_channels
    for column in range(work.width):
        example = block[min(column, len(block) - 1)]
        for channel in range(num_channels):
            source = example * examples.num_pixels + channel * plane
            into = column * stride + channel * plane
            images = examples.images[source : source + plane]
            row = work.inputs[into : into + plane]
            mean, std = net.mean[channel], net.std[channel]
            for pixel in range(plane):
                row[pixel] = (np.float32(images[pixel]) - mean) / std
    _turn(work.inputs, work.width, stride, work.columns, work.width)


@kernel
def _turn(
    source: Floats, num_rows: int, stride: int, target: Floats, target_stride: int
) -> None:
    """Write the rows of a matrix as columns; strides are distances from row to row."""
    for row in range(0, num_rows, LANES):
        for column in range(0, stride, LANES):
            out = (uint(row * stride + column), uint(stride))
            into = (uint(column * target_stride + row), uint(target_stride))
            turn(source, out, target, into)


@kernel
def _products(sums: _Sums, factors: _Factors, rows: _Rows, shape: Shape) -> _Sums:
    """Add to the sum of each unit its factors times the rows of a matrix."""
    at, row = factors.at, rows.at
    for _ in range(rows.num):
        x = load(rows.matrix, row, shape)
        sums = add_products(sums, factors.array, (at, factors.stride), x)
        at += factors.ahead
        row += rows.stride
    return sums


@kernel
def _forward(net: Net, work: Workspace, shape: Shape) -> None:
    """Compute the outputs of all units."""
    last = len(net.layers.outputs) - 1
    for layer in range(last + 1):
        first, size = net.layers.first_units[layer], net.layers.outputs[layer]
        for unit in range(first, first + size):
            bias = splat(net.biases.value[unit], shape)
            store(work.outputs, uint(unit * work.width), bias)
        if layer == 0:
            _outputs(net, layer, work.columns, work, shape)
        else:
            before = net.layers.first_units[layer - 1] * work.width
            _outputs(net, layer, work.outputs[before:], work, shape)
        if layer < last:
            zero = splat(np.float32(0), shape)
            for unit in range(first, first + size):
                at = uint(unit * work.width)
                store(work.outputs, at, larger(zero, load(work.outputs, at, shape)))


@kernel
def _outputs(net: Net, layer: int, inputs: Floats, work: Workspace, shape: Shape) -> None:
    """Add a layer's inputs, the rows of a matrix, times its weights to its sums."""
    num_outputs = net.layers.outputs[layer]
    rows = _Rows(inputs, uint(0), uint(work.width), net.layers.inputs[layer])
    whole = num_outputs - num_outputs % len(UNITS)
    for unit in range(0, whole, len(UNITS)):
        _some_outputs(net, (layer, unit, 0), UNITS, rows, work, shape)
    for unit in range(whole, num_outputs):
        _some_outputs(net, (layer, unit, 0), ONE, rows, work, shape)


@kernel
def _some_outputs(
    net: Net, where: _Where, units: Shape, rows: _Rows, work: Workspace, shape: Shape
) -> None:
    """Add to the sums of several units; ``where`` is layer, first unit, 0."""
    layer, unit, _ = where
    into = uint((net.layers.first_units[layer] + unit) * work.width)
    place = (into, uint(work.width))
    at, stride = _weights_at(net, where)
    factors = _Factors(net.weights.value, at, stride, uint(1))
    sums = _products(load_each(work.outputs, place, units, shape), factors, rows, shape)
    store_each(work.outputs, place, sums)


@kernel
def _weights_at(net: Net, where: _Where) -> tuple[_At, _At]:
    """Where a unit's weight on an input is, and how far it is to that of the next unit."""
    layer, unit, column = where
    stride = net.layers.strides[layer]
    return uint(net.layers.first_weights[layer] + unit * stride + column), uint(stride)


@kernel
def _backward(net: Net, update: Update, work: Workspace, shape: Shape) -> None:
    """Compute gradients, last layer first; update with the last block of a batch."""
    for back in range(1, len(net.layers.outputs) + 1):
        layer = len(net.layers.outputs) - back
        first, size = net.layers.first_units[layer], net.layers.outputs[layer]
        for unit in range(first, first + size):
            g = load(work.gradients, uint(unit * work.width), shape)
            net.biases.gradient[unit] += lane_sum(g)
        if layer > 0:
            _input_gradients(net, layer, work, shape)
            outputs = work.outputs[net.layers.first_units[layer - 1] * work.width :]
            stride = net.layers.strides[layer]
            _turn(outputs, stride, work.width, work.hidden, stride)
        _learn(net, layer, update, work, shape)


@kernel
def _input_gradients(net: Net, layer: int, work: Workspace, shape: Shape) -> None:
    """Compute the gradients of the sums in the layer before, through its ReLU."""
    num_inputs = net.layers.inputs[layer]
    whole = num_inputs - num_inputs % len(UNITS)
    for unit in range(0, whole, len(UNITS)):
        _some_input_gradients(net, (layer, 0, unit), UNITS, work, shape)
    for unit in range(whole, num_inputs):
        _some_input_gradients(net, (layer, 0, unit), ONE, work, shape)
    first = net.layers.first_units[layer - 1]
    for unit in range(first, first + num_inputs):
        at = uint(unit * work.width)
        g = load(work.gradients, at, shape)
        store(work.gradients, at, gate(g, load(work.outputs, at, shape)))


@kernel
def _some_input_gradients(
    net: Net, where: _Where, units: Shape, work: Workspace, shape: Shape
) -> None:
    """Compute those of several units; ``where`` is layer, 0, first unit of layer before."""
    layer, _, unit = where
    at, stride = _weights_at(net, where)
    factors = _Factors(net.weights.value, at, uint(1), stride)
    row = uint(net.layers.first_units[layer] * work.width)
    rows = _Rows(work.gradients, row, uint(work.width), net.layers.outputs[layer])
    sums = _products(zero_each(units, shape), factors, rows, shape)
    into = uint((net.layers.first_units[layer - 1] + unit) * work.width)
    store_each(work.gradients, (into, uint(work.width)), sums)


@kernel
def _learn(net: Net, layer: int, update: Update, work: Workspace, shape: Shape) -> None:
    """Compute the gradients of a layer's weights, and store or apply them."""
    num_outputs = net.layers.outputs[layer]
    whole = num_outputs - num_outputs % len(UNITS)
    for unit in range(0, whole, len(UNITS)):
        _learn_units(net, (layer, unit), UNITS, update, work, shape)
    for unit in range(whole, num_outputs):
        _learn_units(net, (layer, unit), ONE, update, work, shape)


@kernel
def _learn_units(
    net: Net,
    where: tuple[int, int],
    units: Shape,
    update: Update,
    work: Workspace,
    shape: Shape,
) -> None:
    layer, unit = where
    stride = net.layers.strides[layer]
    wide = stride - stride % work.width
    for column in range(0, wide, work.width):
        _learn_some(net, (layer, unit, column), units, update, work, shape)
    for column in range(wide, stride, LANES):
        _learn_some(net, (layer, unit, column), units, update, work, ONE)


@kernel
def _learn_some(
    net: Net,
    where: _Where,
    units: Shape,
    update: Update,
    work: Workspace,
    shape: Shape,
) -> None:
    """Compute the gradients of the weights of some units on some inputs."""
    layer, unit, column = where
    at, stride = _weights_at(net, where)
    first = uint((net.layers.first_units[layer] + unit) * work.width)
    factors = _Factors(work.gradients, first, uint(work.width), uint(1))
    inputs = work.inputs if layer == 0 else work.hidden
    rows = _Rows(inputs, uint(column), stride, update.num_examples)
    sums = zero_each(units, shape)
    if not update.is_first:
        sums = load_each(net.weights.gradient, (at, stride), units, shape)
    sums = _products(sums, factors, rows, shape)
    if not update.is_last:
        store_each(net.weights.gradient, (at, stride), sums)
        return
    store_each(work.found, (uint(0), uint(work.width)), sums)
    for number in range(len(units)):
        g = load(work.found, uint(number * work.width), shape)
        into = at + uint(number) * stride
        g = only(g, net.kept, into)
        value = moved_value(net.weights, update.rule, update.step, into, g, shape)
        # The weights are masked again: at a rate that overflows, 0 times the rate is NaN.
        store(net.weights.value, into, only(value, net.kept, into))
