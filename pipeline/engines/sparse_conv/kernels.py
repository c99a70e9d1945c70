"""Compiled training of small convolutional networks in which only kept weights exist.

16 examples stand side by side in a vector, and a convolution is one shifted multiply-add
of an image plane per kept weight. Planes are (height + 2, channels, width + 2, 16) with a
border of zeros, so that no shift leaves them; channels lie between rows, so that the rows
which a tile of outputs reads from all channels are one stretch of memory that fits the
second-level cache. A tile of up to 28 neighboring positions has its sums in registers
while the loop runs over the kept weights of a channel: one memory operand per
multiply-add. Backwards both products of a kept weight read the same gradients, once.

Behind the last pool come fully connected layers, over 64 examples at once; their weights
are stored by the unit they leave, since the images' units are many and the others few.

Weights are stored in the order in which the backward pass meets them: by input channel
(or unit), then by output. The forward pass of a convolution has a copy in its own order.
"""

import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import literal_unroll
from numba.core import cgutils, types
from numba.extending import models, register_model
from numpy.typing import NDArray

from pipeline.core.arrays import Bytes, Floats, Integers
from pipeline.engines.shared.caching import kernel
from pipeline.engines.shared.emission import (
    FLOAT,
    INT,
    Type,
    Typed,
    Values,
    emitted,
    everywhere,
    intrinsic_of,
    ints,
    read,
    write,
)
from pipeline.engines.shared.kernels import Rule, Tensor, move_all

LANES = 16
"""examples in a block, the last axis of a plane"""
NUM_BLOCKS = 4
"""blocks in a group: what the fully connected layers treat at once"""
WIDTH = LANES * NUM_BLOCKS
_HAS_AVX512 = bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
SHIFT = 4
"""pixels by which flip-crop moves an image that it leaves in place"""

_WIDE = ((1, 28), (2, 14), (4, 7), (3, 7), (1, 16), (2, 8), (4, 4), (3, 3), (1, 4), (1, 1))
_NARROW = ((1, 7), (1, 4), (1, 1))
TILES = _WIDE if _HAS_AVX512 else _NARROW
"""(rows, columns) that are compiled: their sums of 16 examples fit the registers"""

CONV = np.dtype(
    [
        (name, np.int64)
        for name in (
            "inputs",
            "outputs",
            "height",
            "width",
            "first_input",  # its channels among those of the whole network, image first
            "first_output",
            "source",  # where its planes begin in a block's memory
            "target",
            "behind",  # where those behind its pool begin; UNITS; NO_POOL
            "first_tile",
            "end_tile",
        )
    ]
)
"""A convolution with its ReLU and, maybe, pool."""
UNITS = -1
"""behind this pool there are no planes but the units of the first linear layer"""
NO_POOL = -2

Words = NDArray[np.uint32]


class Wiring(NamedTuple):
    """What reads what: fixed while a network trains."""

    convs: NDArray[np.void]
    """of dtype CONV"""
    tiles: Integers
    """(tiles, 4): rows and columns (one of TILES), first row, first column"""
    live: NDArray[np.bool_]
    """per channel: whether it reaches a logit; the others are never computed"""
    starts: Integers
    """per output channel: where in ``sources`` its kept weights begin; and the end"""
    sources: Words
    """from a tile's first position (in the border's row and column) to what is read"""
    positions: Words
    """where that weight is among all weights"""
    reader_starts: Integers
    """per input channel: where its weights begin among all; and the end"""
    readers: Words
    """likewise from a tile to the gradients, weight by weight"""
    unit_starts: Integers
    """per unit that is not a logit: where its weights begin among all; and the end"""
    unit_readers: Words
    """the row of memory of the unit at the other end, from the first linear weight on"""
    unit_layers: Integers
    """the first unit of each layer: the image's, the hidden ones', the logits; the end"""
    unit_biases: Integers
    """per unit: its bias, or that of its channel"""
    values: Floats
    """(image channels, 256): the normalized values of bytes"""


class Net(NamedTuple):
    """A network in training."""

    wiring: Wiring
    weights: Tensor
    biases: Tensor


