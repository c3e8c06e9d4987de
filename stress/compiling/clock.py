"""Time for compiled code: the CPU's own clock, a few nanoseconds to read, and sleeping."""

from __future__ import annotations

import os
import platform
from time import perf_counter_ns
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

IS_X86 = platform.machine() in {"x86_64", "AMD64", "i686"}
# Not annotated in Numba; named here for the type checker.
_intrinsic: Any = intrinsic
_get_or_insert_function: Any = cgutils.get_or_insert_function


def _ticks(typing_context: Any) -> Any:
    def lower(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        word = ir.IntType(64)
        if not IS_X86:
            return word(0)
        read = _get_or_insert_function(builder.module, ir.FunctionType(word, []), "llvm.readcyclecounter")
        return builder.call(read, [])

    return types.int64(), lower


ticks: Any = _intrinsic(_ticks)
"""ticks(): the time stamp counter, int64; always 0 where user code may not read one (other than x86)."""


def ticks_per_ns() -> float:
    """Return the ticks of the CPU's clock in a nanosecond, measured; 0 where it cannot be read."""
    from stress.compiling.modules import compiled_module

    source = "from stress.compiling.clock import ticks\n@njit\ndef now():\n    return ticks()\n"
    now = compiled_module("ticks", source, {})["now"]
    now()
    first, began = now(), perf_counter_ns()
    while perf_counter_ns() - began < 20_000_000:
        os.sched_yield()
    return float((now() - first) / (perf_counter_ns() - began))


def _nap(typing_context: Any) -> Any:
    def lower(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        word = ir.IntType(32)
        # A symbol of the process, not an address: what calls it can be cached on disk.
        usleep = _get_or_insert_function(builder.module, ir.FunctionType(word, [word]), "usleep")
        builder.call(usleep, [word(NAP_MICROSECONDS)])
        return context.get_dummy_value()

    return types.none(), lower


NAP_MICROSECONDS = 50

nap: Any = _intrinsic(_nap)
"""nap(): sleep for `NAP_MICROSECONDS`, so that the one that is waited for gets the CPU (usleep(3))."""
