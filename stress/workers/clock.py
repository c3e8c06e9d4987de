"""The CPU's own clock for compiled code: a few nanoseconds to read, where a system call costs many more."""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_IS_X86 = platform.machine() in {"x86_64", "AMD64", "i686"}
# Not annotated in Numba; named here for the type checker.
_intrinsic: Any = intrinsic
_get_or_insert_function: Any = cgutils.get_or_insert_function


def _ticks(typing_context: Any) -> Any:
    def lower(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        word = ir.IntType(64)
        if not _IS_X86:
            return word(0)
        read = _get_or_insert_function(builder.module, ir.FunctionType(word, []), "llvm.readcyclecounter")
        return builder.call(read, [])

    return types.int64(), lower


ticks: Any = _intrinsic(_ticks)
"""ticks(): the time stamp counter, int64; always 0 where user code may not read one (other than x86)."""
