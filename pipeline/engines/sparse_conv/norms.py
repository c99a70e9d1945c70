"""Compiled batch norms, and the planes that are split or pooled between convolutions.

Every gradient that is written to planes behind a ReLU is 0 where their outputs are 0, so a
norm has no gate on the way back.
"""

import math

import numpy as np

from pipeline.core.arrays import Floats
from pipeline.engines.shared.caching import kernel
from pipeline.engines.shared.sums import lane_sum
from pipeline.engines.shared.vectors import (
    LANES,
    ONE,
    add,
    fma,
    larger,
    load,
    mul,
    splat,
    store,
    sub,
    uint,
)
from pipeline.engines.sparse_conv.convolutions import place_of
from pipeline.engines.sparse_conv.normed_records import (
    EPSILON,
    MOMENTUM,
    NOTHING,
    NormedNet,
    NormedWorkspace,
    Op,
)
from pipeline.engines.sparse_conv.registers import largest, store_at_largest


@kernel
def row_of(op: Op, first: int, channels: int, row: int, channel: int) -> np.uint64:
    """Where a channel's row begins, behind its border."""
    at: np.uint64 = place_of(op, first, channels, (row, 0))[0]
    return at + uint(channel * (op.width + 2) * LANES)


@kernel
def settle(net: NormedNet, work: NormedWorkspace, op: Op, count: int) -> None:
    """Turn a batch's sums into mean and 1 / standard deviation; update running statistics.

    Args:
        net: its running statistics are updated.
        work: sums that the convolution left; set back to 0.
        op: a norm.
        count: number of values per channel.
    """
    keep, share = np.float32(1 - MOMENTUM), np.float32(MOMENTUM)
    for channel in range(op.norm, op.norm + op.outputs):
        mean = work.totals[channel] / count
        variance = max(work.squares[channel] / count - mean * mean, 0.0)
        work.totals[channel], work.squares[channel] = 0.0, 0.0
        unbiased = variance * (count / (count - 1.0))
        known = net.running
        known.means[channel] = keep * known.means[channel] + share * np.float32(mean)
        known.variances[channel] = keep * known.variances[channel] + share * np.float32(
            unbiased
        )
        _prepare(net, work, channel, mean, variance)


@kernel
def settle_running(net: NormedNet, work: NormedWorkspace) -> None:
    """Take mean and standard deviation of all norms from their running statistics."""
    for channel in range(len(net.running.means)):
        mean, variance = net.running.means[channel], net.running.variances[channel]
        _prepare(net, work, channel, np.float64(mean), np.float64(variance))


@kernel
def _prepare(
    net: NormedNet, work: NormedWorkspace, channel: int, mean: float, variance: float
) -> None:
    inverse = 1.0 / math.sqrt(variance + EPSILON)
    work.numbers[channel, 0] = np.float32(mean)
    work.numbers[channel, 1] = np.float32(inverse)
    work.numbers[channel, 2] = np.float32(net.biases.value[channel] * inverse)
    work.numbers[channel, 3] = net.biases.value[len(net.running.means) + channel]


@kernel
def normalize(work: NormedWorkspace, block: int, op: Op) -> None:
    """Normalize the planes of one block; maybe add other planes, and rectify the sum."""
    planes = work.planes[block]
    lanes, zero = load(work.lanes, uint(block * LANES), ONE), splat(np.float32(0), ONE)
    for y in range(op.height):
        for i in range(op.outputs):
            mean, _, scale, shift = work.numbers[op.norm + i]
            at = row_of(op, op.source, op.outputs, y, i)
            to = row_of(op, op.target, op.outputs, y, i)
            beside = row_of(op, max(op.other, 0), op.outputs, y, i)
            for _ in range(op.width):
                x = sub(load(planes, at, ONE), splat(mean, ONE))
                x = fma(x, splat(scale, ONE), splat(shift, ONE))
                if op.other != NOTHING:
                    x = add(x, load(planes, beside, ONE))
                if op.rectified:
                    x = larger(zero, x)
                store(planes, to, mul(x, lanes))
                at += uint(LANES)
                to += uint(LANES)
                beside += uint(LANES)


@kernel
def sum_back(work: NormedWorkspace, block: int, op: Op) -> None:
    """Add up a norm's gradients, and their products with its inputs, of one block."""
    planes, gradients = work.planes[block], work.gradients[block]
    for y in range(op.height):
        for i in range(op.outputs):
            mean = splat(work.numbers[op.norm + i, 0], ONE)
            at = row_of(op, op.source, op.outputs, y, i)
            here = row_of(op, op.target_gradient, op.outputs, y, i)
            total, products = splat(np.float32(0), ONE), splat(np.float32(0), ONE)
            for _ in range(op.width):
                g = load(gradients, here, ONE)
                total = add(total, g)
                products = fma(sub(load(planes, at, ONE), mean), g, products)
                at += uint(LANES)
                here += uint(LANES)
            work.totals[op.norm + i] += lane_sum(total)
            work.squares[op.norm + i] += lane_sum(products)


