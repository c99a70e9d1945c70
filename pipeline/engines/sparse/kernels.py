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

Pixels that are 0 in many batches (``OFTEN`` in ``wiring.py``), as those around a digit, are
the rim of the input, and stand below all others, the core. Rim weights are kept row by row,
not unit by unit as all others: a row that is 0 in a whole block is left out with all its
weights. What they read is the same number for all examples, so all that a unit reads from
such rows is one constant, and their gradients are that number times the gradient of the
unit's sum.

A split that is evaluated is always the same, and its examples may stand in any order.
Where few weights are kept, those alike make a tile (half of the rows of MNIST's are blank),
and for each tile the weights on other rows are listed (``tiles.py``).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Bytes, Floats, Integers
from pipeline.engines.shared.caching import kernel
from pipeline.engines.shared.kernels import (
    Examples,
    Logits,
    Rule,
    Tensor,
    announce,
    loss_gradient,
    loss_of,
    move_all,
)
from pipeline.engines.shared.vectors import (
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
    is_blank,
    lane_sum,
    larger,
    load,
    prefetch,
    product,
    range_sum,
    restore_mode,
    splat,
    store,
    transpose,
    uint,
)

Shorts = NDArray[np.uint16]
"""for lists, which come from memory"""

WORDS = 16
"""of 4 bytes in a cache line"""


class Wiring(NamedTuple):
    """Which unit reads what: fixed while a network trains."""

    visits: Words
    """units in the order of computation, once per part of what they read. A unit that
    reaches no logit is not among them"""
    starts: Words
    """where the kept weights of each visit begin; and the end"""
    sources: Words
    """row of the part (first layer) or unit that a kept weight reads; of weights on the
    rim: the unit that reads"""
    units: Words
    """the visited ones, layer by layer, in each from few to many outgoing weights"""
    first_units: Integers
    """where in ``units`` each layer begins; and the end"""
    first_parts: Integers
    """the first part of the inputs of each layer; and the end"""
    begins_sums: NDArray[np.bool_]
    """per part: whether sums begin there; those of the first layer do with the rim"""
    ends_sums: NDArray[np.bool_]
    """per part: whether it is the last of its layer"""
    first_visits: Integers
    """per part; and the end"""
    reader_starts: Words
    """where in ``readers`` the kept outgoing weights of a hidden unit begin; and the end"""
    readers: Words
    """the unit at the other end of an outgoing weight"""
    reader_weights: Words
    """the position of that weight among all kept weights"""
    chunks: Integers
    """the pixel at which each run of 16 that is read begins"""
    places: Integers
    """row of the pixel matrix for each of these pixels: core, then rim, then one for
    all other pixels"""
    rows: Integers
    """per part of the first layer: its first row in the pixel matrix"""
    rim_starts: Words
    """where the weights on each row of the rim begin; and the end"""
    rim_ends: Integers
    """per row of the rim: the end of the rows of its channel"""
    num_core: int
    """rows of the pixel matrix that weights of visits read"""
    block_rows: int
    """of a part, at most; 0 if parts are channels, and stay packed"""
    num_hidden: int
    """units before the logits"""
    num_units: int


class Scaling(NamedTuple):
    """How pixels become inputs: x = scale · pixel + offset; 1 / std and -mean / std."""

    scale: Floats
    """per part of the first layer"""
    offset: Floats
    rim_scale: Floats
    """per row of the rim"""
    rim_offset: Floats


class Net(NamedTuple):
    """A network in training."""

    wiring: Wiring
    scaling: Scaling
    weights: Tensor
    biases: Tensor


class Arranged(NamedTuple):
    """A split, and an order for its examples: those alike side by side."""

    examples: Examples
    order: Integers
    labels: Integers
    """in that order"""


class Reads(NamedTuple):
    """Which rows of the pixel matrix the first layer reads."""

    units: Words
    """live ones"""
    starts: Words
    """where the reads of each begin; and the end"""
    rows: Words
    weights: Words
    """the position of each read's weight among all kept weights"""
    scales: Floats
    """of what is read"""
    scaled: Floats
    """room for the weights of all reads, times their scales"""


class Tiles(NamedTuple):
    """A split in the form in which few weights read it, made once per engine."""

    pixels: Words
    """the pixel matrices of one tile after the other, packed as in a workspace, without
    blank rows"""
    first_words: Integers
    """where each of them begins; and the end, twice"""
    order: Words
    """(tiles, live units of the first layer): their numbers in ``Reads``, in each tile
    from few to many reads"""
    starts: Words
    """where the reads of each begin; and the end"""
    rows: Shorts
    """of the tile: what is read, and not blank"""
    reads: Shorts
    """which of all that the unit reads this is"""


class Workspace(NamedTuple):
    """Matrices of one block of examples; rows begin at multiples of 64 bytes."""

    begins: Integers
    """where in the images each column begins"""
    pixels: Words | Floats
    """of bytes: left half of the columns in the lower 16 bits, right half in the upper"""
    is_lit: NDArray[np.bool_]
    """per row of the rim: whether it is not blank"""
    lit: Integers
    """the rows of the rim that are not blank, in as many places as there are"""
    block: Floats
    """unpacked and normalized rows of one part"""
    biases: Floats
    """with what blank rows add"""
    outputs: Floats
    gradients: Floats
    totals_of_units: Floats
    """gradients, summed over the examples"""
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
            num_lit = _gather(net, examples, block, work, shape)
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
    """Sum of the cross-entropies of a split, and how many examples are right.

    ``plain`` is the same network without offsets: those of ``net`` are added up once for
    all examples.
    """
    width = LANES * len(shape)
    loss, correct = 0.0, 0
    _take_all_offsets(net, work)
    for first in range(0, len(split.order), width):
        num_lit = _gather_arranged(plain, split, first, work, shape)
        forward(plain, num_lit, work, shape)
        block_loss, block_correct = _loss_of(net, split.labels, first, work, shape)
        loss += block_loss
        correct += block_correct
    return loss, correct


@kernel
def _loss_of(
    net: Net, labels: Integers, first: int, work: Workspace, shape: Shape
) -> tuple[float, int]:
    """``loss_of`` the block whose labels begin there."""
    block = labels[first : first + LANES * len(shape)]
    found: tuple[float, int] = loss_of(_logits(net.wiring, work), block, shape)
    return found


@kernel
def _gather_arranged(
    net: Net, split: Arranged, first: int, work: Workspace, shape: Shape
) -> int:
    """``_gather`` the block that begins there, and announce the next one."""
    end = first + LANES * len(shape)
    announce(split.examples, split.order[end : 2 * end - first])
    num_lit: int = _gather(net, split.examples, split.order[first:end], work, shape)
    return num_lit


@kernel
def evaluate_tiles(
    net: Net, reads: Reads, tiles: Tiles, labels: Integers, work: Workspace, shape: Shape
) -> tuple[float, int]:
    """The same of a split in tiles, which are 16 · len(shape) columns wide."""
    width = LANES * len(shape)
    loss, correct = 0.0, 0
    _take_all_offsets(net, work)
    for k in range(len(reads.weights)):
        weight = net.weights.value[uint(reads.weights[k])]
        reads.scaled[k] = reads.scales[k] * weight
    for tile in range(len(tiles.order)):
        _read_tile(net, reads, tiles, tile, work, shape)
        _add_later_layers(net, work, shape)
        tile_loss, tile_correct = _loss_of(net, labels, tile * width, work, shape)
        loss += tile_loss
        correct += tile_correct
    return loss, correct


@kernel
def _read_tile(
    net: Net, reads: Reads, tiles: Tiles, tile: int, work: Workspace, shape: Shape
) -> None:
    """Outputs of the first layer; meanwhile the next tile's pixels come from memory."""
    width, num_units = uint(LANES * len(shape)), tiles.order.shape[1]
    at, end = _ends(tiles.first_words, uint(tile))
    pixels, last = tiles.pixels[at:end], uint(tiles.first_words[tile + 2])
    # A few lines per unit: all at once would have to wait.
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
        for k in _numbers(tiles.starts, uint(tile * num_units + visit)):
            x = load(pixels, uint(tiles.rows[k]) * width, shape)
            a = fma(splat(reads.scaled[first + uint(tiles.reads[k])], shape), x, a)
        if unit < uint(net.wiring.num_hidden):
            a = larger(zero, a)
        store(work.outputs, unit * width, a)


@kernel
def find_filled(rows: Bytes, filled: Bytes) -> None:
    """Make ``filled`` (N, W) other than 0 where a column of images (N, C · H, W) is.

    Strokes are two pixels wide: every other row is looked at.
    """
    num_examples, num_rows, num_columns = rows.shape
    for example in range(num_examples):
        for row in range(0, num_rows, 2):
            for column in range(num_columns):
                at = (uint(example), uint(column))
                filled[at] |= rows[uint(example), uint(row), uint(column)]


@kernel
def pack(
    net: Net,
    split: Arranged,
    pixels: Words,
    places: Integers,
    work: Workspace,
    shape: Shape,
) -> None:
    """Write a split into tiles with room for all rows.

    Also writes ``places`` (tiles, rows): which row of its tile each one is, -1 if blank.
    """
    width = LANES * len(shape)
    size = width // 2
    num_tiles, num_rows = places.shape
    count = 0
    for tile in range(num_tiles):
        _gather_arranged(net, split, tile * width, work, shape)
        first = count
        for row in range(num_rows):
            if is_blank(work.pixels, uint(row * width), shape):
                places[tile, row] = -1
                continue
            places[tile, row] = count - first
            for word in range(size):
                pixels[uint(count * size + word)] = work.pixels[uint(row * size + word)]
            count += 1


@kernel
def list_reads(
    reads: Reads, places: Integers, order: Integers, rows: Shorts, listed: Shorts
) -> None:
    """Write the reads of rows that are not blank, tile by tile.

    Args:
        reads: of the first layer.
        places: (tiles, rows), from ``pack``.
        order: of the tiles.
        rows: of the tiles, with room for all and one more.
        listed: the tiles' ``reads``, likewise.
    """
    count = 0
    for tile in range(len(order)):
        for number in order[tile]:
            first, end = _ends(reads.starts, uint(number))
            for k in range(first, end):
                place = places[uint(tile), uint(reads.rows[k])]
                rows[uint(count)], listed[uint(count)] = place, k - first
                count += place >= 0


@kernel
def take_biases(net: Net, work: Workspace) -> None:
    """Biases, of the first layer with what it reads from blank rows of the rim.

    A weight that diverges shows there, too: 0 · NaN is NaN.
    """
    wiring, value = net.wiring, net.weights.value
    for unit in range(wiring.num_units):
        work.biases[unit] = net.biases.value[unit]
    row, end = _blank_rows(wiring, work, 0)
    while row < end:
        offset = net.scaling.rim_offset[row]
        for k in range(uint(wiring.rim_starts[row]), uint(wiring.rim_starts[end])):
            work.biases[uint(wiring.sources[k])] += offset * value[k]
        row, end = _blank_rows(wiring, work, end)


@kernel
def _blank_rows(wiring: Wiring, work: Workspace, first: int) -> tuple[int, int]:
    """The next neighbors in the rim that are blank, of one channel; maybe none."""
    num_rows = len(wiring.rim_ends)
    while first < num_rows and work.is_lit[first]:
        first += 1
    end = first
    while end < num_rows and end < wiring.rim_ends[first] and not work.is_lit[end]:
        end += 1
    return first, end


@kernel
def _take_all_offsets(net: Net, work: Workspace) -> None:
    """Biases with what the whole input adds where all pixels are 0: all rows are blank."""
    wiring = net.wiring
    work.is_lit[:] = False
    take_biases(net, work)
    for part in range(len(wiring.rows)):
        for visit in _numbers(wiring.first_visits, uint(part)):
            first, end = _ends(wiring.starts, visit)
            total = _weights_total(net.weights.value, first, end)
            work.biases[wiring.visits[visit]] += total * net.scaling.offset[part]


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
    net: Net, examples: Examples, block: Integers, work: Workspace, shape: Shape
) -> int:
    """Fill the pixel matrix; padding repeats the last example.

    Returns:
        How many rows of the rim are not blank; ``work.lit`` has them.
    """
    wiring, half = net.wiring, 8 * len(shape)
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
                (wiring.places, chunk * CHUNK),
            )
    num_lit: int = _find_lit(wiring, work, shape)
    return num_lit


