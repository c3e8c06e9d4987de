"""Teaches Numba the functions of `stress.explore.model.primitives`; importing this module registers them."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, type_callable

from stress.explore.model import primitives

_I64 = ir.IntType(64)
_I32 = ir.IntType(32)

# Not annotated in Numba; named here once for the type checker.
_type_callable: Any = type_callable
_lower_builtin: Any = lower_builtin
_pointer_to: Any = types.CPointer
_get_or_insert_function: Any = cgutils.get_or_insert_function
WORDS = _pointer_to(types.int64)


@_type_callable(primitives.window)  # type: ignore[untyped-decorator]
def _type_window(context: Any) -> Any:
    return lambda words, index: WORDS if words == WORDS and isinstance(index, types.Integer) else None


@_lower_builtin(primitives.window, WORDS, types.Integer)  # type: ignore[untyped-decorator]
def _lower_window(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
    index = context.cast(builder, args[1], sig.args[1], types.intp)
    return builder.gep(args[0], [index], inbounds=True)


@_type_callable(primitives.call_step)  # type: ignore[untyped-decorator]
def _type_call_step(context: Any) -> Any:
    return lambda steps, number, m, r, record: types.int64


@_lower_builtin(primitives.call_step, types.int64, types.int64, WORDS, WORDS, WORDS)  # type: ignore[untyped-decorator]
def _lower_call_step(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
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
