"""A barrier for the compiler alone: no access moves across it, and no instruction is emitted for it."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_intrinsic: Any = intrinsic


@_intrinsic  # type: ignore[untyped-decorator]
def compiler_barrier(typing_context: Any) -> Any:
    """In compiled code: keep accesses before it from those behind it, in the order of the machine code."""

    def lower(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        builder.fence("seq_cst", targetscope="singlethread")
        return context.get_dummy_value()

    return types.none(), lower