@kernel
def settle_back(net: NormedNet, work: NormedWorkspace, op: Op, count: int) -> None:
    """Give scales and shifts their gradients, and find the numbers of the way back."""
    for channel in range(op.norm, op.norm + op.outputs):
        inverse = np.float64(work.numbers[channel, 1])
        total, products = work.totals[channel], work.squares[channel] * inverse
        work.totals[channel], work.squares[channel] = 0.0, 0.0
        net.biases.gradient[channel] += np.float32(products)
        net.biases.gradient[len(net.running.means) + channel] += np.float32(total)
        scale = net.biases.value[channel] * inverse
        work.numbers[channel, 1] = np.float32(scale)
        work.numbers[channel, 2] = np.float32(-scale * inverse * products / count)
        work.numbers[channel, 3] = np.float32(-scale * total / count)


@kernel
def normalize_back(work: NormedWorkspace, block: int, op: Op) -> None:
    """Turn the gradients of one block's outputs into those of the inputs, in place.

    What was added to them has the same gradients as the outputs.
    """
    planes, gradients = work.planes[block], work.gradients[block]
    for y in range(op.height):
        for i in range(op.outputs):
            mean, scale, slope, shift = work.numbers[op.norm + i]
            at = row_of(op, op.source, op.outputs, y, i)
            here = row_of(op, op.target_gradient, op.outputs, y, i)
            beside = row_of(op, max(op.other_gradient, 0), op.outputs, y, i)
            for _ in range(op.width):
                g = load(gradients, here, ONE)
                if op.other != NOTHING:
                    passed = g
                    if op.other_adds:
                        passed = add(passed, load(gradients, beside, ONE))
                    store(gradients, beside, passed)
                x = sub(load(planes, at, ONE), splat(mean, ONE))
                x = fma(x, splat(slope, ONE), splat(shift, ONE))
                store(gradients, here, fma(g, splat(scale, ONE), x))
                at += uint(LANES)
                here += uint(LANES)
                beside += uint(LANES)


@kernel
def _split_place(op: Op, first: int, channel: int, y: int, x: int) -> np.uint64:
    """Where a position of split planes is."""
    part = 2 * (y % 2) + x % 2
    row = (y // 2 + 1) * 4 * op.inputs + part * op.inputs + channel
    return uint(first + (row * ((op.width + 1) // 2 + 2) + x // 2 + 1) * LANES)


@kernel
def split(planes: Floats, op: Op) -> None:
    """Copy planes into four parts: even and odd rows and columns."""
    for y in range(op.height):
        for i in range(op.inputs):
            at = row_of(op, op.source, op.inputs, y, i)
            for x in range(op.width):
                to = _split_place(op, op.target, i, y, x)
                store(planes, to, load(planes, at, ONE))
                at += uint(LANES)


@kernel
def split_back(gradients: Floats, op: Op) -> None:
    """Copy the gradients of four parts back to the planes that were split."""
    for y in range(op.height):
        for i in range(op.inputs):
            to = row_of(op, op.source_gradient, op.inputs, y, i)
            for x in range(op.width):
                at = _split_place(op, op.target_gradient, i, y, x)
                store(gradients, to, load(gradients, at, ONE))
                to += uint(LANES)


@kernel
def _pooled_row(op: Op, first: int, row: int, channel: int) -> np.uint64:
    row = (row + 1) * op.outputs + channel
    return uint(first + (row * (op.width // 2 + 2) + 1) * LANES)


@kernel
def pool_planes(planes: Floats, op: Op) -> None:
    """Compute the largest output in each 2 × 2 window."""
    for y in range(op.height // 2):
        for i in range(op.outputs):
            at, stride = place_of(op, op.source, op.outputs, (2 * y, 0))
            at += uint(i * (op.width + 2) * LANES)
            to = _pooled_row(op, op.target, y, i)
            for _ in range(op.width // 2):
                store(planes, to, largest(planes, (at, stride)))
                at += uint(2 * LANES)
                to += uint(LANES)


@kernel
def pool_planes_back(work: NormedWorkspace, block: int, op: Op) -> None:
    """Give the largest output of each window the window's gradient, and 0 to the others.

    What an odd border drops has the gradient 0.
    """
    planes, gradients = work.planes[block], work.gradients[block]
    zero = splat(np.float32(0), ONE)
    for y in range(op.height):
        for i in range(op.outputs):
            to = row_of(op, op.source_gradient, op.outputs, y, i)
            for _ in range(op.width):
                store(gradients, to, zero)
                to += uint(LANES)
    arrays = gradients[op.source_gradient :], planes[op.source :]
    for y in range(op.height // 2):
        for i in range(op.outputs):
            place, stride = place_of(op, 0, op.outputs, (2 * y, 0))
            place += uint(i * (op.width + 2) * LANES)
            at = _pooled_row(op, op.target_gradient, y, i)
            for _ in range(op.width // 2):
                store_at_largest(arrays, (place, stride), load(gradients, at, ONE))
                place += uint(2 * LANES)
                at += uint(LANES)
