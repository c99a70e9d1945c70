"""Vectors in registers for compiled kernels.

A Numba type stands for LLVM's vector of 16, 32, 64 or 128 floats, and a tuple of so many
zeros by 16, ``shape``, says which. CPUs with narrower vectors split it by themselves;
other multiples of 16 LLVM splits badly. The functions below are emitted where a kernel
calls them.
"""

import math
from collections.abc import Iterable
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import models, register_model
from numpy.typing import NDArray

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

LANES = 16
MAX_VECTORS = 4 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 2
"""so many vectors of 16 floats fit the registers twice, and leave room"""
CACHE_LINE = 64
"""bytes"""
CHUNK = 16
"""pixels are transposed in runs of so many neighbors"""

Shape = tuple[int, ...]
ONE: Shape = (0,)
"""a vector of 16; or a single unit"""
Words = NDArray[np.uint32]

uint = np.uint64
"""positions: for signed ones, Numba adds a test whether they count from the end"""


def block_shape(num_columns: int) -> Shape:
    """2 or 4 vectors: the fewest that hold so many columns, or as many as there can be."""
    num_vectors = 2
    while num_vectors < MAX_VECTORS and num_vectors * LANES < num_columns:
        num_vectors *= 2
    return (0,) * num_vectors


_BYTE = ir.IntType(8)
Vectors = Any  # a vector, in compiled code


class _Vector(types.Type):
    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(name=f"f32x{lanes}")


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]  # numba is not annotated
    def __init__(self, manager: object, vector: _Vector) -> None:
        super().__init__(manager, vector, ir.VectorType(FLOAT, vector.lanes))


def _call(b: ir.IRBuilder, name: str, result: ir.Type, args: Values) -> ir.Value:
    """Call one of LLVM's own functions on vectors of floats."""
    kind = ir.FunctionType(result, [arg.type for arg in args])
    lanes = args[-1].type.count
    name = f"llvm.{name}.v{lanes}f32"
    function = cgutils.get_or_insert_function(b.module, kind, name)
    return b.call(function, args, fastmath=("reassoc",))


def _constant(value: float, lanes: int) -> ir.Constant:
    return ir.Constant(ir.VectorType(FLOAT, lanes), [value] * lanes)


def _part(b: ir.IRBuilder, a: ir.Value, lanes: Iterable[int]) -> ir.Value:
    return b.shuffle_vector(a, a, ints(lanes))


