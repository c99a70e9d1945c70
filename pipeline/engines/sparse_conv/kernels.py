"""Compiled training of small convolutional networks in which only kept weights exist.

A vector holds 16 examples side by side. Planes are (height + 2, channels, width + 2, 16).
Their border of zeros makes every shift stay within the plane. Channels lie between rows, so
the rows that a tile of outputs reads from all channels are one stretch of memory, which
fits the second-level cache. Convolutions and pools (``convolutions.py``) compute one block
of 16 examples after the other; fully connected layers (``connections.py``) compute a group
of 4 blocks at once.

Weights are stored in the order of the backward pass: by input channel (or unit), then by
output. The forward pass of a convolution reads a copy in its own order.
"""

import math

import numpy as np

from pipeline.core.arrays import Floats, Integers
from pipeline.engines.shared.caching import kernel
from pipeline.engines.shared.kernels import Examples, Rule, move_all
from pipeline.engines.shared.sums import lane_sum
from pipeline.engines.shared.vectors import LANES, ONE, load, splat, store, uint
from pipeline.engines.sparse_conv.connections import connect, connect_back
from pipeline.engines.sparse_conv.convolutions import convolve, place_of, pool, pool_back
from pipeline.engines.sparse_conv.records import (
    NO_POOL,
    NUM_BLOCKS,
    WIDTH,
    Net,
    Order,
    Wiring,
    Workspace,
)


@kernel
def train(net: Net, examples: Examples, order: Order, rule: Rule, work: Workspace) -> None:
    """Run one optimizer step per row of ``order``; writes into net and work."""
    num_steps, batch_size = order.examples.shape
    for step in range(num_steps):
        order_values(net, work)
        for first in range(0, batch_size, WIDTH):
            count = _forward(net, examples, order, (step, first), work)
            group = order.examples[step, first : first + count]
            logits = work.units.reshape(-1, WIDTH)[net.wiring.unit_layers[-2] :]
            gradients = work.unit_gradients.reshape(-1, WIDTH)[net.wiring.unit_layers[-2] :]
            loss_gradient(logits, gradients, examples.labels, group, 1.0 / batch_size)
            connect_back(net, work)
            _blocks_back(net, work, count)
        add_sums(net, work)
        for tensor in (net.weights, net.biases):
            move_all(tensor, rule, step)


@kernel
def evaluate(
    net: Net, examples: Examples, order: Order, work: Workspace
) -> tuple[float, int]:
    """Sum of the cross-entropies of examples, and how many are classified right.

    ``order`` has one step, which takes all examples.
    """
    order_values(net, work)
    loss, correct = 0.0, 0
    for first in range(0, order.examples.shape[1], WIDTH):
        count = _forward(net, examples, order, (0, first), work)
        group = order.examples[0, first : first + count]
        group_loss, group_correct = _loss(net, examples.labels, group, work)
        loss += group_loss
        correct += group_correct
    return loss, correct


@kernel
def order_values(net: Net, work: Workspace) -> None:
    """Copy the convolutions' weights into the order of the forward pass."""
    for k in range(len(work.values)):
        work.values[k] = net.weights.value[net.wiring.positions[k]]


@kernel
def _forward(
    net: Net, examples: Examples, order: Order, at: tuple[int, int], work: Workspace
) -> int:
    """Compute the logits of a group of examples; return the number of examples."""
    step, first = at
    count: int = min(WIDTH, order.examples.shape[1] - first)
    for block in range(NUM_BLOCKS):
        if block * LANES < count:
            begin = first + block * LANES
            gather(net.wiring, examples, order, (step, begin), work.planes[block])
            for i in range(len(net.wiring.convs)):
                conv = net.wiring.convs[i]
                convolve(net, work, work.planes[block], conv, back=False)
                if conv.behind != NO_POOL:
                    pool(net, work, block, conv)
        else:
            _clear(net.wiring, work, block)
    connect(net, work)
    return count


