"""Compiled training of fully connected networks in which only kept weights exist.

All units of all layers are numbered consecutively, the logits last. A matrix has one row
per unit (or pixel) and one column per example. So a weight multiplies a whole row, and a
block of the row's columns stays in vector registers (``vectors.py``).

Each pixel is stored as the upper half of its float32 (whole numbers up to 255 fit
exactly), two pixels in a word: this halves the memory traffic of float32. Unpacking costs
as much as multiplying if a CPU has two vector units. So the first layer goes through its
input in parts. With many kept weights a part is a block of rows, which is unpacked and
normalized once, in the first-level cache, for all units that read it. With few kept
weights a part is a channel, which is read packed; x = scale · pixel + offset is then
applied to the sums.

Pixels that are 0 in many batches (``OFTEN`` in ``wiring.py``), such as those around a
digit, form the rim of the input. All other pixels form the core, whose rows come first.
Rim weights are stored row by row, all others unit by unit: a rim row that is 0 in a whole
block is blank, and is left out with all its weights. In a blank row these weights read the
same number for all examples. So a unit reads one constant from all blank rows together,
and the gradients are that number times the gradient of the unit's sum.

A split for evaluation is always the same, and its examples may stand in any order. If few
weights are kept, similar examples are put into one tile (half of the rows of a tile of
MNIST are blank), and the weights on the other rows are listed for each tile (``tiles.py``).
"""

import numpy as np

from pipeline.core.arrays import Integers
from pipeline.engines.shared.caching import kernel
from pipeline.engines.shared.kernels import (
    Examples,
    Logits,
    Rule,
    announce,
    loss_gradient,
    loss_of,
    move_all,
)
from pipeline.engines.shared.processor import flush_denormals, prefetch, restore_mode
from pipeline.engines.shared.vectors import (
    LANES,
    Shape,
    fma,
    larger,
    load,
    splat,
    store,
    uint,
)
from pipeline.engines.sparse.backward import backward
from pipeline.engines.sparse.forward import add_later_layers, forward
from pipeline.engines.sparse.inputs import (
    gather,
    gather_arranged,
    numbers,
    span,
    take_all_offsets,
    take_biases,
)
from pipeline.engines.sparse.records import Arranged, Net, Reads, Tiles, Wiring, Workspace

WORDS = 16
"""number of words of 4 bytes in a cache line"""


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

    ``work`` holds blocks of 16 · len(shape) columns. A batch is split into such blocks;
    the last one is padded.
    """
    num_steps, batch_size = order.shape
    width = LANES * len(shape)
    mode = flush_denormals()
    for step in range(num_steps):
        for first in range(0, batch_size, width):
            block = order[step, first : first + width]
            num_lit = gather(net, examples, block, work, shape)
            if step + 1 < num_steps:
                announce(examples, order[step + 1, first : first + width])
            take_biases(net, work)
            forward(net, num_lit, work, shape)
            ends = _logits(net.wiring, work)
            loss_gradient(ends, examples.labels, block, batch_size, shape)
            backward(net, num_lit, work, shape)
        for tensor in (net.weights, net.biases):
            move_all(tensor, rule, step)
    restore_mode(mode)


@kernel
def evaluate(
    net: Net, plain: Net, split: Arranged, work: Workspace, shape: Shape
) -> tuple[float, int]:
    """Sum of the cross-entropies of a split, and how many examples are classified right.

    ``plain`` is the same network without offsets: those of ``net`` are added up once for
    all examples.
    """
    width = LANES * len(shape)
    loss, correct = 0.0, 0
    take_all_offsets(net, work)
    for first in range(0, len(split.order), width):
        num_lit = gather_arranged(plain, split, first, work, shape)
        forward(plain, num_lit, work, shape)
        block_loss, block_correct = _loss_of(net, split.labels, first, work, shape)
        loss += block_loss
        correct += block_correct
    return loss, correct


@kernel
def _loss_of(
    net: Net, labels: Integers, first: int, work: Workspace, shape: Shape
) -> tuple[float, int]:
    """``loss_of`` the block whose labels begin at ``first``."""
    block = labels[first : first + LANES * len(shape)]
    found: tuple[float, int] = loss_of(_logits(net.wiring, work), block, shape)
    return found


@kernel
def evaluate_tiles(
    net: Net, reads: Reads, tiles: Tiles, labels: Integers, work: Workspace, shape: Shape
) -> tuple[float, int]:
    """As ``evaluate``, for a split in tiles, which are 16 · len(shape) columns wide."""
    width = LANES * len(shape)
    loss, correct = 0.0, 0
    take_all_offsets(net, work)
    for k in range(len(reads.weights)):
        weight = net.weights.value[uint(reads.weights[k])]
        reads.scaled[k] = reads.scales[k] * weight
    for tile in range(len(tiles.order)):
        _read_tile(net, reads, tiles, tile, work, shape)
        add_later_layers(net, work, shape)
        tile_loss, tile_correct = _loss_of(net, labels, tile * width, work, shape)
        loss += tile_loss
        correct += tile_correct
    return loss, correct


@kernel
def _read_tile(
    net: Net, reads: Reads, tiles: Tiles, tile: int, work: Workspace, shape: Shape
) -> None:
    """Compute the first layer's outputs, and meanwhile fetch the next tile's pixels."""
    width, num_units = uint(LANES * len(shape)), tiles.order.shape[1]
    at, end = span(tiles.first_words, uint(tile))
    pixels, last = tiles.pixels[at:end], uint(tiles.first_words[tile + 2])
    # Each unit fetches a few cache lines; fetching all at once would have to wait.
    share = uint(WORDS) * (uint(1) + (last - end) // uint(WORDS * max(num_units, 1)))
    zero = splat(np.float32(0), shape)
    for visit in range(num_units):
        stop = min(end + share, last)
        while end < stop:
            prefetch(tiles.pixels, end)
            end += uint(WORDS)
        number = uint(tiles.order[uint(tile), uint(visit)])
        unit, first = uint(reads.units[number]), uint(reads.starts[number])
        a = splat(work.biases[unit], shape)
        for k in numbers(tiles.starts, uint(tile * num_units + visit)):
            x = load(pixels, uint(tiles.rows[k]) * width, shape)
            a = fma(splat(reads.scaled[first + uint(tiles.reads[k])], shape), x, a)
        if unit < uint(net.wiring.num_hidden):
            a = larger(zero, a)
        store(work.outputs, unit * width, a)


@kernel
def _logits(wiring: Wiring, work: Workspace) -> Logits:
    return Logits(
        wiring.num_hidden,
        wiring.num_units,
        work.outputs,
        work.gradients,
        work.shares,
        work.peaks,
        work.totals,
    )