@intrinsic_of
def load(_: object, array: Type, at: Type, shape: Type) -> Typed:
    """Row of a matrix; of a pixel matrix: unpacked. ``at`` counts columns."""
    lanes = LANES * shape.count
    half = ir.VectorType(FLOAT, lanes // 2)

    def floats(b: ir.IRBuilder, args: Values) -> ir.Value:
        return read(b, args[0], args[1], ir.VectorType(FLOAT, lanes))

    def pixels(b: ir.IRBuilder, args: Values) -> ir.Value:
        at_word = b.lshr(args[1], ir.Constant(args[1].type, 1))
        words = read(b, args[0], at_word, ir.VectorType(INT, lanes // 2))
        left = b.shl(words, ints([16] * (lanes // 2)))
        right = b.and_(words, ints([0xFFFF0000] * (lanes // 2)))
        left, right = b.bitcast(left, half), b.bitcast(right, half)
        return b.shuffle_vector(left, right, ints(range(lanes)))

    packed = array.dtype == types.uint32
    return emitted(_Vector(lanes)(array, at, shape), pixels if packed else floats)


@intrinsic_of
def is_blank(_: object, array: Type, at: Type, shape: Type) -> Typed:
    """Whether a row of a matrix, or of a pixel matrix, is 0 in all columns."""
    is_packed = array.dtype == types.uint32
    row = ir.VectorType(INT, LANES * shape.count // (2 if is_packed else 1))

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        array, at, _ = args
        at = b.lshr(at, ir.Constant(at.type, 1)) if is_packed else at
        words = read(b, array, at, row)
        kind = ir.FunctionType(INT, [row])
        name = f"llvm.vector.reduce.or.v{row.count}i32"
        bits = b.call(cgutils.get_or_insert_function(b.module, kind, name), [words])
        return b.icmp_unsigned("==", bits, ir.Constant(INT, 0))

    return emitted(types.boolean(array, at, shape), emit)


@intrinsic_of
def store(_: object, array: Type, at: Type, a: _Vector) -> Typed:
    """Write a row of a matrix; ``at`` counts columns."""
    return emitted(types.void(array, at, a), lambda b, args: write(b, *args))


@intrinsic_of
def splat(_: object, _number: Type, shape: Type) -> Typed:
    """The same number in every lane."""
    lanes = LANES * shape.count
    signature = _Vector(lanes)(types.float32, shape)
    return emitted(signature, lambda b, args: everywhere(b, args[0], lanes))


@intrinsic_of
def fma(_: object, a: _Vector, b: _Vector, c: _Vector) -> Typed:
    """A · b + c."""
    return emitted(a(a, b, c), lambda b, x: _call(b, "fma", x[0].type, x))


@intrinsic_of
def add(_: object, a: _Vector, b: _Vector) -> Typed:
    """A + b."""
    return emitted(a(a, b), lambda b, args: b.fadd(*args))


@intrinsic_of
def sub(_: object, a: _Vector, b: _Vector) -> Typed:
    """A - b."""
    return emitted(a(a, b), lambda b, args: b.fsub(*args))


@intrinsic_of
def mul(_: object, a: _Vector, b: _Vector) -> Typed:
    """A · b."""
    return emitted(a(a, b), lambda b, args: b.fmul(*args))


@intrinsic_of
def div(_: object, a: _Vector, b: _Vector) -> Typed:
    """A / b."""
    return emitted(a(a, b), lambda b, args: b.fdiv(*args))


@intrinsic_of
def root(_: object, a: _Vector) -> Typed:
    """√a."""
    return emitted(a(a), lambda b, args: _call(b, "sqrt", args[0].type, args))


@intrinsic_of
def larger(_: object, a: _Vector, b: _Vector) -> Typed:
    """The larger one, and b if one of them is NaN."""

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        return b.select(b.fcmp_ordered(">", *args), *args)

    return emitted(a(a, b), emit)


@intrinsic_of
def where_equal(_: object, a: _Vector, b: _Vector, c: _Vector, d: _Vector) -> Typed:
    """C where a equals b, else d."""

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        return b.select(b.fcmp_ordered("==", args[0], args[1]), args[2], args[3])

    return emitted(a(a, b, c, d), emit)


@intrinsic_of
def gate(_: object, gradient: _Vector, output: _Vector) -> Typed:
    """Backwards through ReLU: 0 where the output is 0; NaN passes, as in torch."""

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        zero = _constant(0.0, gradient.lanes)
        return b.select(b.fcmp_ordered("<=", args[1], zero), zero, args[0])

    return emitted(gradient(gradient, output), emit)


@intrinsic_of
def only(_: object, a: _Vector, bits: Type, at: Type) -> Typed:
    """A where a bit is set, else 0; 16 bits to a number, ``at`` counts bits."""

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        a, bits, at = args
        at_number = b.lshr(at, ir.Constant(at.type, 4))
        word = read(b, bits, at_number, ir.IntType(a.type.count))
        chosen = b.bitcast(word, ir.VectorType(ir.IntType(1), a.type.count))
        return b.select(chosen, a, ir.Constant(a.type, [0.0] * a.type.count))

    return emitted(a(a, bits, at), emit)


@intrinsic_of
def exp(_: object, a: _Vector) -> Typed:
    """E to the a, to 2 units in the last place, for a ≤ 0; below -87: e to the -87.

    2^n · p(r) with n = round(a / ln 2); the polynomial is that of Cephes' expf.
    """
    terms = (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5, 1, 1)

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
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
        bits = b.bitcast(shifted, ir.VectorType(INT, a.lanes))
        power = b.shl(b.add(bits, ints([127] * a.lanes)), ints([23] * a.lanes))
        return b.fmul(p, b.bitcast(power, p.type))

    return emitted(a(a), emit)


@intrinsic_of
def product(_: object, a: _Vector, b: _Vector) -> Typed:
    """A · b in 16 lanes: every 16th lane summed up, from the first to the last."""

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        parts = [
            [_part(b, x, range(first, first + LANES)) for x in args]
            for first in range(0, a.lanes, LANES)
        ]
        total = b.fmul(*parts[0])
        for part in parts[1:]:
            total = _call(b, "fma", total.type, [*part, total])
        return total

    return emitted(_Vector(LANES)(a, b), emit)


@intrinsic_of
def lane_sum(_: object, a: _Vector) -> Typed:
    """Sum over the lanes, in a fixed order."""

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        zero = ir.Constant(FLOAT, 0.0)
        return _call(b, "vector.reduce.fadd", FLOAT, [zero, args[0]])

    return emitted(types.float32(a), emit)


@intrinsic_of
def range_sum(_: object, array: Type, first: Type, count: Type) -> Typed:
    """Sum of up to 16 numbers of an array."""

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        array, first, count = args
        lane = ir.Constant(ir.VectorType(count.type, LANES), list(range(LANES)))
        empty = ir.Constant(lane.type, ir.Undefined)
        limit = b.insert_element(empty, count, ir.Constant(INT, 0))
        limit = b.shuffle_vector(limit, empty, ints([0] * LANES))
        # Reading beyond the range stays within the padding of the array.
        numbers = read(b, array, first, ir.VectorType(FLOAT, LANES))
        zero = _constant(0.0, LANES)
        inside = b.select(b.icmp_unsigned("<", lane, limit), numbers, zero)
        return _call(b, "vector.reduce.fadd", FLOAT, [ir.Constant(FLOAT, 0.0), inside])

    return emitted(types.float32(array, first, count), emit)


@intrinsic_of
def add_lane_sums(_: object, array: Type, at: Type, a: Type, by: Type) -> Typed:
    """array[at : at + n] += scale · (sums over the lanes of n vectors of 16) + shift.

    4 or 8 at once: a sum of its own takes 4 shuffles and 4 additions per vector.
    """
    count = len(a)

    def emit(b: ir.IRBuilder, args: Values) -> None:
        vectors = args[2]
        scale, shift = (everywhere(b, x, count) for x in args[3])
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
        known = b.fadd(read(b, args[0], args[1], sums.type), shift)
        write(b, args[0], args[1], _call(b, "fma", sums.type, [scale, sums, known]))

    return emitted(types.void(array, at, a, by), emit)


def _folded(b: ir.IRBuilder, x: ir.Value, y: ir.Value, distance: int) -> ir.Value:
    """X and y with lanes so far apart added up: x in lanes without that bit, y in others.

    One shuffle and one blend; on Intel a single unit shuffles.
    """
    own = [lane + (LANES if lane & distance else 0) for lane in range(LANES)]
    other = [lane ^ distance for lane in own]
    return b.fadd(*(b.shuffle_vector(x, y, ints(lanes)) for lanes in (own, other)))


@intrinsic_of
def transpose(
    _: object,
    images: Type,
    pixel: Type,
    begins: Type,
    columns: Type,
    matrix: Type,
    into: Type,
) -> Typed:
    """CHUNK neighboring pixels of 16 + 16 images, to as many rows of a matrix.

    columns: the first of 16 in the left half of the matrix, and the width of a half;
    begins[column] is where a column's image begins. into: an array of rows, and where in
    it those of these pixels begin. Bytes become packed pixels, floats stay floats.
    """
    is_float = images.dtype == types.float32
    run = ir.VectorType(FLOAT if is_float else _BYTE, CHUNK)

    def emit(b: ir.IRBuilder, args: Values) -> None:
        images, pixel, begins, (left, half), matrix, (rows, first) = args
        halves = []
        for side in (left, b.add(left, half)):
            column = [b.add(side, ir.Constant(side.type, i)) for i in range(LANES)]
            starts = [b.add(b.load(b.gep(begins, [i])), pixel) for i in column]
            halves.append(_transposed(b, [read(b, images, i, run) for i in starts]))
        distance = b.add(half, half) if is_float else half
        for number, (left_pixels, right_pixels) in enumerate(zip(*halves, strict=True)):
            place = b.add(first, ir.Constant(first.type, number))
            at = b.add(b.mul(b.load(b.gep(rows, [place])), distance), left)
            if is_float:
                write(b, matrix, at, left_pixels)
                write(b, matrix, b.add(at, half), right_pixels)
            else:
                write(b, matrix, at, _packed(b, left_pixels, right_pixels))

    return emitted(types.void(images, pixel, begins, columns, matrix, into), emit)


def _transposed(b: ir.IRBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """16 vectors of 16, rows and columns swapped, by four perfect shuffles."""
    for _ in range(4):
        rows = [
            b.shuffle_vector(x, y, ints(lane for i in part for lane in (i, i + 16)))
            for x, y in zip(rows[:8], rows[8:], strict=True)
            for part in (range(8), range(8, 16))
        ]
    return rows


def _packed(b: ir.IRBuilder, left: ir.Value, right: ir.Value) -> ir.Value:
    """Upper halves of the float32 of 16 + 16 bytes, in 16 words."""
    floats, words = ir.VectorType(FLOAT, LANES), ir.VectorType(INT, LANES)
    low, high = (b.bitcast(b.uitofp(x, floats), words) for x in (left, right))
    return b.or_(b.lshr(low, ints([16] * LANES)), high)


@intrinsic_of
def prefetch(_: object, array: Type, at: Type) -> Typed:
    """Fetch the cache line around an element; never waits, never fails."""

    def emit(b: ir.IRBuilder, args: Values) -> None:
        pointer = b.gep(args[0], [args[1]])
        hints = [ir.Constant(INT, hint) for hint in (0, 2, 1)]  # to read, to L2, data
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, INT, INT, INT])
        function = cgutils.get_or_insert_function(b.module, kind, "llvm.prefetch.p0")
        b.call(function, [pointer, *hints])

    return emitted(types.void(array, at), emit)


@intrinsic_of
def zero_each(_: object, units: Type, shape: Type) -> Typed:
    """A vector of 0 for each unit."""
    lanes = LANES * shape.count

    def emit(b: ir.IRBuilder, _: Values) -> ir.Value:
        return cgutils.pack_array(b, [_constant(0.0, lanes)] * units.count)

    return emitted(
        types.containers.UniTuple(_Vector(lanes), units.count)(units, shape), emit
    )


@intrinsic_of
def load_each(_: object, array: Type, place: Type, units: Type, shape: Type) -> Typed:
    """A vector from each of as many rows as there are ``units``.

    place: where the first begins, and how far apart they are.
    """
    row = ir.VectorType(FLOAT, LANES * shape.count)

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        return cgutils.pack_array(
            b, [read(b, args[0], at, row) for at in _spread(b, args[1], units.count)]
        )

    vectors = types.containers.UniTuple(_Vector(LANES * shape.count), units.count)
    return emitted(vectors(array, place, units, shape), emit)


@intrinsic_of
def store_each(_: object, array: Type, place: Type, vectors: Type) -> Typed:
    """Vectors to as many rows; place: as in ``load_each``."""

    def emit(b: ir.IRBuilder, args: Values) -> None:
        array, place, vectors = args
        for at, vector in zip(_spread(b, place, len(vectors)), vectors, strict=True):
            write(b, array, at, vector)

    return emitted(types.void(array, place, vectors), emit)


@intrinsic_of
def add_products(_: object, vectors: Type, factors: Type, place: Type, a: _Vector) -> Typed:
    """vectors[i] + factors[at + i · stride] · a; place: at, stride."""

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        vectors, factors, place, a = args
        sums = []
        for at, known in zip(_spread(b, place, len(vectors)), vectors, strict=True):
            factor = everywhere(b, read(b, factors, at, FLOAT), a.type.count)
            sums.append(_call(b, "fma", a.type, [factor, a, known]))
        return cgutils.pack_array(b, sums)

    return emitted(vectors(vectors, factors, place, a), emit)


def _spread(b: ir.IRBuilder, place: Values, count: int) -> list[ir.Value]:
    """At, at + stride, at + 2 · stride ..."""
    at, stride = place
    return [b.add(at, b.mul(stride, ir.Constant(at.type, i))) for i in range(count)]


@intrinsic_of
def turn(_: object, source: Type, out: Type, target: Type, into: Type) -> Typed:
    """Copy 16 × 16 floats, rows and columns swapped.

    out, into: where the first row begins, and how far apart rows are.
    """
    row = ir.VectorType(FLOAT, LANES)

    def emit(b: ir.IRBuilder, args: Values) -> None:
        source, out, target, into = args
        rows = [read(b, source, at, row) for at in _spread(b, out, LANES)]
        turned = zip(_spread(b, into, LANES), _transposed(b, rows), strict=True)
        for at, column in turned:
            write(b, target, at, column)

    return emitted(types.void(source, out, target, into), emit)


_MODE = ir.IntType(32)
_IS_X86 = llvmlite.binding.get_process_triple().startswith("x86_64")
_FLUSH = 0x8040
"""bits of the x86 control register: denormals are 0, as operands and as results"""


@intrinsic_of
def flush_denormals(_: object) -> Typed:
    """Take numbers below 1.2e-38 as 0 from here on; returns the mode before.

    Moments of units that died decay to such numbers and stay there, and many processors
    take far longer for each. No other number changes.
    """

    def emit(b: ir.IRBuilder, _: Values) -> ir.Value:
        memory = cgutils.alloca_once_value(b, ir.Constant(_MODE, 0))
        _exchange(b, "stmxcsr", memory)
        before = b.load(memory)
        b.store(b.or_(before, ir.Constant(_MODE, _FLUSH)), memory)
        _exchange(b, "ldmxcsr", memory)
        return before

    return emitted(types.uint32(), emit)


@intrinsic_of
def restore_mode(_: object, mode: Type) -> Typed:
    """Back to the mode that ``flush_denormals`` returned."""

    def emit(b: ir.IRBuilder, args: Values) -> None:
        _exchange(b, "ldmxcsr", cgutils.alloca_once_value(b, args[0]))

    return emitted(types.void(mode), emit)


def _exchange(b: ir.IRBuilder, name: str, memory: ir.Value) -> None:
    """Control register to memory or back; nothing on other processors."""
    if _IS_X86:
        kind = ir.FunctionType(ir.VoidType(), [memory.type])
        name = f"llvm.x86.sse.{name}"
        b.call(cgutils.get_or_insert_function(b.module, kind, name), [memory])