@kernel
def gather(
    wiring: Wiring,
    examples: Examples,
    order: Order,
    at: tuple[int, int],
    planes: Floats,
) -> None:
    """Fill the images' planes of one block; padding repeats the last example."""
    conv = wiring.convs[0]
    step, first = at
    last = order.examples.shape[1] - 1
    for y in range(conv.height):
        for channel in range(conv.inputs):
            begin, _ = place_of(conv, conv.source, conv.inputs, (y, 0))
            begin += uint(channel * (conv.width + 2) * LANES)
            for lane in range(LANES):
                i = min(first + lane, last)
                down, right = order.shifts[step, i]
                row = y + down
                pixel = order.examples[step, i] * examples.num_pixels
                pixel += (channel * conv.height + row) * conv.width
                for x in range(conv.width):
                    column = conv.width - 1 - x if order.flips[step, i] else x
                    column += right
                    value = np.float32(0)
                    if 0 <= row < conv.height and 0 <= column < conv.width:
                        value = wiring.values[channel, examples.images[pixel + column]]
                    planes[begin + uint(x * LANES + lane)] = value


@kernel
def _clear(wiring: Wiring, work: Workspace, block: int) -> None:
    """Set the image's units of a block without examples to 0."""
    zero = splat(np.float32(0), ONE)
    for unit in range(wiring.unit_layers[1]):
        at = uint(unit * WIDTH + block * LANES)
        store(work.units, at, zero)


@kernel
def softmax(logits: Floats, column: int) -> tuple[int, float]:
    """The position of a column's largest logit, and the sum of exp(logit - largest).

    Of equal logits the first one counts, and a NaN is larger than all others. Engines of
    fully connected networks use another softmax (``shared/kernels.py``): it computes a
    whole block at once, with an exponential of its own and sums in float32. Exchanging the
    two would change the last bits of all trainings.
    """
    best, total = 0, 0.0
    for unit in range(1, len(logits)):
        logit, peak = logits[unit, column], logits[best, column]
        if logit > peak or (math.isnan(logit) and not math.isnan(peak)):
            best = unit
    for unit in range(len(logits)):
        total += math.exp(logits[unit, column] - logits[best, column])
    return best, total


@kernel
def loss_gradient(
    logits: Floats, gradients: Floats, labels: Integers, group: Integers, share: float
) -> None:
    """Compute the logits' gradients: (softmax - one-hot) · share of the example.

    Logits and gradients are (classes, columns); columns behind the group's get 0.
    """
    gradients[:, len(group) :] = np.float32(0)
    for column in range(len(group)):
        best, total = softmax(logits, column)
        peak = logits[best, column]
        for unit in range(len(logits)):
            p = math.exp(logits[unit, column] - peak) / total
            hit = unit == labels[group[column]]
            gradients[unit, column] = np.float32((p - hit) * share)


@kernel
def _loss(
    net: Net, labels: Integers, group: Integers, work: Workspace
) -> tuple[float, int]:
    """Sum of cross-entropies and number of right answers of a group."""
    loss, correct = 0.0, 0
    logits = work.units.reshape(-1, WIDTH)[net.wiring.unit_layers[-2] :]
    for column in range(len(group)):
        label = labels[group[column]]
        best, total = softmax(logits, column)
        loss += math.log(total) - (logits[label, column] - logits[best, column])
        correct += best == label
    return loss, correct


@kernel
def _blocks_back(net: Net, work: Workspace, count: int) -> None:
    for block in range((count + LANES - 1) // LANES):
        for i in range(len(net.wiring.convs) - 1, -1, -1):
            conv = net.wiring.convs[i]
            if conv.behind != NO_POOL:
                pool_back(net, work, block, conv)
            convolve(net, work, work.planes[block], conv, back=True)


@kernel
def add_sums(net: Net, work: Workspace) -> None:
    """Compute the gradients of the convolutions' weights from their sums by column."""
    for k in range(len(work.values)):
        place = uint(k * LANES)
        net.weights.gradient[k] += lane_sum(load(work.sums, place, ONE))
        store(work.sums, place, splat(np.float32(0), ONE))
