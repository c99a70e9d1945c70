"""Compiled training of fully connected networks in which only kept weights exist.

All units of all layers are numbered in one row, the logits last. A matrix has one row per
unit (or pixel) and one column per example, so that a weight multiplies a whole row, of
which a block of columns stays in vector registers (``vectors.py``).

Pixels are kept as the upper halves of their float32 (whole numbers up to 255 fit
exactly), two in a word: half the memory traffic of float32. Unpacking costs as much as
multiplying where a CPU has two vector units. So the first layer goes through its input
in parts. With many kept weights a part is a block of rows, unpacked and normalized once
for all units that read it, in the first-level cache. With few it is a channel, read as
it is; x = scale · pixel + offset is applied to the sums instead.
"""

from typing import NamedTuple

import numpy as np

from pipeline.core.arrays import Floats, Integers
from pipeline.core.training.caching import kernel
from pipeline.core.training.kernels import (
    Examples,
    Logits,
    Rule,
    Tensor,
    announce,
    loss_gradient,
    loss_of,
    move_all,
)
from pipeline.core.training.vectors import (
    CHUNK,
    LANES,
    Shape,
    Vectors,
    Words,
    add,
    add_lane_sums,
    flush_denormals,
    fma,
    gate,
    lane_sum,
    larger,
    load,
    mul,
    prefetch,
    range_sum,
    restore_mode,
    splat,
    store,
    transpose,
    uint,
)

WORDS = 16
"""of 4 bytes in a cache line"""


class Wiring(NamedTuple):
    """Which unit reads what: fixed while a network trains."""

    visits: Words
    """units in the order of computation; the first layer's once per part of its input.
    A unit that reaches no logit is not among them"""
    starts: Words
    """where the kept weights of each visit begin; and the end"""
    sources: Words
    """row of the part (first layer) or unit that a kept weight reads"""
    first_units: Words
    """the visited units of the first layer, from few to many outgoing weights"""
    reader_starts: Words
    """where in ``readers`` the kept outgoing weights of a hidden unit begin; and the end"""
    readers: Words
    """the unit at the other end of an outgoing weight"""
    reader_weights: Words
    """the position of that weight among all kept weights"""
    chunks: Integers
    """the pixel at which each chunk of the pixel matrix begins"""
    rows: Integers
    """per part: its first row in the pixel matrix"""
    scale: Floats
    """per part: 1 / std of its channel"""
    offset: Floats
    """per part: -mean / std of its channel"""
    num_rows: int
    """of the pixel matrix"""
    block_rows: int
    """of a part, at most; 0 if parts are channels, and stay packed"""
    num_hidden: int
    """units before the logits"""
    num_units: int


class Net(NamedTuple):
    """A network in training."""

    wiring: Wiring
    weights: Tensor
    biases: Tensor


class Tiles(NamedTuple):
    """A split in the form in which the first layer reads it, made once per engine.

    Examples are grouped by the pixels at which they are 0. Each group has a wiring of its
    own, without weights on pixels that are 0 in all of its examples, and without offsets,
    which are in the biases.
    """

    pixels: Words
    """the pixel matrices of one tile after the other, packed as in a workspace; the
    last one is filled up with 0"""
    labels: Integers
    """(N,), in the order of the tiles"""
    num_tiles: Integers
    """per group"""
    num_rows: Integers
    """per group, of its pixel matrices"""
    first_visits: Integers
    """where in ``visits`` each group begins; and the end. In ``starts`` each group has
    one number more"""
    visits: Words
    starts: Words
    """where the weights of a visit begin, counted from the group's first one"""
    first_weights: Integers
    """where in ``sources`` and ``weights`` each group begins; and the end"""
    sources: Words
    weights: Words
    """the position of each of these weights among all kept weights"""
    first_parts: Integers
    """where in ``rows``, ``scale`` and ``offset`` each group begins; and the end"""
    rows: Integers
    scale: Floats
    offset: Floats
    """0"""
    value: Floats
    """the weights of the group at work"""
    bias: Floats
    """with all that offsets add"""


class Workspace(NamedTuple):
    """Matrices of one block of examples; rows begin at multiples of 64 bytes."""

    begins: Integers
    """where in the images each column begins"""
    pixels: Words | Floats
    """of bytes: left half of the columns in the lower 16 bits, right half in the upper"""
    block: Floats
    """unpacked and normalized rows of one part"""
    outputs: Floats
    gradients: Floats
    shares: Floats
    """weight of each column in the mean loss; padding has 0"""
    peaks: Floats
    """largest logit of each column"""
    totals: Floats
    """sum of exp(logit - peak) of each column"""