class Examples(NamedTuple):
    """A split."""

    images: Bytes
    """(N, C, H, W)"""
    labels: Integers
    """(N,), each below the number of logits"""


class Order(NamedTuple):
    """Which example each step sees, and how flip-crop moves it."""

    examples: Integers
    """(steps, B)"""
    flips: NDArray[np.bool_]
    """(steps, B)"""
    corners: Integers
    """(steps, B, 2); SHIFT = not moved"""


class Workspace(NamedTuple):
    """Memory for one group of examples; everything begins at multiples of 64 bytes."""

    planes: Floats
    """(NUM_BLOCKS, size): all planes of the images and of the convolutions' outputs"""
    plane_gradients: Floats
    """(size,), of one block"""
    values: Floats
    """the convolutions' weights in the order of ``sources``"""
    sums: Floats
    """(convolutions' weights · 16): gradients by column, added up at the step's end"""
    units: Floats
    """(units · WIDTH,): outputs; of hidden units and logits at first without ReLU"""
    unit_gradients: Floats


# --- vectors in registers -------------------------------------------------------------

_VECTOR = ir.VectorType(FLOAT, LANES)
_ZERO = ir.Constant(_VECTOR, [0.0] * LANES)
_Vectors = Any  # a _Tile, in compiled code
_At = Any  # a position, uint64, in compiled code
_Conv = Any  # a record of dtype CONV, in compiled code
_Shape = tuple[tuple[int, ...], tuple[int, ...]]
"""of a tile, in zeros: so many rows and columns are known when code is generated"""
_Place = tuple[int, int]
"""where a tile begins in memory, and the distance of its rows"""


class _Tile(types.Type):
    """So many vectors of 16 floats."""

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(name=f"{count} x f32x{LANES}")


@register_model(_Tile)
class _TileModel(models.PrimitiveModel):  # type: ignore[misc]  # numba is not annotated
    def __init__(self, manager: object, tile: _Tile) -> None:
        super().__init__(manager, tile, ir.ArrayType(_VECTOR, tile.count))


def _vector_at(b: ir.IRBuilder, base: ir.Value, at: ir.Value) -> ir.Value:
    return read(b, base, at, _VECTOR)


def _multiply_add(b: ir.IRBuilder, *args: ir.Value) -> ir.Value:
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    function = cgutils.get_or_insert_function(b.module, kind, f"llvm.fma.v{LANES}f32")
    return b.call(function, args)


def _tile_of(b: ir.IRBuilder, vectors: Values) -> ir.Value:
    tile = ir.Constant(ir.ArrayType(_VECTOR, len(vectors)), ir.Undefined)
    for i, vector in enumerate(vectors):
        tile = b.insert_value(tile, vector, i)
    return tile


def _vectors(b: ir.IRBuilder, tile: ir.Value) -> list[ir.Value]:
    return [b.extract_value(tile, i) for i in range(tile.type.count)]


def _places(b: ir.IRBuilder, place: Values, shape: Type) -> Iterator[ir.Value]:
    """Where the vectors of a tile are, row by row."""
    at, stride = place
    rows, columns = (kind.count for kind in shape.types)
    for row in range(rows):
        for column in range(columns):
            yield b.add(at, ir.Constant(at.type, column * LANES))
        if row + 1 < rows:
            at = b.add(at, stride)


def _tile(shape: Type) -> _Tile:
    rows, columns = shape.types
    return _Tile(rows.count * columns.count)


@intrinsic_of
def _splat(_: object, _number: Type, shape: Type) -> Typed:
    """A tile with the same number everywhere."""
    tile = _tile(shape)

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        return _tile_of(b, [everywhere(b, args[0], LANES)] * tile.count)

    return emitted(tile(types.float32, shape), emit)


@intrinsic_of
def _load(_: object, array: Type, place: Type, shape: Type) -> Typed:
    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        places = _places(b, args[1], shape)
        return _tile_of(b, [_vector_at(b, args[0], at) for at in places])

    return emitted(_tile(shape)(array, place, shape), emit)


