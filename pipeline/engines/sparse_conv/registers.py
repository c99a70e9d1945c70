"""Vector operations that only convolutions and their pools need."""

from llvmlite import ir
from numba.core import cgutils, types

from pipeline.engines.shared.emission import (
    Type,
    Typed,
    Values,
    emitted,
    everywhere,
    intrinsic_of,
    read,
    write,
)
from pipeline.engines.shared.vectors import (
    HAS_AVX512,
    LANES,
    Tile,
    Vector,
    call,
    constant,
    joined,
    parts_of,
    places_of,
)

_VECTOR = Vector(LANES).part
_ZERO = constant(0.0, LANES)
_WINDOW = Tile(2, 2)
"""the window of a pool"""


@intrinsic_of
def both_products(_: object, tile: Tile, factor: Type, arrays: Type, places: Type) -> Typed:
    """Tile + factor · g, and one vector: the sum of the products of g and x.

    g and x are tiles in two arrays at two places. x stays in memory, most likely in the
    first-level cache, since the registers are full of the tile.
    """

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        factor = everywhere(b, args[1], LANES)
        pairs = zip(*(places_of(b, place, tile) for place in args[3]), strict=True)
        sums, dots = parts_of(b, args[0]), [_ZERO, _ZERO]
        for i, (at_g, at_x) in enumerate(pairs):
            g = read(b, args[2][0], at_g, _VECTOR)
            sums[i] = call(b, "fma", _VECTOR, (factor, g, sums[i]))
            # Sums take turns, because one alone waits 4 cycles for each addition.
            x = read(b, args[2][1], at_x, _VECTOR)
            dots[i % 2] = call(b, "fma", _VECTOR, (g, x, dots[i % 2]))
            sums[i] = _now(b, sums[i])
        return cgutils.pack_struct(b, [joined(b, tile, sums), b.fadd(*dots)])

    both = types.containers.Tuple((tile, Vector(LANES)))
    return emitted(both(tile, factor, arrays, places), emit)


def _now(b: ir.IRBuilder, vector: ir.Value) -> ir.Value:
    """Compute the vector before anything later is read; this takes no instruction.

    LLVM would read all gradients first, which needs more registers than there are.
    """
    if not HAS_AVX512:
        return vector
    kind = ir.FunctionType(_VECTOR, [_VECTOR])
    return b.asm(kind, "", "=v,0,~{memory}", [vector], side_effect=True)


@intrinsic_of
def largest(_: object, array: Type, place: Type) -> Typed:
    """The largest of 2 × 2 vectors, as one vector; NaN if one is NaN, as in torch."""

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        largest, *others = _window(b, *args)
        for x in others:
            largest = b.select(_exceeds(b, x, largest), x, largest)
        return largest

    return emitted(Vector(LANES)(array, place), emit)


@intrinsic_of
def store_at_largest(_: object, arrays: Type, place: Type, gradient: Vector) -> Typed:
    """Write the gradient to the position of the largest of 2 × 2 outputs, 0 to the others.

    If outputs are equal, the first one counts. arrays: the gradients to write, and the
    outputs; both in the same place.
    """

    def emit(b: ir.IRBuilder, args: Values) -> None:
        (gradients, outputs), place, rest = args
        largest, *others = _window(b, outputs, place)
        chosen = []
        for x in others:
            chosen.append(_exceeds(b, x, largest))
            largest = b.select(chosen[-1], x, largest)
        places = places_of(b, place, _WINDOW)
        for at, here in zip(places[:0:-1], chosen[::-1], strict=True):
            write(b, gradients, at, b.select(here, rest, _ZERO))
            rest = b.select(here, _ZERO, rest)
        write(b, gradients, places[0], rest)

    return emitted(types.void(arrays, place, gradient), emit)


def _exceeds(b: ir.IRBuilder, x: ir.Value, largest: ir.Value) -> ir.Value:
    return b.or_(b.fcmp_ordered(">", x, largest), b.fcmp_unordered("uno", x, x))


def _window(b: ir.IRBuilder, array: ir.Value, place: Values) -> list[ir.Value]:
    return [read(b, array, at, _VECTOR) for at in places_of(b, place, _WINDOW)]