@kernel
def _find_lit(wiring: Wiring, work: Workspace, shape: Shape) -> int:
    """Note which rows of the rim are not blank; returns how many."""
    num_core, num_lit = wiring.num_core, 0
    for row in range(len(wiring.rim_ends)):
        at = uint(num_core + row) * uint(LANES * len(shape))
        is_lit = not is_blank(work.pixels, at, shape)
        work.is_lit[row] = is_lit
        work.lit[num_lit] = row
        num_lit += is_lit
    return num_lit


@kernel
def forward(net: Net, num_lit: int, work: Workspace, shape: Shape) -> None:
    """Outputs of all live units; their sums begin with ``work.biases``.

    ``num_lit`` rows of the rim are not blank: the first ones of ``work.lit``.
    """
    wiring, scaling = net.wiring, net.scaling
    _add_rim(net, num_lit, work, shape)
    for part in range(wiring.first_parts[1]):
        if wiring.block_rows:
            source = _unpacked(net, part, work, shape)
            _add_part(net, part, source, work, shape)
        else:
            source = _Source(work.pixels, scaling.scale[part], scaling.offset[part])
            _add_part(net, part, source, work, shape)
    _add_later_layers(net, work, shape)


@kernel
def _add_later_layers(net: Net, work: Workspace, shape: Shape) -> None:
    """Outputs of the live units of all layers but the first."""
    for part in range(net.wiring.first_parts[1], len(net.wiring.ends_sums)):
        _add_part(net, part, _units(work), work, shape)