@intrinsic_of
def _store(_: object, array: Type, place: Type, tile: _Tile, shape: Type) -> Typed:
    def emit(b: ir.IRBuilder, args: Values) -> None:
        array, place, tile, _ = args
        places = _places(b, place, shape)
        for at, vector in zip(places, _vectors(b, tile), strict=True):
            write(b, array, at, vector)

    return emitted(types.void(array, place, tile, shape), emit)


@intrinsic_of
def _relu(_: object, tile: _Tile) -> Typed:
    """The larger one of 0 and x; NaN stays."""

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        vectors = _vectors(b, args[0])
        return _tile_of(
            b, [b.select(b.fcmp_ordered("<", x, _ZERO), _ZERO, x) for x in vectors]
        )

    return emitted(tile(tile), emit)


@intrinsic_of
def _gated(_: object, gradient: _Tile, output: _Tile) -> Typed:
    """Backwards through ReLU: 0 where the output is 0; NaN passes, as in torch."""

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        pairs = zip(*(_vectors(b, tile) for tile in args), strict=True)
        return _tile_of(
            b, [b.select(b.fcmp_ordered("<=", x, _ZERO), _ZERO, g) for g, x in pairs]
        )

    return emitted(gradient(gradient, output), emit)


@intrinsic_of
def _scaled_sum(_: object, tile: _Tile, factor: Type, other: _Tile) -> Typed:
    """Tile + factor · other."""

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        factor = everywhere(b, args[1], LANES)
        pairs = zip(_vectors(b, args[0]), _vectors(b, args[2]), strict=True)
        return _tile_of(b, [_multiply_add(b, factor, x, a) for a, x in pairs])

    return emitted(tile(tile, factor, other), emit)


@intrinsic_of
def _dot(_: object, tile: _Tile, other: _Tile) -> Typed:
    """One vector: the sum of the products of two tiles."""

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        # Sums in turns: one alone waits 4 cycles for each addition.
        sums = [_ZERO] * min(tile.count, 3)
        for i, pair in enumerate(zip(*(_vectors(b, x) for x in args), strict=True)):
            sums[i % 3] = _multiply_add(b, *pair, sums[i % 3])
        return _tile_of(b, [functools.reduce(b.fadd, sums)])

    return emitted(_Tile(1)(tile, other), emit)


@intrinsic_of
def _both_products(
    _: object,
    tile: _Tile,
    factor: Type,
    arrays: Type,
    places: Type,
    shape: Type,
) -> Typed:
    """Tile + factor · g, and one vector: the sum of the products of g and x.

    g and x are tiles in two arrays at two places. x stays in memory, most likely in the
    first-level cache, since the registers are full of the tile.
    """

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        factor = everywhere(b, args[1], LANES)
        pairs = zip(*(_places(b, place, shape) for place in args[3]), strict=True)
        sums, dots = _vectors(b, args[0]), [_ZERO, _ZERO]
        for i, (at_g, at_x) in enumerate(pairs):
            g = _vector_at(b, args[2][0], at_g)
            sums[i] = _multiply_add(b, factor, g, sums[i])
            # In turns: one sum alone waits 4 cycles for each addition.
            dots[i % 2] = _multiply_add(b, g, _vector_at(b, args[2][1], at_x), dots[i % 2])
            sums[i] = _now(b, sums[i])
        return cgutils.pack_struct(b, [_tile_of(b, sums), _tile_of(b, [b.fadd(*dots)])])

    both = types.containers.Tuple((tile, _Tile(1)))
    return emitted(both(tile, factor, arrays, places, shape), emit)


def _now(b: ir.IRBuilder, vector: ir.Value) -> ir.Value:
    """The vector, computed before what follows is read; takes no instruction.

    LLVM would read all gradients first, which needs more registers than there are.
    """
    if not _HAS_AVX512:
        return vector
    kind = ir.FunctionType(_VECTOR, [_VECTOR])
    return b.asm(kind, "", "=v,0,~{memory}", [vector], side_effect=True)


