"""Sum up vectors in registers, over their lanes or over their parts."""

import functools

from llvmlite import ir
from numba.core import types

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
from pipeline.engines.shared.vectors import (
    LANES,
    Vector,
    Vectors,
    call,
    constant,
    lanes_of,
    sixteens,
)


@intrinsic_of
def product(_: object, a: Vectors, b: Vectors, turns: Type) -> Typed:
    """A · b in 16 lanes: every 16th lane summed up.

    turns: as many zeros as there are partial sums, which take turns and are added up at the
    end. One sum alone waits 4 cycles for each addition, unless there is other work
    meanwhile. The number decides the order of additions, and so the last bits.
    """
    zero = constant(0.0, LANES)

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        first, *pairs = zip(*(sixteens(b, x) for x in args[:2]), strict=True)
        if turns.count == 1:
            sums = [b.fmul(*first)]
        else:
            # A plain product would be contracted with the addition of the sums.
            sums = [call(b, "fma", zero.type, [*first, zero])]
            sums += [zero] * min(turns.count - 1, len(pairs))
        for number, pair in enumerate(pairs, start=1):
            turn = number % turns.count
            sums[turn] = call(b, "fma", zero.type, [*pair, sums[turn]])
        return functools.reduce(b.fadd, sums)

    return emitted(Vector(LANES)(a, b, turns), emit)


@intrinsic_of
def part_sum(_: object, a: Vectors) -> Typed:
    """A in 16 lanes: every 16th lane summed up, from the first to the last."""

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        return functools.reduce(b.fadd, sixteens(b, args[0]))

    return emitted(Vector(LANES)(a), emit)


@intrinsic_of
def lane_sum(_: object, a: Vector) -> Typed:
    """Sum over the lanes, in a fixed order."""

    def emit(b: ir.IRBuilder, args: Values) -> ir.Value:
        zero = ir.Constant(FLOAT, 0.0)
        return call(b, "vector.reduce.fadd", FLOAT, [zero, args[0]])

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
        zero = constant(0.0, LANES)
        inside = b.select(b.icmp_unsigned("<", lane, limit), numbers, zero)
        return call(b, "vector.reduce.fadd", FLOAT, [ir.Constant(FLOAT, 0.0), inside])

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
            sums = b.fadd(
                sums, lanes_of(b, sums, (lane ^ distance for lane in range(LANES)))
            )
            distance //= 2
        sums = lanes_of(b, sums, range(0, LANES, LANES // count))
        known = b.fadd(read(b, args[0], args[1], sums.type), shift)
        write(b, args[0], args[1], call(b, "fma", sums.type, [scale, sums, known]))

    return emitted(types.void(array, at, a, by), emit)


def _folded(b: ir.IRBuilder, x: ir.Value, y: ir.Value, distance: int) -> ir.Value:
    """X and y, each with lanes ``distance`` apart added up, in one vector.

    Lanes whose number has the bit ``distance`` hold sums of y, the others sums of x. This
    takes one shuffle and one blend, since on Intel only one unit shuffles.
    """
    own = [lane + (LANES if lane & distance else 0) for lane in range(LANES)]
    other = [lane ^ distance for lane in own]
    return b.fadd(*(b.shuffle_vector(x, y, ints(lanes)) for lanes in (own, other)))
