"""Emit LLVM code for operations that Numba's language cannot express.

An intrinsic is a function that types its arguments and emits LLVM's instructions for them.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

FLOAT, INT = ir.FloatType(), ir.IntType(32)
Values = Sequence[Any]
"""the arguments of emitted code: an ``ir.Value`` each, or a list of them for a tuple"""
Type = Any  # of Numba
Typed = tuple[Type, Callable[..., ir.Value]]
_types: Any = types  # not everything in it is annotated


def intrinsic_of(typed: Callable[..., Typed]) -> Callable[..., Any]:
    """Make a function with emitted code, which compiled functions can call."""
    compiled: Callable[..., Any] = intrinsic(typed)
    return compiled


def emitted(signature: Type, emit: Callable[[ir.IRBuilder, Values], ir.Value]) -> Typed:
    """A signature with its code; the code gets arrays as pointers and tuples as lists."""

    def codegen(
        context: object, builder: ir.IRBuilder, signature: Type, args: Sequence[ir.Value]
    ) -> ir.Value:
        def plain(kind: Type, arg: ir.Value) -> ir.Value | list[ir.Value]:
            if isinstance(kind, types.Array):
                return cgutils.create_struct_proxy(kind)(context, builder, arg).data
            if isinstance(kind, _types.BaseTuple):
                parts = cgutils.unpack_tuple(builder, arg)
                return [plain(*part) for part in zip(kind.types, parts, strict=True)]
            return arg

        result = emit(builder, [plain(*x) for x in zip(signature.args, args, strict=True)])
        return cgutils.get_null_value(cgutils.voidptr_t) if result is None else result

    return signature, codegen


def read(b: ir.IRBuilder, base: ir.Value, at: ir.Value, kind: ir.Type) -> ir.Value:
    """Read a value from an array; ``at`` counts the array's elements."""
    value = b.load(b.bitcast(b.gep(base, [at]), kind.as_pointer()))
    value.align = 1  # numpy promises no more, and aligned data are as fast this way
    return value


def write(b: ir.IRBuilder, base: ir.Value, at: ir.Value, value: ir.Value) -> None:
    """Write a value into an array; ``at`` counts the array's elements."""
    b.store(value, b.bitcast(b.gep(base, [at]), value.type.as_pointer())).align = 1


def ints(numbers: Iterable[int]) -> ir.Constant:
    """A vector of constants."""
    values = list(numbers)
    return ir.Constant(ir.VectorType(INT, len(values)), values)


def everywhere(b: ir.IRBuilder, number: ir.Value, lanes: int) -> ir.Value:
    """A vector with the same number in every lane."""
    empty = ir.Constant(ir.VectorType(FLOAT, lanes), ir.Undefined)
    first = b.insert_element(empty, number, ir.Constant(INT, 0))
    return b.shuffle_vector(first, empty, ints([0] * lanes))