@intrinsic_of
def _sum(_: object, tile: _Tile) -> Typed:
    """One vector: the sum of a tile's vectors."""

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        total, *rest = _vectors(b, args[0])
        for vector in rest:
            total = b.fadd(total, vector)
        return _tile_of(b, [total])

    return emitted(_Tile(1)(tile), emit)


@intrinsic_of
def _total(_: object, tile: _Tile) -> Typed:
    """The sum over the lanes of one vector, in a fixed order."""

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        (vector,) = _vectors(b, args[0])
        for distance in (8, 4, 2, 1):
            lanes = [lane ^ distance for lane in range(LANES)]
            vector = b.fadd(vector, b.shuffle_vector(vector, vector, ints(lanes)))
        return b.extract_element(vector, ir.Constant(INT, 0))

    return emitted(types.float32(tile), emit)


@intrinsic_of
def _add_four_totals(_: object, array: Type, at: Type, four: Type) -> Typed:
    """array[at : at + 4] += the sums over the lanes of four vectors.

    Four at once, since a sum of its own takes 4 shuffles and 4 additions.
    """

    def emit(b: ir.IRBuilder, args: Values) -> None:
        vectors = [vector for tile in args[2] for vector in _vectors(b, tile)]
        distance = LANES // 2
        while len(vectors) > 1:  # fold neighbors into the two halves of one vector
            vectors = [
                _folded(b, x, y, distance)
                for x, y in zip(vectors[::2], vectors[1::2], strict=True)
            ]
            distance //= 2
        (sums,) = vectors
        for step in (distance, distance // 2):
            lanes = [lane ^ step for lane in range(LANES)]
            sums = b.fadd(sums, b.shuffle_vector(sums, sums, ints(lanes)))
        sums = b.shuffle_vector(sums, sums, ints([0, 4, 8, 12]))
        known = read(b, args[0], args[1], sums.type)
        write(b, args[0], args[1], b.fadd(known, sums))

    return emitted(types.void(array, at, four), emit)


def _folded(b: ir.IRBuilder, x: ir.Value, y: ir.Value, distance: int) -> ir.Value:
    """Every run of 2 · distance lanes folded in half; those of x, then those of y."""
    left = [lane for lane in range(2 * LANES) if lane % (2 * distance) < distance]
    right = [lane + distance for lane in left]
    return b.fadd(b.shuffle_vector(x, y, ints(left)), b.shuffle_vector(x, y, ints(right)))


@intrinsic_of
def _largest(_: object, array: Type, place: Type) -> Typed:
    """One vector: the largest of 2 × 2; NaN if one is NaN, as in torch."""

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        largest, *others = _window(b, *args)
        for x in others:
            largest = b.select(_exceeds(b, x, largest), x, largest)
        return _tile_of(b, [largest])

    return emitted(_Tile(1)(array, place), emit)


@intrinsic_of
def _store_at_largest(_: object, arrays: Type, place: Type, gradient: _Tile) -> Typed:
    """Write the gradient where the largest of 2 × 2 is, the first of equals; else 0.

    arrays: the gradients to write, and the outputs; both in the same place.
    """

    def emit(b: ir.IRBuilder, args: Values) -> None:
        (gradients, outputs), place, gradient = args
        largest, *others = _window(b, outputs, place)
        (rest,) = _vectors(b, gradient)
        chosen = []
        for x in others:
            chosen.append(_exceeds(b, x, largest))
            largest = b.select(chosen[-1], x, largest)
        for at, here in zip(_corners(b, place)[:0:-1], chosen[::-1], strict=True):
            write(b, gradients, at, b.select(here, rest, _ZERO))
            rest = b.select(here, _ZERO, rest)
        write(b, gradients, place[0], rest)

    return emitted(types.void(arrays, place, gradient), emit)


def _exceeds(b: ir.IRBuilder, x: ir.Value, largest: ir.Value) -> ir.Value:
    return b.or_(b.fcmp_ordered(">", x, largest), b.fcmp_unordered("uno", x, x))


def _corners(b: ir.IRBuilder, place: Values) -> list[ir.Value]:
    """Where the four vectors of a 2 × 2 window are."""
    at, stride = place
    one = ir.Constant(at.type, LANES)
    below = b.add(at, stride)
    return [at, b.add(at, one), below, b.add(below, one)]


def _window(b: ir.IRBuilder, array: ir.Value, place: Values) -> list[ir.Value]:
    return [_vector_at(b, array, at) for at in _corners(b, place)]


# --- convolutions ---------------------------------------------------------------------

_uint: Any = np.uint64
"""positions: for signed ones, Numba adds a test whether they count from the end"""
_ONE: _Shape = ((0,), (0,))
_UNIT: _Shape = ((0,), (0,) * NUM_BLOCKS)
_SHAPES = tuple(((0,) * rows, (0,) * columns) for rows, columns in TILES)


@kernel
def _place(conv: _Conv, first: int, channels: int, corner: _Place) -> _Place:
    """Where a position of the border-less planes is, and the distance of rows."""
    stride = _uint(channels * (conv.width + 2) * LANES)
    y, x = corner
    at = _uint(first) + _uint(y + 1) * stride + _uint((x + 1) * LANES)
    return at, stride


@kernel
def _convolve(net: Net, work: Workspace, planes: Floats, conv: _Conv) -> None:
    for i in range(conv.first_tile, conv.end_tile):
        rows, columns, y, x = net.wiring.tiles[i]
        for shape in literal_unroll(_SHAPES):
            if len(shape[0]) == rows and len(shape[1]) == columns:
                _convolve_tile(net, work, planes, conv, (y, x), shape)


@kernel
def _convolve_tile(
    net: Net,
    work: Workspace,
    planes: Floats,
    conv: _Conv,
    corner: _Place,
    shape: _Shape,
) -> None:
    """The outputs of all channels at some positions."""
    wiring = net.wiring
    begin, stride = _place(conv, conv.source, conv.inputs, corner)
    begin -= stride + _uint(LANES)
    target, target_stride = _place(conv, conv.target, conv.outputs, corner)
    for i in range(conv.outputs):
        if wiring.live[conv.first_input + conv.inputs + i]:
            output = _uint(conv.first_output + i)
            tile = _splat(net.biases.value[output], shape)
            k, end = _uint(wiring.starts[output]), _uint(wiring.starts[output + _uint(1)])
            while k < end:
                read = (begin + _uint(wiring.sources[k]), stride)
                inputs = _load(planes, read, shape)
                tile = _scaled_sum(tile, work.values[k], inputs)
                k += _uint(1)
            at = target + _uint(i * (conv.width + 2) * LANES)
            _store(planes, (at, target_stride), _relu(tile), shape)


@kernel
def _convolve_back(net: Net, work: Workspace, planes: Floats, conv: _Conv) -> None:
    for i in range(conv.first_tile, conv.end_tile):
        rows, columns, y, x = net.wiring.tiles[i]
        for shape in literal_unroll(_SHAPES):
            if len(shape[0]) == rows and len(shape[1]) == columns:
                _convolve_tile_back(net, work, planes, conv, (y, x), shape)


@kernel
def _convolve_tile_back(
    net: Net,
    work: Workspace,
    planes: Floats,
    conv: _Conv,
    corner: _Place,
    shape: _Shape,
) -> None:
    """Add what the gradients of kept weights get from some positions of the inputs.

    Also writes the gradients of the inputs there; those of images nobody reads.
    """
    wiring, arrays = net.wiring, (work.plane_gradients, planes)
    target, stride = _place(conv, conv.target, conv.outputs, corner)
    target -= stride + _uint(LANES)
    first, first_stride = _place(conv, conv.source, conv.inputs, corner)
    for i in range(conv.inputs):
        channel = _uint(conv.first_input + i)
        if wiring.live[channel]:
            here = first + _uint(i * (conv.width + 2) * LANES), first_stride
            tile = _splat(np.float32(0), shape)
            k = _uint(wiring.reader_starts[channel])
            end = _uint(wiring.reader_starts[channel + _uint(1)])
            while k < end:
                places = (target + _uint(wiring.readers[k]), stride), here
                weight = net.weights.value[k]
                tile, product = _both_products(tile, weight, arrays, places, shape)
                _add_to(work.sums, k * _uint(LANES), product)
                k += _uint(1)
            tile = _gated(tile, _load(planes, here, shape))
            _store(work.plane_gradients, here, tile, shape)
            if conv.first_input > 0:
                bias = conv.first_output - conv.inputs + i
                net.biases.gradient[bias] += _total(_sum(tile))


@kernel
def _add_to(array: Floats, at: _At, vector: _Vectors) -> None:
    place = (at, _uint(0))
    known = _load(array, place, _ONE)
    _store(array, place, _scaled_sum(known, np.float32(1), vector), _ONE)


@kernel
def _behind(conv: _Conv, block: int, position: tuple[int, int, int]) -> _At:
    """Where a channel's pooled row begins, behind the pool."""
    channel, y, _ = position
    height, width = conv.height // 2, conv.width // 2
    if conv.behind == UNITS:
        return _uint((channel * height + y) * width * WIDTH + block * LANES)
    row = (y + 1) * conv.outputs + channel
    return _uint(conv.behind + (row * (width + 2) + 1) * LANES)


@kernel
def _pool(net: Net, work: Workspace, block: int, conv: _Conv) -> None:
    """The largest of each 2 × 2 window of all live channels."""
    planes = work.planes[block]
    step = _uint(WIDTH if conv.behind == UNITS else LANES)
    for y in range(conv.height // 2):
        for i in range(conv.outputs):
            if net.wiring.live[conv.first_input + conv.inputs + i]:
                at, stride = _place(conv, conv.target, conv.outputs, (2 * y, 0))
                at += _uint(i * (conv.width + 2) * LANES)
                to = _behind(conv, block, (i, y, 0))
                for _ in range(conv.width // 2):
                    vector = _largest(planes, (at, stride))
                    if conv.behind == UNITS:
                        _store(work.units, (to, _uint(0)), vector, _ONE)
                    else:
                        _store(planes, (to, _uint(0)), vector, _ONE)
                    at += _uint(2 * LANES)
                    to += step


@kernel
def _pool_back(net: Net, work: Workspace, block: int, conv: _Conv) -> None:
    """Gradients of the outputs from those behind the pool."""
    arrays = work.plane_gradients, work.planes[block]
    step = _uint(WIDTH if conv.behind == UNITS else LANES)
    for y in range(conv.height // 2):
        for i in range(conv.outputs):
            if net.wiring.live[conv.first_input + conv.inputs + i]:
                at, stride = _place(conv, conv.target, conv.outputs, (2 * y, 0))
                at += _uint(i * (conv.width + 2) * LANES)
                to = _behind(conv, block, (i, y, 0))
                for _ in range(conv.width // 2):
                    if conv.behind == UNITS:
                        gradient = _load(work.unit_gradients, (to, _uint(0)), _ONE)
                    else:
                        gradient = _load(work.plane_gradients, (to, _uint(0)), _ONE)
                    _store_at_largest(arrays, (at, stride), gradient)
                    at += _uint(2 * LANES)
                    to += step


# --- fully connected layers -----------------------------------------------------------


@kernel
def _connect(net: Net, work: Workspace) -> None:
    """Logits from the image's units: each unit adds itself to those that read it."""
    wiring, units, zero = net.wiring, work.units, _uint(0)
    layers = wiring.unit_layers
    for unit in range(layers[1], layers[-1]):
        bias = net.biases.value[wiring.unit_biases[unit]]
        _store(units, (_uint(unit * WIDTH), zero), _splat(bias, _UNIT), _UNIT)
    for unit in range(layers[-2]):
        k, end = _uint(wiring.unit_starts[unit]), _uint(wiring.unit_starts[unit + 1])
        place = (_uint(unit * WIDTH), zero)
        if unit >= layers[1]:
            _store(units, place, _relu(_load(units, place, _UNIT)), _UNIT)
        if k == end:
            continue
        outputs = _load(units, place, _UNIT)
        while k < end:
            reader = _reader(wiring, k), zero
            known = _load(units, reader, _UNIT)
            known = _scaled_sum(known, net.weights.value[k], outputs)
            _store(units, reader, known, _UNIT)
            k += _uint(1)


@kernel
def _reader(wiring: Wiring, k: _At) -> _At:
    return _uint(wiring.unit_readers[k - _uint(wiring.unit_starts[0])])


@kernel
def _connect_back(net: Net, work: Workspace) -> None:
    """Add the gradients of weights and biases, and find those of the image's units."""
    wiring, gradients, zero = net.wiring, work.unit_gradients, _uint(0)
    layers = wiring.unit_layers
    for unit in range(layers[-1] - 1, -1, -1):
        place = (_uint(unit * WIDTH), zero)
        if unit < layers[-2]:
            outputs = _load(work.units, place, _UNIT)
            tile = _gated(_unit_back(net, work, unit, outputs), outputs)
            _store(gradients, place, tile, _UNIT)
        tile = _load(gradients, place, _UNIT)
        net.biases.gradient[wiring.unit_biases[unit]] += _total(_sum(tile))


@kernel
def _unit_back(net: Net, work: Workspace, unit: int, outputs: _Vectors) -> _Vectors:
    """Gradient of a unit's output; adds those of the weights that leave it."""
    wiring, weights, gradients = net.wiring, net.weights, work.unit_gradients
    one, zero = _uint(1), _uint(0)
    tile = _splat(np.float32(0), _UNIT)
    k, end = _uint(wiring.unit_starts[unit]), _uint(wiring.unit_starts[unit + 1])
    while k + _uint(3) < end:
        a = _load(gradients, (_reader(wiring, k), zero), _UNIT)
        b = _load(gradients, (_reader(wiring, k + one), zero), _UNIT)
        c = _load(gradients, (_reader(wiring, k + _uint(2)), zero), _UNIT)
        d = _load(gradients, (_reader(wiring, k + _uint(3)), zero), _UNIT)
        tile = _scaled_sum(tile, weights.value[k], a)
        tile = _scaled_sum(tile, weights.value[k + one], b)
        tile = _scaled_sum(tile, weights.value[k + _uint(2)], c)
        tile = _scaled_sum(tile, weights.value[k + _uint(3)], d)
        four = _dot(a, outputs), _dot(b, outputs), _dot(c, outputs), _dot(d, outputs)
        _add_four_totals(weights.gradient, k, four)
        k += _uint(4)
    while k < end:
        a = _load(gradients, (_reader(wiring, k), zero), _UNIT)
        tile = _scaled_sum(tile, weights.value[k], a)
        weights.gradient[k] += _total(_dot(a, outputs))
        k += one
    return tile


# --- one training step ----------------------------------------------------------------


@kernel
def train(net: Net, examples: Examples, order: Order, rule: Rule, work: Workspace) -> None:
    """Run one optimizer step per row of ``order``; writes into net and work."""
    num_steps, batch_size = order.examples.shape
    for step in range(num_steps):
        _order_values(net, work)
        for first in range(0, batch_size, WIDTH):
            count = _forward(net, examples, order, (step, first), work)
            group = order.examples[step, first : first + count]
            _loss_gradient(net, examples.labels, group, work, 1.0 / batch_size)
            _connect_back(net, work)
            _blocks_back(net, work, count)
        _add_sums(net, work)
        for tensor in (net.weights, net.biases):
            move_all(tensor, rule, step)


@kernel
def evaluate(
    net: Net, examples: Examples, order: Order, work: Workspace
) -> tuple[float, int]:
    """Sum of the cross-entropies of examples, and how many of them are right.

    ``order`` has one step, of all examples.
    """
    _order_values(net, work)
    loss, correct = 0.0, 0
    for first in range(0, order.examples.shape[1], WIDTH):
        count = _forward(net, examples, order, (0, first), work)
        group = order.examples[0, first : first + count]
        group_loss, group_correct = _loss(net, examples.labels, group, work)
        loss += group_loss
        correct += group_correct
    return loss, correct


@kernel
def _order_values(net: Net, work: Workspace) -> None:
    for k in range(len(work.values)):
        work.values[k] = net.weights.value[net.wiring.positions[k]]


@kernel
def _forward(
    net: Net, examples: Examples, order: Order, at: tuple[int, int], work: Workspace
) -> int:
    """Logits of a group of examples; returns how many they are."""
    step, first = at
    count: int = min(WIDTH, order.examples.shape[1] - first)
    for block in range(NUM_BLOCKS):
        if block * LANES < count:
            begin = first + block * LANES
            _gather(net.wiring, examples, order, (step, begin), work.planes[block])
            for i in range(len(net.wiring.convs)):
                conv = net.wiring.convs[i]
                _convolve(net, work, work.planes[block], conv)
                if conv.behind != NO_POOL:
                    _pool(net, work, block, conv)
        else:
            _clear(net.wiring, work, block)
    _connect(net, work)
    return count


@kernel
def _gather(
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
            begin, _ = _place(conv, conv.source, conv.inputs, (y, 0))
            begin += _uint(channel * (conv.width + 2) * LANES)
            for lane in range(LANES):
                i = min(first + lane, last)
                top, left = order.corners[step, i]
                row = y + top - SHIFT
                image = examples.images[order.examples[step, i], channel]
                for x in range(conv.width):
                    column = conv.width - 1 - x if order.flips[step, i] else x
                    column += left - SHIFT
                    value = np.float32(0)
                    if 0 <= row < conv.height and 0 <= column < conv.width:
                        value = wiring.values[channel, image[row, column]]
                    planes[begin + _uint(x * LANES + lane)] = value


@kernel
def _clear(wiring: Wiring, work: Workspace, block: int) -> None:
    """No examples here: the image's units are 0, whatever was here before."""
    zero = _splat(np.float32(0), _ONE)
    for unit in range(wiring.unit_layers[1]):
        at = _uint(unit * WIDTH + block * LANES)
        _store(work.units, (at, _uint(0)), zero, _ONE)


@kernel
def _loss_gradient(
    net: Net, labels: Integers, group: Integers, work: Workspace, share: float
) -> None:
    """Gradients of the logits: (softmax - one-hot) · share of the example."""
    first = net.wiring.unit_layers[-2]
    logits = work.units.reshape(-1, WIDTH)[first:]
    gradients = work.unit_gradients.reshape(-1, WIDTH)[first:]
    for column in range(WIDTH):
        if column >= len(group):
            for unit in range(len(logits)):
                gradients[unit, column] = np.float32(0)
            continue
        peak, total = logits[0, column], 0.0
        for unit in range(1, len(logits)):
            peak = max(peak, logits[unit, column])
        for unit in range(len(logits)):
            total += math.exp(logits[unit, column] - peak)
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
        best = 0
        for unit in range(1, len(logits)):
            if logits[unit, column] > logits[best, column]:
                best = unit
        peak, total = logits[best, column], 0.0
        for unit in range(len(logits)):
            total += math.exp(logits[unit, column] - peak)
        loss += math.log(total) - (logits[label, column] - peak)
        correct += best == label
    return loss, correct


@kernel
def _blocks_back(net: Net, work: Workspace, count: int) -> None:
    for block in range((count + LANES - 1) // LANES):
        for i in range(len(net.wiring.convs) - 1, -1, -1):
            conv = net.wiring.convs[i]
            if conv.behind != NO_POOL:
                _pool_back(net, work, block, conv)
            _convolve_back(net, work, work.planes[block], conv)


@kernel
def _add_sums(net: Net, work: Workspace) -> None:
    """Gradients of the convolutions' weights, from their sums by column."""
    for k in range(len(work.values)):
        place = (_uint(k * LANES), _uint(0))
        net.weights.gradient[k] += _total(_load(work.sums, place, _ONE))
        _store(work.sums, place, _splat(np.float32(0), _ONE), _ONE)
