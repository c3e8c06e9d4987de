"""Teaches Numba the functions of `stress.explore.model.primitives`; importing this module registers them."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, type_callable

from shm_layout.registers import REGISTERS
from shm_layout.watched import FILE, MEMORY, as_watched
from stress.compiling.calling import lower_call
from stress.explore.model import primitives

_I64 = ir.IntType(64)
_I32 = ir.IntType(32)

# Not annotated in Numba; named here once for the type checker.
_type_callable: Any = type_callable
_lower_builtin: Any = lower_builtin
_pointer_to: Any = types.CPointer
_get_or_insert_function: Any = cgutils.get_or_insert_function
WORDS = _pointer_to(types.int64)
STEP = (WORDS, WORDS)
"""What a compiled step is given: memory and registers."""
WATCHED_STEP = (MEMORY, FILE)
"""The same, watched."""

MOVE = (WORDS, WORDS, WORDS, types.int64)
"""What `stress.explore.model.transition.move` is given: image, memory, registers, choice."""


@_type_callable(primitives.window)  # type: ignore[untyped-decorator]
def _type_window(context: Any) -> Any:
    return lambda words, index: WORDS if words == WORDS and isinstance(index, types.Integer) else None


@_lower_builtin(primitives.window, WORDS, types.Integer)  # type: ignore[untyped-decorator]
def _lower_window(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
    index = context.cast(builder, args[1], sig.args[1], types.intp)
    return builder.gep(args[0], [index], inbounds=True)


@_type_callable(primitives.call_move)  # type: ignore[untyped-decorator]
def _type_call_move(context: Any) -> Any:
    return lambda move, p, m, g, choice: types.int64


@_lower_builtin(primitives.call_move, types.int64, *MOVE)  # type: ignore[untyped-decorator]
def _lower_call_move(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
    return lower_call(context, builder, args[0], MOVE, args[1:])


def _of_table(builder: ir.IRBuilder, table: Any, number: Any) -> Any:
    words = builder.inttoptr(table, _I64.as_pointer())
    return builder.load(builder.gep(words, [number], inbounds=True))


@_type_callable(primitives.call_step)  # type: ignore[untyped-decorator]
def _type_call_step(context: Any) -> Any:
    return lambda steps, number, m, r: types.int64


@_lower_builtin(primitives.call_step, types.int64, types.int64, WORDS, WORDS)  # type: ignore[untyped-decorator]
def _lower_call_step(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
    table, number, m, r = args
    return lower_call(context, builder, _of_table(builder, table, number), STEP, (m, r))


@_type_callable(primitives.call_watched)  # type: ignore[untyped-decorator]
def _type_call_watched(context: Any) -> Any:
    return lambda steps, number, m, r, record: types.int64


@_lower_builtin(primitives.call_watched, types.int64, types.int64, WORDS, WORDS, WORDS)  # type: ignore[untyped-decorator]
def _lower_call_watched(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
    table, number, m, r, record = args
    memory = as_watched(context, builder, MEMORY, m, record, _I64(0))
    registers = as_watched(context, builder, FILE, r, record, _I64(REGISTERS))
    return lower_call(context, builder, _of_table(builder, table, number), WATCHED_STEP, (memory, registers))


@_type_callable(primitives.call_own)  # type: ignore[untyped-decorator]
def _type_call_own(context: Any) -> Any:
    return lambda functions, number, m, r, record: types.int64


@_lower_builtin(primitives.call_own, types.int64, types.int64, WORDS, WORDS, WORDS)  # type: ignore[untyped-decorator]
def _lower_call_own(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
    address, number, m, r, record = args
    function = ir.FunctionType(_I64, [_I64, m.type, r.type, m.type])
    return builder.call(builder.inttoptr(address, function.as_pointer()), [number, m, r, record])


@_type_callable(primitives.prefetch)  # type: ignore[untyped-decorator]
def _type_prefetch(context: Any) -> Any:
    return lambda pointer, index: types.none


@_lower_builtin(primitives.prefetch, types.CPointer, types.Integer)  # type: ignore[untyped-decorator]
def _lower_prefetch(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
    index = context.cast(builder, args[1], sig.args[1], types.intp)
    byte = builder.bitcast(builder.gep(args[0], [index], inbounds=True), ir.IntType(8).as_pointer())
    signature = ir.FunctionType(ir.VoidType(), [byte.type, _I32, _I32, _I32])
    name = "llvm.prefetch" if str(byte.type) == "ptr" else "llvm.prefetch.p0i8"
    function = _get_or_insert_function(builder.module, signature, name)
    builder.call(function, [byte, _I32(0), _I32(3), _I32(1)])
    return context.get_dummy_value()


@_type_callable(primitives.pointer)  # type: ignore[untyped-decorator]
def _type_pointer(context: Any) -> Any:
    return lambda array: _pointer_to(array.dtype) if isinstance(array, types.Array) else array


@_lower_builtin(primitives.pointer, types.Array)  # type: ignore[untyped-decorator]
def _lower_pointer(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
    position = context.data_model_manager[sig.args[0]].get_field_position("data")
    return builder.extract_value(args[0], position)
