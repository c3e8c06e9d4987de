"""Private work in compiled code: time that is spent, and real pages that are cleared or copied.

Importing this module imports numba.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, type_callable

from stress.compiling.clock import IS_X86

_type_callable: Any = type_callable
_lower_builtin: Any = lower_builtin
_get_or_insert_function: Any = cgutils.get_or_insert_function
_I64, _I32, _BYTE = ir.IntType(64), ir.IntType(32), ir.IntType(8).as_pointer()
_READ_WRITE, _PRIVATE_POPULATED = 3, 0x8022
"""PROT_READ | PROT_WRITE; MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE."""


def spend(ticks: int) -> None:
    """Keep the CPU busy for so many ticks of its clock. In plain Python, and where it cannot be read, nothing."""


def touch_page(size: int, pool: int, copies: int) -> None:
    """Clear the next page of ``size`` bytes of a pool of the process's own, or copy it. In plain Python nothing."""


@_type_callable(spend)  # type: ignore[untyped-decorator]
def _type_spend(context: Any) -> Any:
    return lambda ticks: types.none


@_lower_builtin(spend, types.Integer)  # type: ignore[untyped-decorator]
def _lower_spend(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
    if not IS_X86:
        return context.get_dummy_value()
    read = _get_or_insert_function(builder.module, ir.FunctionType(_I64, []), "llvm.readcyclecounter")
    wanted = context.cast(builder, args[0], sig.args[0], types.int64)
    began = builder.call(read, [])
    loop, done = builder.append_basic_block("spend"), builder.append_basic_block("spent")
    builder.branch(loop)
    builder.position_at_end(loop)
    passed = builder.sub(builder.call(read, []), began)
    builder.cbranch(builder.icmp_signed("<", passed, wanted), loop, done)
    builder.position_at_end(done)
    return context.get_dummy_value()


@_type_callable(touch_page)  # type: ignore[untyped-decorator]
def _type_touch_page(context: Any) -> Any:
    return lambda size, pool, copies: types.none


def _word_of_process(builder: ir.IRBuilder, name: str) -> Any:
    """A word that each process has for itself, 0 at first."""
    found = builder.module.globals.get(name)
    if found is None:
        found = ir.GlobalVariable(builder.module, _I64, name)
        found.linkage = "internal"
        found.initializer = _I64(0)
    return found


@_lower_builtin(touch_page, types.Integer, types.Integer, types.Integer)  # type: ignore[untyped-decorator]
def _lower_touch_page(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
    size, pool, copies = (
        context.cast(builder, arg, kind, types.int64) for arg, kind in zip(args, sig.args, strict=True)
    )
    at, hand = (_word_of_process(builder, f"pte_stress_{name}") for name in ("pool", "hand"))
    with builder.if_then(builder.icmp_signed("==", builder.load(at), _I64(0)), likely=False):
        kinds = [_I64, _I64, _I32, _I32, _I32, _I64]
        mmap = _get_or_insert_function(builder.module, ir.FunctionType(_I64, kinds), "mmap")
        made = builder.call(
            mmap, [_I64(0), pool, _I32(_READ_WRITE), _I32(_PRIVATE_POPULATED), _I32(-1 & 0xFFFFFFFF), _I64(0)]
        )
        builder.store(made, at)
    mapped = builder.load(at)
    with builder.if_then(builder.icmp_signed("!=", mapped, _I64(-1))):
        place = builder.load(hand)
        page = builder.inttoptr(builder.add(mapped, place), _BYTE)
        with builder.if_else(builder.icmp_signed("==", copies, _I64(0))) as (clears, other):
            with clears:
                memset = _get_or_insert_function(builder.module, ir.FunctionType(_BYTE, [_BYTE, _I32, _I64]), "memset")
                builder.call(memset, [page, _I32(0), size])
            with other:
                memcpy = _get_or_insert_function(builder.module, ir.FunctionType(_BYTE, [_BYTE, _BYTE, _I64]), "memcpy")
                last = builder.inttoptr(builder.add(mapped, builder.sub(pool, size)), _BYTE)
                builder.call(memcpy, [page, last, size])
        after = builder.add(place, size)
        fits = builder.icmp_signed("<=", builder.add(after, builder.add(size, size)), pool)
        builder.store(builder.select(fits, after, _I64(0)), hand)
    return context.get_dummy_value()
