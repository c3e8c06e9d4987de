"""Registers that nobody else can see: on the stack of the compiled loop, so that LLVM keeps them in real ones.

In the engine a worker's registers lie in the segment, where a worker that died can be looked at; here they would
only add to the cost of a change.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from shm_layout.registers import REGISTERS

_intrinsic: Any = intrinsic  # not annotated in Numba
_pointer_type: Any = types.CPointer
_alloca: Any = cgutils.alloca_once


@_intrinsic  # type: ignore[untyped-decorator]
def own_registers(typing_context: Any) -> Any:
    """In compiled code: `REGISTERS` words of the function's own, all 0, as a pointer."""
    words = _pointer_type(types.int64)

    def lower(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        array = ir.ArrayType(ir.IntType(64), REGISTERS)
        place = _alloca(builder, array)
        builder.store(array(None), place)
        return builder.bitcast(place, ir.IntType(64).as_pointer())

    return words(), lower