class _Source(NamedTuple):
    """What a unit reads: x = scale · matrix + offset."""

    matrix: Words | Floats
    scale: np.float32
    offset: np.float32


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

    ``work`` holds blocks of 16 · len(shape) columns; a batch is as many blocks as it
    needs, the last one padded.
    """
    num_steps, batch_size = order.shape
    width = LANES * len(shape)
    mode = flush_denormals()
    for step in range(num_steps):
        for first in range(0, batch_size, width):
            block = order[step, first : first + width]
            _gather(net.wiring, examples, block, work, shape)
            if step + 1 < num_steps:
                announce(examples, order[step + 1, first : first + width])
            _forward(net, work.pixels, work.pixels[:0], work, shape)
            ends = _logits(net.wiring, work)
            loss_gradient(ends, examples.labels, block, batch_size, shape)
            _backward(net, work, shape)
        for tensor in (net.weights, net.biases):
            move_all(tensor, rule, step)
    restore_mode(mode)


@kernel
def evaluate(net: Net, tiles: Tiles, work: Workspace, shape: Shape) -> tuple[float, int]:
    """Sum of the cross-entropies of examples, and how many of them are right.

    Tiles are 16 · len(shape) columns wide; weights and biases are written into them.
    """
    width = LANES * len(shape)
    loss, correct, first_word, first_label = 0.0, 0, 0, 0
    _take_biases(net, tiles)
    for group in range(len(tiles.num_tiles)):
        seen = _group(net, tiles, group)
        size = seen.wiring.num_rows * width // 2
        for _ in range(tiles.num_tiles[group]):
            end = first_word + size
            ahead = tiles.pixels[end : end + size]
            _forward(seen, tiles.pixels[first_word:end], ahead, work, shape)
            ends = _logits(seen.wiring, work)
            labels = tiles.labels[first_label : first_label + width]
            tile_loss, tile_correct = loss_of(ends, labels, shape)
            loss += tile_loss
            correct += tile_correct
            first_word, first_label = end, first_label + width
    return loss, correct


@kernel
def _take_biases(net: Net, tiles: Tiles) -> None:
    """Biases that hold what all offsets add.

    A weight that diverges shows there even where all pixels are 0: 0 · NaN is NaN.
    """
    wiring, value = net.wiring, net.weights.value
    for unit in range(wiring.num_units):
        tiles.bias[unit] = net.biases.value[unit]
    for part in range(len(wiring.rows)):
        for visit in _visits(wiring, part):
            first, end = _range(wiring, visit)
            total = _weights_total(value, first, end) * wiring.offset[part]
            tiles.bias[wiring.visits[visit]] += total


@kernel
def _group(net: Net, tiles: Tiles, group: int) -> Net:
    """The network as a group's examples see it. Only its forward pass has a meaning."""
    full = net.wiring
    visit, last_visit = tiles.first_visits[group], tiles.first_visits[group + 1]
    first, end = tiles.first_weights[group], tiles.first_weights[group + 1]
    part, last_part = tiles.first_parts[group], tiles.first_parts[group + 1]
    for number in range(end - first):
        k = tiles.weights[uint(first + number)]
        tiles.value[uint(number)] = net.weights.value[uint(k)]
    wiring = Wiring(
        tiles.visits[visit:last_visit],
        tiles.starts[visit + group : last_visit + group + 1],
        tiles.sources[first:end],
        full.first_units,
        full.reader_starts,
        full.readers,
        full.reader_weights,
        full.chunks,
        tiles.rows[part:last_part],
        tiles.scale[part:last_part],
        tiles.offset[part:last_part],
        tiles.num_rows[group],
        full.block_rows,
        full.num_hidden,
        full.num_units,
    )
    value, bias = tiles.value, tiles.bias
    return Net(wiring, Tensor(value, value, value, value), Tensor(bias, bias, bias, bias))


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


@kernel
def _gather(
    wiring: Wiring, examples: Examples, block: Integers, work: Workspace, shape: Shape
) -> None:
    """Fill the pixel matrix; padding repeats the last example."""
    half = 8 * len(shape)
    for column in range(2 * half):
        example = block[min(column, len(block) - 1)]
        work.begins[column] = example * examples.num_pixels
    for chunk in range(len(wiring.chunks)):
        for left in range(0, half, LANES):
            transpose(
                examples.images,
                wiring.chunks[chunk],
                work.begins,
                (left, half),
                work.pixels,
                chunk * CHUNK,
            )


