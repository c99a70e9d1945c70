"""Vectors in registers for compiled kernels.

A Numba type stands for a group of numbers with which a kernel computes at once. A tuple of
zeros, ``shape``, gives their number by its length, since only types are known when code is
generated. There are two kinds:

- ``Vector``, (0,) · n: one vector of LLVM, of 16 · n floats; n is 1, 2, 4 or 8. CPUs with
  narrower vectors split it by themselves; other multiples of 16 LLVM splits badly.
- ``Tile``, ((0,) · rows, (0,) · columns): so many vectors of 16 floats, which stand side by
  side in memory, in rows that may be far apart.

The functions below work on both kinds. Their code is emitted where a kernel calls them.
Sums are in ``sums.py``, functions on several rows at once in ``rows.py``.
"""

import math
from collections.abc import Callable, Iterable, Sequence
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
HAS_AVX512 = bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
MAX_VECTORS = 4 if HAS_AVX512 else 2
"""number of vectors of 16 floats that fit the registers twice, with room to spare"""
CACHE_LINE = 64
"""bytes of a cache line"""

Shape = tuple[int, ...]
"""shape of a vector"""
TileShape = tuple[tuple[int, ...], tuple[int, ...]]
ONE: Shape = (0,)
"""shape of a vector of 16, or of a single unit"""
Words = NDArray[np.uint32]
Vectors = Any  # a Vector or a Tile, in compiled code
_types: Any = types  # not everything in it is annotated

uint = np.uint64
"""type of positions: for signed ones, Numba adds a test whether they count from the end"""


def block_shape(num_columns: int) -> Shape:
    """2 or 4 vectors: as few as hold all columns, and never more than MAX_VECTORS."""
    num_vectors = 2
    while num_vectors < MAX_VECTORS and num_vectors * LANES < num_columns:
        num_vectors *= 2
    return (0,) * num_vectors


class Vector(types.Type):
    """One vector of so many floats."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.part = ir.VectorType(FLOAT, lanes)
        super().__init__(name=f"f32x{lanes}")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]  # numba is not annotated
    def __init__(self, manager: object, vector: Vector) -> None:
        super().__init__(manager, vector, vector.part)


class Tile(types.Type):
    """Rows and columns of vectors of 16 floats."""

    part = ir.VectorType(FLOAT, LANES)

    def __init__(self, rows: int, columns: int) -> None:
        self.rows = rows
        self.columns = columns
        super().__init__(name=f"{rows} x {columns} x f32x{LANES}")


@register_model(Tile)
class _TileModel(models.PrimitiveModel):  # type: ignore[misc]  # numba is not annotated
    def __init__(self, manager: object, tile: Tile) -> None:
        super().__init__(manager, tile, ir.ArrayType(tile.part, tile.rows * tile.columns))


def kind_of(shape: Type) -> Vector | Tile:
    """The type of that shape."""
    sizes = [kind.count for kind in shape.types if isinstance(kind, _types.BaseTuple)]
    return Tile(*sizes) if sizes else Vector(LANES * shape.count)


def parts_of(b: ir.IRBuilder, value: ir.Value) -> list[ir.Value]:
    """The vectors of a value: the vector itself, or those of a tile, row by row."""
    if isinstance(value.type, ir.VectorType):
        return [value]
    return [b.extract_value(value, i) for i in range(value.type.count)]


def joined(b: ir.IRBuilder, kind: Vector | Tile, parts: Sequence[ir.Value]) -> ir.Value:
    """The value of these vectors."""
    if isinstance(kind, Vector):
        (value,) = parts
        return value
    value = ir.Constant(ir.ArrayType(kind.part, len(parts)), ir.Undefined)
    for i, part in enumerate(parts):
        value = b.insert_value(value, part, i)
    return value


def sixteens(b: ir.IRBuilder, value: ir.Value) -> list[ir.Value]:
    """The vectors of 16 that a value is made of."""
    return [
        part if part.type.count == LANES else lanes_of(b, part, range(i, i + LANES))
        for part in parts_of(b, value)
        for i in range(0, part.type.count, LANES)
    ]


def call(b: ir.IRBuilder, name: str, result: ir.Type, args: Values) -> ir.Value:
    """Call one of LLVM's own functions on vectors of floats."""
    kind = ir.FunctionType(result, [arg.type for arg in args])
    lanes = args[-1].type.count
    name = f"llvm.{name}.v{lanes}f32"
    function = cgutils.get_or_insert_function(b.module, kind, name)
    return b.call(function, args, fastmath=("reassoc",))


