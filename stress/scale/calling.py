"""Compiled code's call of a step by its number, through the address of a compiled function.

Importing this module imports numba.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_intrinsic: Any = intrinsic
_pointer_to: Any = types.CPointer
_WORDS = _pointer_to(types.int64)
_I64 = ir.IntType(64)


@_intrinsic  # type: ignore[untyped-decorator]
def call_step(typing_context: Any, address: Any, number: Any, m: Any, r: Any, record: Any) -> Any:  # noqa: PLR0917
    """In compiled code: take step ``number``; returns its outcome. ``m``, ``r``, ``record``: pointers to words."""

    def lower(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        function = ir.FunctionType(_I64, [_I64, args[2].type, args[3].type, args[4].type])
        return builder.call(builder.inttoptr(args[0], function.as_pointer()), list(args[1:]))

    return types.int64(types.int64, types.int64, _WORDS, _WORDS, _WORDS), lower