@kernel
def _forward(
    net: Net, pixels: Words | Floats, ahead: Words | Floats, work: Workspace, shape: Shape
) -> None:
    """Outputs of all live units; meanwhile fetches what is read next into the cache."""
    wiring = net.wiring
    num_parts = len(wiring.rows)
    for part in range(num_parts):
        if wiring.block_rows:
            source = _unpacked(wiring, part, pixels, work, shape)
            _outputs(net, part, source, ahead, work, shape)
        else:
            source = _Source(pixels, wiring.scale[part], wiring.offset[part])
            _outputs(net, part, source, ahead, work, shape)
    _outputs(net, num_parts, _units(work), ahead, work, shape)


@kernel
def _outputs(
    net: Net,
    part: int,
    source: _Source,
    ahead: Words | Floats,
    work: Workspace,
    shape: Shape,
) -> None:
    """Outputs of the units that read a part; until the last part, sums of what they read.

    Prefetches each visit's share of ``ahead``.
    """
    wiring = net.wiring
    num_parts = len(wiring.rows)
    is_first, is_last = part in (0, num_parts), part >= num_parts - 1
    # A few lines per visit: all at once would have to wait.
    share = uint(WORDS * (1 + len(ahead) // WORDS // len(wiring.visits)))
    for visit in _visits(wiring, part):
        at = uint(visit) * share
        stop = min(at + share, uint(len(ahead)))
        while at < stop:
            prefetch(ahead, at)
            at += uint(WORDS)
        unit = uint(wiring.visits[visit])
        row = unit * uint(LANES * len(shape))
        if is_first:
            a = splat(net.biases.value[unit], shape)
        else:
            a = load(work.outputs, row, shape)
        first, end = _range(wiring, visit)
        a = _weighted_sum(net, first, end, source, a, shape)
        if is_last and unit < uint(wiring.num_hidden):
            a = larger(splat(np.float32(0), shape), a)
        store(work.outputs, row, a)


@kernel
def _unpacked(
    wiring: Wiring, part: int, pixels: Words | Floats, work: Workspace, shape: Shape
) -> _Source:
    """The rows of a part, in ``block``."""
    width = uint(LANES * len(shape))
    scale = splat(wiring.scale[part], shape)
    offset = splat(wiring.offset[part], shape)
    first = wiring.rows[part]
    for row in range(min(wiring.block_rows, wiring.num_rows - first)):
        a = load(pixels, uint(first + row) * width, shape)
        store(work.block, uint(row) * width, fma(scale, a, offset))
    return _Source(work.block, np.float32(1), np.float32(0))


@kernel
def _units(work: Workspace) -> _Source:
    """What all layers but the first read."""
    return _Source(work.outputs, np.float32(1), np.float32(0))


@kernel
def _visits(wiring: Wiring, part: int) -> range:
    """The visits for a part of the input; after the last part: of the other layers."""
    size = len(wiring.first_units)
    is_part = part < len(wiring.rows)
    return range(
        uint(part * size), uint((part + 1) * size if is_part else len(wiring.visits))
    )


@kernel
def _range(wiring: Wiring, visit: np.uint64) -> tuple[np.uint64, np.uint64]:
    """The kept weights of a visit."""
    return uint(wiring.starts[visit]), uint(wiring.starts[visit + uint(1)])


@kernel
def _weighted_sum(
    net: Net, k: np.uint64, end: np.uint64, source: _Source, a: Vectors, shape: Shape
) -> Vectors:
    """A plus the inputs of a range of weights times these weights, in registers."""
    width = uint(LANES * len(shape))
    value, sources = net.weights.value, net.wiring.sources
    if source.offset != 0:
        a = add(a, splat(_weights_total(value, k, end) * source.offset, shape))
    # Two sums in turns: one alone waits 4 cycles for each addition.
    even = splat(np.float32(0), shape)
    odd = even
    while k + uint(1) < end:
        w, v = splat(value[k], shape), splat(value[k + uint(1)], shape)
        x = load(source.matrix, uint(sources[k]) * width, shape)
        z = load(source.matrix, uint(sources[k + uint(1)]) * width, shape)
        even, odd = fma(w, x, even), fma(v, z, odd)
        k += uint(2)
    if k < end:
        x = load(source.matrix, uint(sources[k]) * width, shape)
        even = fma(splat(value[k], shape), x, even)
    return fma(splat(source.scale, shape), add(even, odd), a)


@kernel
def _weights_total(value: Floats, first: np.uint64, end: np.uint64) -> np.float32:
    total = np.float32(0)
    while first < end:
        total += range_sum(value, first, end - first)
        first += uint(LANES)
    return total


@kernel
def _backward(net: Net, work: Workspace, shape: Shape) -> None:
    """Add the gradients of all kept weights and live biases, last unit first."""
    wiring = net.wiring
    num_parts = len(wiring.rows)
    others = _visits(wiring, num_parts)
    for back in range(len(others)):
        visit = uint(len(wiring.visits) - 1 - back)
        g = _unit_gradient(net, uint(wiring.visits[visit]), work, shape)
        first, end = _range(wiring, visit)
        _weight_gradients(net, first, end, _units(work), g, shape)
    for unit in wiring.first_units:
        _unit_gradient(net, uint(unit), work, shape)
    for part in range(num_parts):
        if wiring.block_rows:
            source = _unpacked(wiring, part, work.pixels, work, shape)
            _part_gradients(net, part, source, work, shape)
        else:
            source = _Source(work.pixels, wiring.scale[part], wiring.offset[part])
            _part_gradients(net, part, source, work, shape)


@kernel
def _part_gradients(
    net: Net, part: int, source: _Source, work: Workspace, shape: Shape
) -> None:
    """Add the gradients of the first layer's weights on one part of the input."""
    wiring = net.wiring
    for visit in _visits(wiring, part):
        row = uint(wiring.visits[visit]) * uint(LANES * len(shape))
        first, end = _range(wiring, visit)
        g = load(work.gradients, row, shape)
        _weight_gradients(net, first, end, source, g, shape)


@kernel
def _unit_gradient(net: Net, unit: np.uint64, work: Workspace, shape: Shape) -> Vectors:
    """Gradient of a unit's sum, kept in ``gradients`` and added to that of its bias."""
    row = unit * uint(LANES * len(shape))
    if unit < uint(net.wiring.num_hidden):
        g = _output_gradient(net, unit, work, shape)
        g = gate(g, load(work.outputs, row, shape))
        store(work.gradients, row, g)
    else:
        g = load(work.gradients, row, shape)
    net.biases.gradient[unit] += lane_sum(g)
    return g


@kernel
def _output_gradient(net: Net, unit: np.uint64, work: Workspace, shape: Shape) -> Vectors:
    """Gradient of a hidden unit's output, from the units that read it."""
    width = uint(LANES * len(shape))
    wiring, value = net.wiring, net.weights.value
    even = splat(np.float32(0), shape)
    odd = even
    k, end = uint(wiring.reader_starts[unit]), uint(wiring.reader_starts[unit + uint(1)])
    while k + uint(1) < end:
        w = splat(value[wiring.reader_weights[k]], shape)
        v = splat(value[wiring.reader_weights[k + uint(1)]], shape)
        x = load(work.gradients, uint(wiring.readers[k]) * width, shape)
        z = load(work.gradients, uint(wiring.readers[k + uint(1)]) * width, shape)
        even, odd = fma(w, x, even), fma(v, z, odd)
        k += uint(2)
    if k < end:
        w = splat(value[wiring.reader_weights[k]], shape)
        x = load(work.gradients, uint(wiring.readers[k]) * width, shape)
        even = fma(w, x, even)
    return add(even, odd)


@kernel
def _weight_gradients(
    net: Net, k: np.uint64, end: np.uint64, source: _Source, g: Vectors, shape: Shape
) -> None:
    """Add the gradients of a range of a unit's weights."""
    gradient, four, eight = net.weights.gradient, uint(4), uint(8)
    shift = source.offset * lane_sum(g) if source.offset != 0 else np.float32(0)
    by = (source.scale, shift)
    while k + eight <= end:
        low = _four_products(net, k, source, g, shape)
        high = _four_products(net, k + four, source, g, shape)
        add_lane_sums(gradient, k, low + high, by)
        k += eight
    if k + four <= end:
        add_lane_sums(gradient, k, _four_products(net, k, source, g, shape), by)
        k += four
    while k < end:
        total = lane_sum(_product(net, k, source, g, shape))
        gradient[k] += source.scale * total + shift
        k += uint(1)


@kernel
def _four_products(
    net: Net, k: np.uint64, source: _Source, g: Vectors, shape: Shape
) -> tuple[Vectors, Vectors, Vectors, Vectors]:
    return (
        _product(net, k, source, g, shape),
        _product(net, k + uint(1), source, g, shape),
        _product(net, k + uint(2), source, g, shape),
        _product(net, k + uint(3), source, g, shape),
    )


@kernel
def _product(net: Net, k: np.uint64, source: _Source, g: Vectors, shape: Shape) -> Vectors:
    """What weight k reads, times the gradient of its unit, column by column."""
    row = uint(net.wiring.sources[k])
    return mul(g, load(source.matrix, row * uint(LANES * len(shape)), shape))