@kernel
def _ends(firsts: Words | Integers, number: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Where one of many begins and ends that stand one after the other."""
    return uint(firsts[number]), uint(firsts[number + uint(1)])


@kernel
def _numbers(firsts: Words | Integers, number: np.uint64) -> range:
    """The numbers from where it begins to where it ends."""
    return range(*_ends(firsts, number))


@kernel
def _add_rim(net: Net, num_lit: int, work: Workspace, shape: Shape) -> None:
    """Sums of the first layer: biases, and what it reads from lit rows of the rim."""
    width = uint(LANES * len(shape))
    wiring, value = net.wiring, net.weights.value
    for place in _numbers(wiring.first_units, uint(0)):
        unit = uint(wiring.units[place])
        store(work.outputs, unit * width, splat(work.biases[unit], shape))
    for row in work.lit[:num_lit]:
        x = _rim_row(net, row, work, shape)
        for k in _numbers(wiring.rim_starts, uint(row)):
            at = uint(wiring.sources[k]) * width
            a = load(work.outputs, at, shape)
            store(work.outputs, at, fma(splat(value[k], shape), x, a))


@kernel
def _rim_row(net: Net, row: int, work: Workspace, shape: Shape) -> Vectors:
    """What a row of the rim holds."""
    at = uint(net.wiring.num_core + row) * uint(LANES * len(shape))
    scale = splat(net.scaling.rim_scale[row], shape)
    offset = splat(net.scaling.rim_offset[row], shape)
    return fma(scale, load(work.pixels, at, shape), offset)


@kernel
def _add_part(net: Net, part: int, source: _Source, work: Workspace, shape: Shape) -> None:
    """Add what units read from a part; after a layer's last one follows its ReLU."""
    wiring = net.wiring
    for visit in _numbers(wiring.first_visits, uint(part)):
        unit = uint(wiring.visits[visit])
        row = unit * uint(LANES * len(shape))
        first, end = _ends(wiring.starts, visit)
        if wiring.begins_sums[part]:
            a = splat(work.biases[unit], shape)
        else:
            a = load(work.outputs, row, shape)
        a = _weighted_sum(net, first, end, source, a, shape)
        if wiring.ends_sums[part] and unit < uint(wiring.num_hidden):
            a = larger(splat(np.float32(0), shape), a)
        store(work.outputs, row, a)


@kernel
def _unpacked(net: Net, part: int, work: Workspace, shape: Shape) -> _Source:
    """The rows of a part, in ``block``."""
    width, wiring = uint(LANES * len(shape)), net.wiring
    scale = splat(net.scaling.scale[part], shape)
    offset = splat(net.scaling.offset[part], shape)
    first = wiring.rows[part]
    for row in range(min(wiring.block_rows, wiring.num_core - first)):
        a = load(work.pixels, uint(first + row) * width, shape)
        store(work.block, uint(row) * width, fma(scale, a, offset))
    return _Source(work.block, np.float32(1), np.float32(0))


@kernel
def _units(work: Workspace) -> _Source:
    """What all layers but the first read."""
    return _Source(work.outputs, np.float32(1), np.float32(0))


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
def backward(net: Net, num_lit: int, work: Workspace, shape: Shape) -> None:
    """Add the gradients of all kept weights and live biases, last layer first."""
    wiring, scaling = net.wiring, net.scaling
    num_layers = len(wiring.first_parts) - 1
    for back in range(1, num_layers + 1):
        layer = num_layers - back
        for number in _numbers(wiring.first_units, uint(layer)):
            _unit_gradient(net, uint(wiring.units[number]), work, shape)
        if layer > 0:
            for part in _numbers(wiring.first_parts, uint(layer)):
                _part_gradients(net, part, _units(work), work, shape)
    for part in range(wiring.first_parts[1]):
        if wiring.block_rows:
            source = _unpacked(net, part, work, shape)
            _part_gradients(net, part, source, work, shape)
        else:
            source = _Source(work.pixels, scaling.scale[part], scaling.offset[part])
            _part_gradients(net, part, source, work, shape)
    _rim_gradients(net, num_lit, work, shape)


@kernel
def _rim_gradients(net: Net, num_lit: int, work: Workspace, shape: Shape) -> None:
    """Add the gradients of weights on the rim, of blank rows all from their units' sums."""
    wiring, gradient = net.wiring, net.weights.gradient
    source = _Source(work.gradients, np.float32(1), np.float32(0))
    for row in work.lit[:num_lit]:
        x = _rim_row(net, row, work, shape)
        first, end = _ends(wiring.rim_starts, uint(row))
        _weight_gradients(net, first, end, source, x, shape)
    row, end_row = _blank_rows(wiring, work, 0)
    while row < end_row:
        offset = net.scaling.rim_offset[row]
        for k in range(uint(wiring.rim_starts[row]), uint(wiring.rim_starts[end_row])):
            gradient[k] += offset * work.totals_of_units[uint(wiring.sources[k])]
        row, end_row = _blank_rows(wiring, work, end_row)


@kernel
def _part_gradients(
    net: Net, part: int, source: _Source, work: Workspace, shape: Shape
) -> None:
    """Add the gradients of weights on a part of what their layer reads."""
    wiring = net.wiring
    for visit in _numbers(wiring.first_visits, uint(part)):
        row = uint(wiring.visits[visit]) * uint(LANES * len(shape))
        first, end = _ends(wiring.starts, visit)
        g = load(work.gradients, row, shape)
        _weight_gradients(net, first, end, source, g, shape)


@kernel
def _unit_gradient(net: Net, unit: np.uint64, work: Workspace, shape: Shape) -> None:
    """Gradient of a unit's sum; its total, for the rim, also added to that of its bias."""
    row = unit * uint(LANES * len(shape))
    if unit < uint(net.wiring.num_hidden):
        g = _output_gradient(net, unit, work, shape)
        g = gate(g, load(work.outputs, row, shape))
        store(work.gradients, row, g)
    else:
        g = load(work.gradients, row, shape)
    total = lane_sum(g)
    work.totals_of_units[unit] = total
    net.biases.gradient[unit] += total


@kernel
def _output_gradient(net: Net, unit: np.uint64, work: Workspace, shape: Shape) -> Vectors:
    """Gradient of a hidden unit's output, from the units that read it."""
    width = uint(LANES * len(shape))
    wiring, value = net.wiring, net.weights.value
    even = splat(np.float32(0), shape)
    odd = even
    k, end = _ends(wiring.reader_starts, unit)
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
    """Add the gradients of a range of weights.

    They are a unit's, and g its gradient; or those on a row of the rim, and g its pixels.
    """
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
    """The row of the source that belongs to weight k, times g, in 16 lanes."""
    row = uint(net.wiring.sources[k])
    return product(g, load(source.matrix, row * uint(LANES * len(shape)), shape))
