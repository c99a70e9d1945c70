"""Instructions to the processor: fetch data early, and treat tiny numbers as 0."""

import llvmlite.binding
from llvmlite import ir
from numba.core import cgutils, types

from pipeline.engines.shared.emission import (
    INT,
    Type,
    Typed,
    Values,
    emitted,
    intrinsic_of,
)


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


_MODE = ir.IntType(32)
_IS_X86 = llvmlite.binding.get_process_triple().startswith("x86_64")
_FLUSH = 0x8040
"""bits of the x86 control register that make denormals 0, as operands and as results"""


@intrinsic_of
def flush_denormals(_: object) -> Typed:
    """Treat numbers below 1.2e-38 as 0 from here on; return the previous mode.

    Moments of units that died decay to such numbers and stay there, and many processors
    are far slower with them. No other number changes.
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
    """Restore the mode that ``flush_denormals`` returned."""

    def emit(b: ir.IRBuilder, args: Values) -> None:
        _exchange(b, "ldmxcsr", cgutils.alloca_once_value(b, args[0]))

    return emitted(types.void(mode), emit)


def _exchange(b: ir.IRBuilder, name: str, memory: ir.Value) -> None:
    """Copy the control register to memory or back; on other processors do nothing."""
    if _IS_X86:
        kind = ir.FunctionType(ir.VoidType(), [memory.type])
        name = f"llvm.x86.sse.{name}"
        b.call(cgutils.get_or_insert_function(b.module, kind, name), [memory])
