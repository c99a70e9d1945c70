"""Compiled training of fully connected networks in which only kept weights exist.

All units of all layers are numbered in one row, the logits last. A matrix has one row per
unit (or pixel) and one column per example, so that a weight multiplies a whole row. A
block of columns stays in vector registers: a Numba type stands for LLVM's vector of 32,
64 or 128 floats, and a tuple of 2, 4 or 8 zeros, ``shape``, says which. CPUs with
narrower vectors split it by themselves; other multiples of 16 LLVM splits badly.

Pixels are kept as the upper halves of their float32 (whole numbers up to 255 fit
exactly), two in a word: half the memory traffic of float32. Unpacking costs as much as
multiplying where a CPU has two vector units. So the first layer goes through its input
in parts. With many kept weights a part is a block of rows, unpacked and normalized once
for all units that read it, in the first-level cache. With few it is a channel, read as
it is; x = scale · pixel + offset is applied to the sums instead.

Numba's cache on disk does not notice when a called function in another file changes, so
every kernel stands in this file. ``fastmath`` never assumes that there is no NaN: one
weight that diverges shows in the loss.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model
from numpy.typing import NDArray

from pipeline.core.arrays import Bytes, Floats, Integers

LANES = 16
MAX_VECTORS = 4 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 2
"""so many vectors of 16 floats fit the registers twice, and leave room"""
CHUNK = 16
"""pixels are transposed in runs of so many neighbors"""
LINE = 64
"""bytes of a cache line"""
WORDS = 16
"""of 4 bytes in a cache line"""
FACTORS = 8
"""float32 numbers whose product a float64 holds"""

Shape = tuple[int, ...]
Words = NDArray[np.uint32]


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


class Tensor(NamedTuple):
    """Kept weights (or the biases) of all layers in a row, padded with 0 to 16s."""

    value: Floats
    gradient: Floats
    """summed up during a step; the optimizer sets it back to 0"""
    moment: Floats
    """first moment, or momentum"""
    square: Floats
    """second moment"""


class Net(NamedTuple):
    """A network in training."""

    wiring: Wiring
    weights: Tensor
    biases: Tensor


class Examples(NamedTuple):
    """A split, or one batch."""

    images: Bytes | Floats
    """(N · num_pixels,); whole numbers, or floats that scale and offset turn to inputs"""
    labels: Integers
    """(N,), each below the number of logits"""
    num_pixels: int


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


class Rule(NamedTuple):
    """The optimizer, and what it does in each step."""

    adam: bool
    """else SGD with momentum"""
    momentum: np.float32
    """of SGD"""
    decay: np.float32
    """weight decay that is added to the gradient"""
    rates: Floats
    """(steps, 3): step size, 1 / √(second bias correction), factor of the weights"""


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


# --- vectors in registers -------------------------------------------------------------

_FLOAT, _INT, _BYTE = ir.FloatType(), ir.IntType(32), ir.IntType(8)
_Values = Sequence[ir.Value]
_Type = Any  # of Numba
_Floats = Any  # a _Vector, in compiled code
_Typed = tuple[_Type, Callable[..., ir.Value]]


class _Vector(types.Type):
    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(name=f"f32x{lanes}")


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]  # numba is not annotated
    def __init__(self, manager: object, vector: _Vector) -> None:
        super().__init__(manager, vector, ir.VectorType(_FLOAT, vector.lanes))


def _intrinsic(typed: Callable[..., _Typed]) -> Callable[..., Any]:
    """A function whose code we emit; compiled functions call it."""
    compiled: Callable[..., Any] = intrinsic(typed)
    return compiled


def _emitted(signature: _Type, emit: Callable[[ir.IRBuilder, _Values], ir.Value]) -> _Typed:
    """The signature and its code, where an array is the pointer to its first element."""

    def codegen(
        context: object, builder: ir.IRBuilder, signature: _Type, args: _Values
    ) -> ir.Value:
        plain = [
            cgutils.create_struct_proxy(kind)(context, builder, arg).data
            if isinstance(kind, types.Array)
            else arg
            for kind, arg in zip(signature.args, args, strict=True)
        ]
        result = emit(builder, plain)
        return cgutils.get_null_value(cgutils.voidptr_t) if result is None else result

    return signature, codegen


def _read(b: ir.IRBuilder, base: ir.Value, at: ir.Value, kind: ir.Type) -> ir.Value:
    value = b.load(b.bitcast(b.gep(base, [at]), kind.as_pointer()))
    value.align = 1  # numpy promises no more; what is aligned is as fast
    return value


def _write(b: ir.IRBuilder, base: ir.Value, at: ir.Value, value: ir.Value) -> None:
    b.store(value, b.bitcast(b.gep(base, [at]), value.type.as_pointer())).align = 1


def _call(b: ir.IRBuilder, name: str, result: ir.Type, args: _Values) -> ir.Value:
    """Call one of LLVM's own functions on vectors of floats."""
    kind = ir.FunctionType(result, [arg.type for arg in args])
    lanes = args[-1].type.count
    name = f"llvm.{name}.v{lanes}f32"
    function = cgutils.get_or_insert_function(b.module, kind, name)
    return b.call(function, args, fastmath=("reassoc",))