def constant(value: float, lanes: int) -> ir.Constant:
    """A vector of the same number."""
    return ir.Constant(ir.VectorType(FLOAT, lanes), [value] * lanes)


def lanes_of(b: ir.IRBuilder, a: ir.Value, lanes: Iterable[int]) -> ir.Value:
    """A vector of some lanes of another."""
    return b.shuffle_vector(a, a, ints(lanes))


def places_of(b: ir.IRBuilder, at: Any, kind: Vector | Tile) -> list[ir.Value]:  # noqa: ANN401
    """Where the vectors of a value are; at: a place, for tiles with the rows' distance."""
    if isinstance(kind, Vector):
        return [at]
    row, distance = at
    places = []
    for number in range(kind.rows):
        row = b.add(row, distance) if number else row
        for column in range(kind.columns):
            places.append(b.add(row, ir.Constant(row.type, column * LANES)))
    return places


def _elementwise(operands: Sequence[Vectors], operation: Callable[..., ir.Value]) -> Typed:
    """The operation on each vector of operands of one kind; it gets a builder first."""

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        parts = zip(*(parts_of(b, arg) for arg in args), strict=True)
        return joined(b, operands[0], [operation(b, *some) for some in parts])

    return emitted(operands[0](*operands), emit)


@intrinsic_of
def load(_: object, array: Type, at: Type, shape: Type) -> Typed:
    """Read a vector or a tile from an array.

    Args:
        array: floats, or packed pixels (``rows.py``), which are unpacked.
        at: where the vector begins, counted in floats; for a tile, where it begins and
            the distance of its rows.
        shape: shape of the vector or tile.
    """
    kind = kind_of(shape)

    def floats(b: ir.IRBuilder, args: Values) -> ir.Value:
        places = places_of(b, args[1], kind)
        return joined(b, kind, [read(b, args[0], place, kind.part) for place in places])

    def pixels(b: ir.IRBuilder, args: Values) -> ir.Value:
        lanes = kind.part.count
        half = ir.VectorType(FLOAT, lanes // 2)
        at_word = b.lshr(args[1], ir.Constant(args[1].type, 1))
        words = read(b, args[0], at_word, ir.VectorType(INT, lanes // 2))
        left = b.shl(words, ints([16] * (lanes // 2)))
        right = b.and_(words, ints([0xFFFF0000] * (lanes // 2)))
        left, right = b.bitcast(left, half), b.bitcast(right, half)
        return b.shuffle_vector(left, right, ints(range(lanes)))

    packed = array.dtype == types.uint32
    return emitted(kind(array, at, shape), pixels if packed else floats)


@intrinsic_of
def store(_: object, array: Type, at: Type, a: Vectors) -> Typed:
    """Write a vector or a tile into an array; at: as in ``load``."""

    def emit(b: ir.IRBuilder, args: Values) -> None:
        array, at, value = args
        for place, part in zip(places_of(b, at, a), parts_of(b, value), strict=True):
            write(b, array, place, part)

    return emitted(types.void(array, at, a), emit)


@intrinsic_of
def splat(_: object, _number: Type, shape: Type) -> Typed:
    """The same number in every lane."""
    kind = kind_of(shape)

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        count = 1 if isinstance(kind, Vector) else kind.rows * kind.columns
        return joined(b, kind, [everywhere(b, args[0], kind.part.count)] * count)

    return emitted(kind(types.float32, shape), emit)


@intrinsic_of
def fma(_: object, a: Vectors, b: Vectors, c: Vectors) -> Typed:
    """A · b + c."""
    return _elementwise((a, b, c), lambda b, *x: call(b, "fma", x[0].type, x))


@intrinsic_of
def add(_: object, a: Vectors, b: Vectors) -> Typed:
    """A + b."""
    return _elementwise((a, b), ir.IRBuilder.fadd)


@intrinsic_of
def sub(_: object, a: Vectors, b: Vectors) -> Typed:
    """A - b."""
    return _elementwise((a, b), ir.IRBuilder.fsub)


@intrinsic_of
def mul(_: object, a: Vectors, b: Vectors) -> Typed:
    """A · b."""
    return _elementwise((a, b), ir.IRBuilder.fmul)


@intrinsic_of
def div(_: object, a: Vectors, b: Vectors) -> Typed:
    """A / b."""
    return _elementwise((a, b), ir.IRBuilder.fdiv)


@intrinsic_of
def root(_: object, a: Vectors) -> Typed:
    """√a."""
    return _elementwise((a,), lambda b, x: call(b, "sqrt", x.type, (x,)))


@intrinsic_of
def larger(_: object, a: Vectors, b: Vectors) -> Typed:
    """The larger of a and b, or b if one of them is NaN; with a = 0 it is ReLU."""
    return _elementwise((a, b), lambda b, x, y: b.select(b.fcmp_ordered(">", x, y), x, y))


@intrinsic_of
def where_equal(_: object, a: Vectors, b: Vectors, c: Vectors, d: Vectors) -> Typed:
    """C where a equals b, else d."""
    return _elementwise(
        (a, b, c, d),
        lambda b, x, y, same, other: b.select(b.fcmp_ordered("==", x, y), same, other),
    )


@intrinsic_of
def gate(_: object, gradient: Vectors, output: Vectors) -> Typed:
    """Backwards through ReLU: the gradient, or 0 where the output is 0; NaN passes."""

    def emit(b: ir.IRBuilder, g: ir.Value, x: ir.Value) -> ir.Value:
        zero = constant(0.0, g.type.count)
        return b.select(b.fcmp_ordered("<=", x, zero), zero, g)

    return _elementwise((gradient, output), emit)


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
def only(_: object, a: Vectors, bits: Type, at: Type) -> Typed:
    """A where a bit is set, else 0; a number holds 16 bits, and ``at`` counts bits."""

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        a, bits, at = args
        at_number = b.lshr(at, ir.Constant(at.type, 4))
        word = read(b, bits, at_number, ir.IntType(a.type.count))
        chosen = b.bitcast(word, ir.VectorType(ir.IntType(1), a.type.count))
        return b.select(chosen, a, ir.Constant(a.type, [0.0] * a.type.count))

    return emitted(a(a, bits, at), emit)


@intrinsic_of
def exp(_: object, a: Vectors) -> Typed:
    """E to the a, to 2 units in the last place, for a ≤ 0; below -87: e to the -87.

    2^n · p(r) with n = round(a / ln 2); the polynomial is that of Cephes' expf.
    """
    return _elementwise((a,), _exp)


def _exp(b: ir.IRBuilder, a: ir.Value) -> ir.Value:
    lanes = a.type.count
    terms = (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5, 1, 1)

    def number(value: float) -> ir.Constant:
        return constant(float(np.float32(value)), lanes)

    def fma(*values: ir.Value) -> ir.Value:
        return call(b, "fma", a.type, values)

    low = number(-87.0)
    x = b.select(b.fcmp_ordered("<", a, low), low, a)
    # Adding 1.5 · 2^23 rounds to a whole number, which the lowest bits then show.
    shifted = fma(x, number(1 / math.log(2)), number(12582912.0))
    n = b.fsub(shifted, number(12582912.0))
    r = fma(n, number(-0.693359375), x)
    r = fma(n, number(2.12194440e-4), r)
    p = number(1.9875691500e-4)
    for term in terms:
        p = fma(p, r, number(term))
    bits = b.bitcast(shifted, ir.VectorType(INT, lanes))
    power = b.shl(b.add(bits, ints([127] * lanes)), ints([23] * lanes))
    return b.fmul(p, b.bitcast(power, p.type))
