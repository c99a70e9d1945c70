"""Read, write, multiply or transpose several rows of a matrix at once."""

from llvmlite import ir
from numba.core import cgutils, types

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
from pipeline.engines.shared.vectors import LANES, Vector, call, constant

CHUNK = 16
"""number of neighboring pixels that are transposed together"""
_BYTE = ir.IntType(8)


@intrinsic_of
def zero_each(_: object, units: Type, shape: Type) -> Typed:
    """A vector of 0 for each unit."""
    lanes = LANES * shape.count

    def emit(b: ir.IRBuilder, _: Values) -> ir.Value:
        return cgutils.pack_array(b, [constant(0.0, lanes)] * units.count)

    return emitted(
        types.containers.UniTuple(Vector(lanes), units.count)(units, shape), emit
    )


@intrinsic_of
def load_each(_: object, array: Type, place: Type, units: Type, shape: Type) -> Typed:
    """Read a vector from each of several rows, as many as there are ``units``.

    place: where the first row begins, and how far apart rows are.
    """
    row = ir.VectorType(FLOAT, LANES * shape.count)

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        return cgutils.pack_array(
            b, [read(b, args[0], at, row) for at in _spread(b, args[1], units.count)]
        )

    vectors = types.containers.UniTuple(Vector(LANES * shape.count), units.count)
    return emitted(vectors(array, place, units, shape), emit)


@intrinsic_of
def store_each(_: object, array: Type, place: Type, vectors: Type) -> Typed:
    """Write vectors to as many rows; place: as in ``load_each``."""

    def emit(b: ir.IRBuilder, args: Values) -> None:
        array, place, vectors = args
        for at, vector in zip(_spread(b, place, len(vectors)), vectors, strict=True):
            write(b, array, at, vector)

    return emitted(types.void(array, place, vectors), emit)


@intrinsic_of
def add_products(_: object, vectors: Type, factors: Type, place: Type, a: Vector) -> Typed:
    """vectors[i] + factors[at + i · stride] · a; place: at, stride."""

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        vectors, factors, place, a = args
        sums = []
        for at, known in zip(_spread(b, place, len(vectors)), vectors, strict=True):
            factor = everywhere(b, read(b, factors, at, FLOAT), a.type.count)
            sums.append(call(b, "fma", a.type, [factor, a, known]))
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