def _ints(numbers: Iterable[int]) -> ir.Constant:
    values = list(numbers)
    return ir.Constant(ir.VectorType(_INT, len(values)), values)


def _all(b: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    """A vector with the same number everywhere."""
    empty = ir.Constant(ir.VectorType(_FLOAT, lanes), ir.Undefined)
    first = b.insert_element(empty, value, ir.Constant(_INT, 0))
    return b.shuffle_vector(first, empty, _ints([0] * lanes))


def _constant(value: float, lanes: int) -> ir.Constant:
    return ir.Constant(ir.VectorType(_FLOAT, lanes), [value] * lanes)


def _part(b: ir.IRBuilder, a: ir.Value, lanes: Iterable[int]) -> ir.Value:
    return b.shuffle_vector(a, a, _ints(lanes))


@_intrinsic
def _load(_: object, array: _Type, at: _Type, shape: _Type) -> _Typed:
    """Row of a matrix; of a pixel matrix: unpacked. ``at`` counts columns."""
    lanes = LANES * shape.count
    half = ir.VectorType(_FLOAT, lanes // 2)

    def floats(b: ir.IRBuilder, args: _Values) -> ir.Value:
        return _read(b, args[0], args[1], ir.VectorType(_FLOAT, lanes))

    def pixels(b: ir.IRBuilder, args: _Values) -> ir.Value:
        at_word = b.lshr(args[1], ir.Constant(args[1].type, 1))
        words = _read(b, args[0], at_word, ir.VectorType(_INT, lanes // 2))
        left = b.shl(words, _ints([16] * (lanes // 2)))
        right = b.and_(words, _ints([0xFFFF0000] * (lanes // 2)))
        left, right = b.bitcast(left, half), b.bitcast(right, half)
        return b.shuffle_vector(left, right, _ints(range(lanes)))

    packed = array.dtype == types.uint32
    return _emitted(_Vector(lanes)(array, at, shape), pixels if packed else floats)


@_intrinsic
def _store(_: object, array: _Type, at: _Type, a: _Vector) -> _Typed:
    return _emitted(types.void(array, at, a), lambda b, args: _write(b, *args))


@_intrinsic
def _splat(_: object, _number: _Type, shape: _Type) -> _Typed:
    """The same number in every lane."""
    lanes = LANES * shape.count
    signature = _Vector(lanes)(types.float32, shape)
    return _emitted(signature, lambda b, args: _all(b, args[0], lanes))


@_intrinsic
def _fma(_: object, a: _Vector, b: _Vector, c: _Vector) -> _Typed:
    """A · b + c."""
    return _emitted(a(a, b, c), lambda b, x: _call(b, "fma", x[0].type, x))


@_intrinsic
def _add(_: object, a: _Vector, b: _Vector) -> _Typed:
    return _emitted(a(a, b), lambda b, args: b.fadd(*args))


@_intrinsic
def _sub(_: object, a: _Vector, b: _Vector) -> _Typed:
    return _emitted(a(a, b), lambda b, args: b.fsub(*args))


@_intrinsic
def _mul(_: object, a: _Vector, b: _Vector) -> _Typed:
    return _emitted(a(a, b), lambda b, args: b.fmul(*args))


@_intrinsic
def _div(_: object, a: _Vector, b: _Vector) -> _Typed:
    return _emitted(a(a, b), lambda b, args: b.fdiv(*args))


@_intrinsic
def _larger(_: object, a: _Vector, b: _Vector) -> _Typed:
    """The larger one, and b if one of them is NaN."""

    def emit(b: ir.IRBuilder, args: _Values) -> ir.Value:
        return b.select(b.fcmp_ordered(">", *args), *args)

    return _emitted(a(a, b), emit)


@_intrinsic
def _where_equal(_: object, a: _Vector, b: _Vector, c: _Vector, d: _Vector) -> _Typed:
    """C where a equals b, else d."""

    def emit(b: ir.IRBuilder, args: _Values) -> ir.Value:
        return b.select(b.fcmp_ordered("==", args[0], args[1]), args[2], args[3])

    return _emitted(a(a, b, c, d), emit)


@_intrinsic
def _gate(_: object, gradient: _Vector, output: _Vector) -> _Typed:
    """Backwards through ReLU: 0 where the output is 0; NaN passes, as in torch."""

    def emit(b: ir.IRBuilder, args: _Values) -> ir.Value:
        zero = _constant(0.0, gradient.lanes)
        return b.select(b.fcmp_ordered("<=", args[1], zero), zero, args[0])

    return _emitted(gradient(gradient, output), emit)


@_intrinsic
def _exp(_: object, a: _Vector) -> _Typed:
    """E to the a, to 2 units in the last place, for a ≤ 0; below -87: e to the -87.

    2^n · p(r) with n = round(a / ln 2); the polynomial is that of Cephes' expf.
    """
    terms = (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5, 1, 1)

    def emit(b: ir.IRBuilder, args: _Values) -> ir.Value:
        def number(value: float) -> ir.Constant:
            return _constant(float(np.float32(value)), a.lanes)

        def fma(*values: ir.Value) -> ir.Value:
            return _call(b, "fma", values[0].type, values)

        low = number(-87.0)
        x = b.select(b.fcmp_ordered("<", args[0], low), low, args[0])
        # Adding 1.5 · 2^23 rounds to a whole number, which the lowest bits then show.
        shifted = fma(x, number(1 / math.log(2)), number(12582912.0))
        n = b.fsub(shifted, number(12582912.0))
        r = fma(n, number(-0.693359375), x)
        r = fma(n, number(2.12194440e-4), r)
        p = number(1.9875691500e-4)
        for term in terms:
            p = fma(p, r, number(term))
        bits = b.bitcast(shifted, ir.VectorType(_INT, a.lanes))
        power = b.shl(b.add(bits, _ints([127] * a.lanes)), _ints([23] * a.lanes))
        return b.fmul(p, b.bitcast(power, p.type))

    return _emitted(a(a), emit)


@_intrinsic
def _total(_: object, a: _Vector) -> _Typed:
    """Sum over the lanes, in a fixed order."""

    def emit(b: ir.IRBuilder, args: _Values) -> ir.Value:
        zero = ir.Constant(_FLOAT, 0.0)
        return _call(b, "vector.reduce.fadd", _FLOAT, [zero, args[0]])

    return _emitted(types.float32(a), emit)


@_intrinsic
def _range_total(_: object, array: _Type, first: _Type, count: _Type) -> _Typed:
    """Sum of up to 16 numbers of an array."""

    def emit(b: ir.IRBuilder, args: _Values) -> ir.Value:
        array, first, count = args
        lane = ir.Constant(ir.VectorType(count.type, LANES), list(range(LANES)))
        empty = ir.Constant(lane.type, ir.Undefined)
        limit = b.insert_element(empty, count, ir.Constant(_INT, 0))
        limit = b.shuffle_vector(limit, empty, _ints([0] * LANES))
        # Reading beyond the range stays within the padding of the array.
        read = _read(b, array, first, ir.VectorType(_FLOAT, LANES))
        zero = _constant(0.0, LANES)
        inside = b.select(b.icmp_unsigned("<", lane, limit), read, zero)
        return _call(b, "vector.reduce.fadd", _FLOAT, [ir.Constant(_FLOAT, 0.0), inside])

    return _emitted(types.float32(array, first, count), emit)


@_intrinsic
def _add_totals(_: object, array: _Type, at: _Type, a: _Type, by: _Type) -> _Typed:
    """array[at : at + n] += scale · (sums over the lanes of n vectors) + shift.

    4 or 8 at once: a sum of its own takes 4 shuffles and 4 additions per vector.
    """
    count = len(a)

    def emit(b: ir.IRBuilder, args: _Values) -> None:
        vectors = [_sixteen(b, v) for v in cgutils.unpack_tuple(b, args[2])]
        scale, shift = (_all(b, x, count) for x in cgutils.unpack_tuple(b, args[3]))
        distance = LANES // 2
        while len(vectors) > 1:
            half = len(vectors) // 2
            pairs = zip(vectors[:half], vectors[half:], strict=True)
            vectors = [_folded(b, x, y, distance) for x, y in pairs]
            distance //= 2
        (sums,) = vectors
        while distance:
            sums = b.fadd(sums, _part(b, sums, (lane ^ distance for lane in range(LANES))))
            distance //= 2
        sums = _part(b, sums, range(0, LANES, LANES // count))
        known = b.fadd(_read(b, args[0], args[1], sums.type), shift)
        _write(b, args[0], args[1], _call(b, "fma", sums.type, [scale, sums, known]))

    return _emitted(types.void(array, at, a, by), emit)


def _sixteen(b: ir.IRBuilder, a: ir.Value) -> ir.Value:
    """The sum of the 16-lane parts of a vector."""
    parts = [
        _part(b, a, range(first, first + LANES)) for first in range(0, a.type.count, LANES)
    ]
    total = parts[0]
    for part in parts[1:]:
        total = b.fadd(total, part)
    return total


def _folded(b: ir.IRBuilder, x: ir.Value, y: ir.Value, distance: int) -> ir.Value:
    """X and y with lanes so far apart added up: x in lanes without that bit, y in others.

    One shuffle and one blend; on Intel a single unit shuffles.
    """
    own = [lane + (LANES if lane & distance else 0) for lane in range(LANES)]
    other = [lane ^ distance for lane in own]
    return b.fadd(*(b.shuffle_vector(x, y, _ints(lanes)) for lanes in (own, other)))


@_intrinsic
def _transpose(
    _: object,
    images: _Type,
    pixel: _Type,
    begins: _Type,
    columns: _Type,
    matrix: _Type,
    row: _Type,
) -> _Typed:
    """CHUNK neighboring pixels of 16 + 16 images, to as many rows from ``row`` on.

    columns: the first of 16 in the left half of the matrix, and the width of a half;
    begins[column] is where a column's image begins. Bytes become packed pixels, floats
    stay floats.
    """
    is_float = images.dtype == types.float32
    run = ir.VectorType(_FLOAT if is_float else _BYTE, CHUNK)

    def emit(b: ir.IRBuilder, args: _Values) -> None:
        images, pixel, begins, columns, matrix, row = args
        left, half = cgutils.unpack_tuple(b, columns)
        halves = []
        for first in (left, b.add(left, half)):
            column = [b.add(first, ir.Constant(first.type, i)) for i in range(LANES)]
            starts = [b.add(b.load(b.gep(begins, [i])), pixel) for i in column]
            halves.append(_transposed(b, [_read(b, images, i, run) for i in starts]))
        distance = b.add(half, half) if is_float else half
        at = b.add(b.mul(row, distance), left)
        for left_pixels, right_pixels in zip(*halves, strict=True):
            if is_float:
                _write(b, matrix, at, left_pixels)
                _write(b, matrix, b.add(at, half), right_pixels)
            else:
                _write(b, matrix, at, _packed(b, left_pixels, right_pixels))
            at = b.add(at, distance)

    return _emitted(types.void(images, pixel, begins, columns, matrix, row), emit)


def _transposed(b: ir.IRBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """16 vectors of 16, rows and columns swapped, by four perfect shuffles."""
    for _ in range(4):
        rows = [
            b.shuffle_vector(x, y, _ints(lane for i in part for lane in (i, i + 16)))
            for x, y in zip(rows[:8], rows[8:], strict=True)
            for part in (range(8), range(8, 16))
        ]
    return rows


def _packed(b: ir.IRBuilder, left: ir.Value, right: ir.Value) -> ir.Value:
    """Upper halves of the float32 of 16 + 16 bytes, in 16 words."""
    floats, words = ir.VectorType(_FLOAT, LANES), ir.VectorType(_INT, LANES)
    low, high = (b.bitcast(b.uitofp(x, floats), words) for x in (left, right))
    return b.or_(b.lshr(low, _ints([16] * LANES)), high)


@_intrinsic
def _prefetch(_: object, examples: _Type, at: _Type) -> _Typed:
    """Fetch the cache line around a pixel; never waits, never fails."""

    def emit(b: ir.IRBuilder, args: _Values) -> None:
        pointer = b.gep(args[0], [args[1]])
        hints = [ir.Constant(_INT, hint) for hint in (0, 2, 1)]  # to read, to L2, data
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, _INT, _INT, _INT])
        function = cgutils.get_or_insert_function(b.module, kind, "llvm.prefetch.p0")
        b.call(function, [pointer, *hints])

    return _emitted(types.void(examples, at), emit)


_MODE = ir.IntType(32)
_IS_X86 = llvmlite.binding.get_process_triple().startswith("x86_64")
_FLUSH = 0x8040
"""bits of the x86 control register: denormals are 0, as operands and as results"""


@_intrinsic
def _flush_denormals(_: object) -> _Typed:
    """Take numbers below 1.2e-38 as 0 from here on; returns the mode before.

    Moments of units that died decay to such numbers and stay there, and many processors
    take far longer for each. No other number changes.
    """

    def emit(b: ir.IRBuilder, _: _Values) -> ir.Value:
        memory = cgutils.alloca_once_value(b, ir.Constant(_MODE, 0))
        _exchange(b, "stmxcsr", memory)
        before = b.load(memory)
        b.store(b.or_(before, ir.Constant(_MODE, _FLUSH)), memory)
        _exchange(b, "ldmxcsr", memory)
        return before

    return _emitted(types.uint32(), emit)


@_intrinsic
def _restore_mode(_: object, mode: _Type) -> _Typed:
    """Back to the mode that ``_flush_denormals`` returned."""

    def emit(b: ir.IRBuilder, args: _Values) -> None:
        _exchange(b, "ldmxcsr", cgutils.alloca_once_value(b, args[0]))

    return _emitted(types.void(mode), emit)


def _exchange(b: ir.IRBuilder, name: str, memory: ir.Value) -> None:
    """Control register to memory or back; nothing on other processors."""
    if _IS_X86:
        kind = ir.FunctionType(ir.VoidType(), [memory.type])
        name = f"llvm.x86.sse.{name}"
        b.call(cgutils.get_or_insert_function(b.module, kind, name), [memory])


# --- one training step ----------------------------------------------------------------

_uint = np.uint64
"""positions: for signed ones, Numba adds a test whether they count from the end"""


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled on first use, and cached on disk.

    Nothing is allocated in compiled code, so Numba need not count references (_nrt):
    for tuples of arrays that takes 0.2 µs per call, as long as 100 weights do.
    """
    options = {"nogil": True, "cache": True, "error_model": "numpy", "_nrt": False}
    compiled: Callable[..., Any] = numba.njit(**options, fastmath={"contract"})(function)
    return compiled


@_compiled
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
    mode = _flush_denormals()
    for step in range(num_steps):
        for first in range(0, batch_size, width):
            block = order[step, first : first + width]
            _gather(net.wiring, examples, block, work, shape)
            if step + 1 < num_steps:
                _announce(examples, order[step + 1, first : first + width])
            _forward(net, work.pixels, work.pixels[:0], work, shape)
            for column in range(width):
                share = 1.0 / batch_size if column < len(block) else 0.0
                work.shares[column] = share
            _softmax(net.wiring, work, shape)
            _loss_gradient(net.wiring, examples.labels, block, work, shape)
            _backward(net, work, shape)
        for tensor in (net.weights, net.biases):
            if rule.adam:
                _adam(tensor, rule, step)
            else:
                _sgd(tensor, rule, step)
    _restore_mode(mode)


@_compiled
def evaluate(net: Net, tiles: Tiles, work: Workspace, shape: Shape) -> tuple[float, int]:
    """Sum of the cross-entropies of examples, and how many of them are right.

    Tiles are 16 · len(shape) columns wide.
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
            _softmax(seen.wiring, work, shape)
            labels = tiles.labels[first_label : first_label + width]
            tile_loss, tile_correct = _loss(seen.wiring, labels, work, shape)
            loss += tile_loss
            correct += tile_correct
            first_word, first_label = end, first_label + width
    return loss, correct


@_compiled
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


@_compiled
def _group(net: Net, tiles: Tiles, group: int) -> Net:
    """The network as a group's examples see it. Only its forward pass has a meaning."""
    full = net.wiring
    visit, last_visit = tiles.first_visits[group], tiles.first_visits[group + 1]
    first, end = tiles.first_weights[group], tiles.first_weights[group + 1]
    part, last_part = tiles.first_parts[group], tiles.first_parts[group + 1]
    for number in range(end - first):
        k = tiles.weights[_uint(first + number)]
        tiles.value[_uint(number)] = net.weights.value[_uint(k)]
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


@_compiled
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
            _transpose(
                examples.images,
                wiring.chunks[chunk],
                work.begins,
                (left, half),
                work.pixels,
                chunk * CHUNK,
            )


@_compiled
def _announce(examples: Examples, block: Integers) -> None:
    """Let the images of a later block come from memory while others are at work."""
    for example in block:
        first = example * examples.num_pixels
        for pixel in range(first, first + examples.num_pixels, LINE):
            _prefetch(examples.images, pixel)


@_compiled
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


@_compiled
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
    share = _uint(WORDS * (1 + len(ahead) // WORDS // len(wiring.visits)))
    for visit in _visits(wiring, part):
        at = _uint(visit) * share
        stop = min(at + share, _uint(len(ahead)))
        while at < stop:
            _prefetch(ahead, at)
            at += _uint(WORDS)
        unit = _uint(wiring.visits[visit])
        row = unit * _uint(LANES * len(shape))
        if is_first:
            a = _splat(net.biases.value[unit], shape)
        else:
            a = _load(work.outputs, row, shape)
        first, end = _range(wiring, visit)
        a = _weighted_sum(net, first, end, source, a, shape)
        if is_last and unit < _uint(wiring.num_hidden):
            a = _larger(_splat(np.float32(0), shape), a)
        _store(work.outputs, row, a)


@_compiled
def _unpacked(
    wiring: Wiring, part: int, pixels: Words | Floats, work: Workspace, shape: Shape
) -> _Source:
    """The rows of a part, in ``block``."""
    width = _uint(LANES * len(shape))
    scale = _splat(wiring.scale[part], shape)
    offset = _splat(wiring.offset[part], shape)
    first = wiring.rows[part]
    for row in range(min(wiring.block_rows, wiring.num_rows - first)):
        a = _load(pixels, _uint(first + row) * width, shape)
        _store(work.block, _uint(row) * width, _fma(scale, a, offset))
    return _Source(work.block, np.float32(1), np.float32(0))


@_compiled
def _units(work: Workspace) -> _Source:
    """What all layers but the first read."""
    return _Source(work.outputs, np.float32(1), np.float32(0))


@_compiled
def _visits(wiring: Wiring, part: int) -> range:
    """The visits for a part of the input; after the last part: of the other layers."""
    size = len(wiring.first_units)
    is_part = part < len(wiring.rows)
    return range(
        _uint(part * size), _uint((part + 1) * size if is_part else len(wiring.visits))
    )


@_compiled
def _range(wiring: Wiring, visit: np.uint64) -> tuple[np.uint64, np.uint64]:
    """The kept weights of a visit."""
    return _uint(wiring.starts[visit]), _uint(wiring.starts[visit + _uint(1)])


@_compiled
def _weighted_sum(
    net: Net, k: np.uint64, end: np.uint64, source: _Source, a: _Floats, shape: Shape
) -> _Floats:
    """A plus the inputs of a range of weights times these weights, in registers."""
    width = _uint(LANES * len(shape))
    value, sources = net.weights.value, net.wiring.sources
    if source.offset != 0:
        a = _add(a, _splat(_weights_total(value, k, end) * source.offset, shape))
    # Two sums in turns: one alone waits 4 cycles for each addition.
    even = _splat(np.float32(0), shape)
    odd = even
    while k + _uint(1) < end:
        w, v = _splat(value[k], shape), _splat(value[k + _uint(1)], shape)
        x = _load(source.matrix, _uint(sources[k]) * width, shape)
        z = _load(source.matrix, _uint(sources[k + _uint(1)]) * width, shape)
        even, odd = _fma(w, x, even), _fma(v, z, odd)
        k += _uint(2)
    if k < end:
        x = _load(source.matrix, _uint(sources[k]) * width, shape)
        even = _fma(_splat(value[k], shape), x, even)
    return _fma(_splat(source.scale, shape), _add(even, odd), a)


@_compiled
def _weights_total(value: Floats, first: np.uint64, end: np.uint64) -> np.float32:
    total = np.float32(0)
    while first < end:
        total += _range_total(value, first, end - first)
        first += _uint(LANES)
    return total


@_compiled
def _softmax(wiring: Wiring, work: Workspace, shape: Shape) -> None:
    """exp(logit - peak) into the logits' rows of ``gradients``; peaks and sums."""
    width = _uint(LANES * len(shape))
    first, end = _uint(wiring.num_hidden), _uint(wiring.num_units)
    peak = _load(work.outputs, first * width, shape)
    for unit in range(first + _uint(1), end):
        peak = _larger(_load(work.outputs, unit * width, shape), peak)
    total = _splat(np.float32(0), shape)
    for unit in range(first, end):
        a = _exp(_sub(_load(work.outputs, unit * width, shape), peak))
        total = _add(total, a)
        _store(work.gradients, unit * width, a)
    _store(work.peaks, _uint(0), peak)
    _store(work.totals, _uint(0), total)


@_compiled
def _loss_gradient(
    wiring: Wiring, labels: Integers, block: Integers, work: Workspace, shape: Shape
) -> None:
    """Gradients of the logits: (softmax - one-hot) · share of the example."""
    width = _uint(LANES * len(shape))
    first, end = _uint(wiring.num_hidden), _uint(wiring.num_units)
    shares = _load(work.shares, _uint(0), shape)
    factor = _div(shares, _load(work.totals, _uint(0), shape))
    for unit in range(first, end):
        a = _load(work.gradients, unit * width, shape)
        _store(work.gradients, unit * width, _mul(a, factor))
    for column in range(len(block)):
        label = _uint(labels[block[column]])
        work.gradients[(first + label) * width + _uint(column)] -= work.shares[column]


@_compiled
def _loss(
    wiring: Wiring, labels: Integers, work: Workspace, shape: Shape
) -> tuple[float, int]:
    """Sum of cross-entropies and number of right answers of a tile.

    Of equal logits the first one is the answer.
    """
    width = LANES * len(shape)
    _answers(wiring, work, shape)
    first, loss, correct, product = wiring.num_hidden, 0.0, 0, 1.0
    for column in range(len(labels)):
        label = labels[column]
        logit = work.outputs[_uint((first + label) * width + column)]
        peak = work.peaks[_uint(column)]
        loss -= np.float64(logit - peak)
        correct += (logit == peak) & (work.shares[_uint(column)] == np.float32(label))
        # The logarithm of a product costs as much as that of one factor.
        product *= work.totals[_uint(column)]
        if column % FACTORS == FACTORS - 1:
            loss += math.log(product)
            product = 1.0
    return loss + math.log(product), correct


@_compiled
def _answers(wiring: Wiring, work: Workspace, shape: Shape) -> None:
    """The class of the largest logit of each column, into ``shares``."""
    width = _uint(LANES * len(shape))
    first, end = _uint(wiring.num_hidden), _uint(wiring.num_units)
    peak = _load(work.peaks, _uint(0), shape)
    answer = _splat(np.float32(0), shape)
    for back in range(_uint(1), end - first + _uint(1)):
        unit = end - back
        number = _splat(np.float32(unit - first), shape)
        logit = _load(work.outputs, unit * width, shape)
        answer = _where_equal(logit, peak, number, answer)
    _store(work.shares, _uint(0), answer)


@_compiled
def _backward(net: Net, work: Workspace, shape: Shape) -> None:
    """Add the gradients of all kept weights and live biases, last unit first."""
    wiring = net.wiring
    num_parts = len(wiring.rows)
    others = _visits(wiring, num_parts)
    for back in range(len(others)):
        visit = _uint(len(wiring.visits) - 1 - back)
        g = _unit_gradient(net, _uint(wiring.visits[visit]), work, shape)
        first, end = _range(wiring, visit)
        _weight_gradients(net, first, end, _units(work), g, shape)
    for unit in wiring.first_units:
        _unit_gradient(net, _uint(unit), work, shape)
    for part in range(num_parts):
        if wiring.block_rows:
            source = _unpacked(wiring, part, work.pixels, work, shape)
            _part_gradients(net, part, source, work, shape)
        else:
            source = _Source(work.pixels, wiring.scale[part], wiring.offset[part])
            _part_gradients(net, part, source, work, shape)


@_compiled
def _part_gradients(
    net: Net, part: int, source: _Source, work: Workspace, shape: Shape
) -> None:
    """Add the gradients of the first layer's weights on one part of the input."""
    wiring = net.wiring
    for visit in _visits(wiring, part):
        row = _uint(wiring.visits[visit]) * _uint(LANES * len(shape))
        first, end = _range(wiring, visit)
        g = _load(work.gradients, row, shape)
        _weight_gradients(net, first, end, source, g, shape)


@_compiled
def _unit_gradient(net: Net, unit: np.uint64, work: Workspace, shape: Shape) -> _Floats:
    """Gradient of a unit's sum, kept in ``gradients`` and added to that of its bias."""
    row = unit * _uint(LANES * len(shape))
    if unit < _uint(net.wiring.num_hidden):
        g = _output_gradient(net, unit, work, shape)
        g = _gate(g, _load(work.outputs, row, shape))
        _store(work.gradients, row, g)
    else:
        g = _load(work.gradients, row, shape)
    net.biases.gradient[unit] += _total(g)
    return g


@_compiled
def _output_gradient(net: Net, unit: np.uint64, work: Workspace, shape: Shape) -> _Floats:
    """Gradient of a hidden unit's output, from the units that read it."""
    width = _uint(LANES * len(shape))
    wiring, value = net.wiring, net.weights.value
    even = _splat(np.float32(0), shape)
    odd = even
    k, end = _uint(wiring.reader_starts[unit]), _uint(wiring.reader_starts[unit + _uint(1)])
    while k + _uint(1) < end:
        w = _splat(value[wiring.reader_weights[k]], shape)
        v = _splat(value[wiring.reader_weights[k + _uint(1)]], shape)
        x = _load(work.gradients, _uint(wiring.readers[k]) * width, shape)
        z = _load(work.gradients, _uint(wiring.readers[k + _uint(1)]) * width, shape)
        even, odd = _fma(w, x, even), _fma(v, z, odd)
        k += _uint(2)
    if k < end:
        w = _splat(value[wiring.reader_weights[k]], shape)
        x = _load(work.gradients, _uint(wiring.readers[k]) * width, shape)
        even = _fma(w, x, even)
    return _add(even, odd)


@_compiled
def _weight_gradients(
    net: Net, k: np.uint64, end: np.uint64, source: _Source, g: _Floats, shape: Shape
) -> None:
    """Add the gradients of a range of a unit's weights."""
    gradient, four, eight = net.weights.gradient, _uint(4), _uint(8)
    shift = source.offset * _total(g) if source.offset != 0 else np.float32(0)
    by = (source.scale, shift)
    while k + eight <= end:
        low = _four_products(net, k, source, g, shape)
        high = _four_products(net, k + four, source, g, shape)
        _add_totals(gradient, k, low + high, by)
        k += eight
    if k + four <= end:
        _add_totals(gradient, k, _four_products(net, k, source, g, shape), by)
        k += four
    while k < end:
        total = _total(_product(net, k, source, g, shape))
        gradient[k] += source.scale * total + shift
        k += _uint(1)


@_compiled
def _four_products(
    net: Net, k: np.uint64, source: _Source, g: _Floats, shape: Shape
) -> tuple[_Floats, _Floats, _Floats, _Floats]:
    return (
        _product(net, k, source, g, shape),
        _product(net, k + _uint(1), source, g, shape),
        _product(net, k + _uint(2), source, g, shape),
        _product(net, k + _uint(3), source, g, shape),
    )


@_compiled
def _product(net: Net, k: np.uint64, source: _Source, g: _Floats, shape: Shape) -> _Floats:
    """What weight k reads, times the gradient of its unit, column by column."""
    row = _uint(net.wiring.sources[k])
    return _mul(g, _load(source.matrix, row * _uint(LANES * len(shape)), shape))


@_compiled
def _adam(tensor: Tensor, rule: Rule, step: int) -> None:
    """Adam and AdamW, as torch.optim does them."""
    size, root, factor = rule.rates[step]
    for k in range(len(tensor.value)):
        value = tensor.value[k]
        g = tensor.gradient[k] + rule.decay * value
        moment = tensor.moment[k]
        moment += np.float32(0.1) * (g - moment)
        square = np.float32(0.999) * tensor.square[k] + np.float32(0.001) * g * g
        below = np.sqrt(square) * root + np.float32(1e-8)
        tensor.value[k] = factor * value - size * moment / below
        tensor.moment[k] = moment
        tensor.square[k] = square
        tensor.gradient[k] = np.float32(0)


@_compiled
def _sgd(tensor: Tensor, rule: Rule, step: int) -> None:
    """SGD with momentum, as torch.optim does it."""
    size = rule.rates[step, 0]
    for k in range(len(tensor.value)):
        g = tensor.gradient[k] + rule.decay * tensor.value[k]
        moment = rule.momentum * tensor.moment[k] + g
        tensor.value[k] -= size * moment
        tensor.moment[k] = moment
        tensor.gradient[k] = np.float32(0)
