"""Teach Numba the operations of `shm_layout.atomic`: each becomes one LLVM atomic, in line.

Importing this module registers them. `m` must be typed `int64[::1]` in compiled code, or be what `words` makes
of such an array, or watched memory; indices and values must be integers or booleans; anything else is a typing error
that names the operation. An index is not checked against the size of the array.

Memory can be watched instead (`shm_layout.watched`): then each operation is noted in a record before it is done.

Typing and code generation are registered directly (`type_callable`, `lower_builtin`) instead of through
`overload`: an overload is a compiled function of its own that is linked into each of its callers, and
the steps call these operations hundreds of times.
"""

from __future__ import annotations

import inspect
import platform
import sys
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic, lower_builtin, type_callable

from shm_layout import atomic
from shm_layout.record import (
    COMPARE,
    FULL_BARRIER,
    READ,
    READ_WRITE,
    RELEASE,
    WRITE,
    WRITE_BARRIER,
)
from shm_layout.structs import at
from shm_layout.watched import MEMORY, note, note_barrier, note_change, parts, plain, watched_at

_I32 = ir.IntType(32)
_I64 = ir.IntType(64)
_HIGH_HALF_FIRST = sys.byteorder == "big"
_IS_X86 = platform.machine() in {"x86_64", "AMD64", "i686"}

# Not annotated in Numba; named here once for the type checker.
_intrinsic: Any = intrinsic
_type_callable: Any = type_callable
_lower_builtin: Any = lower_builtin
_get_or_insert_function: Any = cgutils.get_or_insert_function

_CPointer: Any = types.CPointer
_WORDS = _CPointer(types.int64)
"""The type of memory in compiled steps."""

_Emit = Callable[..., Any]
"""(builder, pointer, *values) -> LLVM value, or None for an operation that returns nothing."""


def _is_int64_array(array: Any) -> bool:
    if not isinstance(array, types.Array) or array.dtype != types.int64:
        return False
    return bool(array.ndim == 1 and array.layout == "C" and array.mutable)


@_intrinsic  # type: ignore[untyped-decorator]
def words(typing_context: Any, array: Any, index: Any) -> Any:
    """In compiled code: the words of an int64[::1] array, or of other words, from an index on, as a pointer.

    Steps are compiled for pointers: they are passed in one register and are not counted by Numba, where an
    array is seven values and a reference. The array must outlive the pointer.
    """
    if array != _WORDS and not _is_int64_array(array):
        raise TypingError(f"words: int64[::1] or words, not {array}")

    def lower(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        return _pointer(context, builder, sig.args[0], args[0], args[1])

    return _WORDS(array, types.intp), lower


def _typer(fn: Callable[..., Any], result: Any) -> Callable[[Any], Callable[..., Any]]:
    """Return the typing of `fn`: the array checked, the other arguments integers, `result` returned."""
    takes_array = "m" in inspect.signature(fn).parameters

    def check(*args: Any) -> Any:
        if takes_array:
            array, *args = args  # type: ignore[assignment]
            if array not in (_WORDS, MEMORY) and not _is_int64_array(array):
                raise TypingError(f"atomic.{fn.__name__}: m must be int64[::1] and writable, not {array}")
        for arg in args:
            if not isinstance(arg, types.Integer | types.Boolean):
                raise TypingError(f"atomic.{fn.__name__}: an index or value must be an integer, not {arg}")
        return result

    # Numba checks the number of arguments against the typer's own signature.
    check.__signature__ = inspect.signature(fn).replace(return_annotation=inspect.Signature.empty)  # type: ignore[attr-defined]
    return lambda context: check


def _pointer(context: Any, builder: ir.IRBuilder, array_type: Any, array: Any, index: Any) -> Any:
    """Return the address of a word, straight from the array's value: cheaper than a proxy of the array."""
    if array_type == _WORDS:
        return builder.gep(array, [index], inbounds=True)
    position = context.data_model_manager[array_type].get_field_position("data")
    return builder.gep(builder.extract_value(array, position), [index], inbounds=True)


def _register(fn: Callable[..., Any], emit: _Emit, kind: int, *, half: bool = False) -> None:
    """Compile calls of `fn` to what `emit` builds, on a word or (`half`) on one 32-bit half of it.

    ``kind``: what a record says of it, see `shm_layout.record`.
    """
    names = list(inspect.signature(fn).parameters)
    returns = inspect.signature(fn).return_annotation != "None"
    result = types.int64 if returns else types.none
    _type_callable(fn)(_typer(fn, result))

    def lower(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        def cast(k: int, to: Any) -> Any:
            return context.cast(builder, args[k], sig.args[k], to)

        index = cast(1, types.intp)
        values = [cast(k, types.int64) for k in range(2, len(names))]
        watched = sig.args[0] == MEMORY
        if watched:
            memory, record, _ = parts(context, builder, sig.args[0], args[0])
            noted = plain(kind, values[0])(builder) if half else plain(kind)
            written = values[-1] if len(values) > half else _I64(0)
            pointer = word = note(builder, memory, record, index, noted, written)
            before = builder.load(word)
        else:
            pointer = _pointer(context, builder, sig.args[0], args[0], index)
        if half:
            which, *values = values
            if _HIGH_HALF_FIRST:
                which = builder.sub(_I64(1), which)
            pointer = builder.gep(builder.bitcast(pointer, _I32.as_pointer()), [which], inbounds=True)
            values = [builder.trunc(v, _I32) for v in values]
        value = emit(builder, pointer, *values)
        if watched and kind != READ:
            note_change(builder, record, before, builder.load(word))
        if not returns:
            return context.get_dummy_value()
        return builder.zext(value, _I64) if half else value

    _lower_builtin(fn, *[types.Any] * len(names))(lower)


def _register_call(fn: Callable[[], None], emit: Callable[[ir.IRBuilder], Any]) -> None:
    """Compile calls of `fn`, which takes and returns nothing, to what `emit` builds."""
    _type_callable(fn)(_typer(fn, types.none))

    def lower(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        emit(builder)
        return context.get_dummy_value()

    _lower_builtin(fn)(lower)


def _register_barrier(fn: Callable[..., None], order: str, kind: int | None = None) -> None:
    """Compile calls of `fn(m)` to a fence of this order; ``kind``: what a record says of it, None for nothing."""
    _type_callable(fn)(_typer(fn, types.none))

    def lower(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        if sig.args[0] == MEMORY and kind is not None:
            _, record, _ = parts(context, builder, sig.args[0], args[0])
            note_barrier(builder, record, kind)
        builder.fence(order)
        return context.get_dummy_value()

    _lower_builtin(fn, types.Any)(lower)


def _load(order: str, size: int) -> _Emit:
    return lambda builder, pointer: builder.load_atomic(pointer, order, align=size)


def _store(order: str, size: int) -> _Emit:
    return lambda builder, pointer, value: builder.store_atomic(value, pointer, order, align=size)


def _rmw(kind: str) -> _Emit:
    return lambda builder, pointer, value: builder.atomic_rmw(kind, pointer, value, "seq_cst")


def _cmpxchg(builder: ir.IRBuilder, pointer: Any, old: Any, new: Any) -> Any:
    return builder.extract_value(builder.cmpxchg(pointer, old, new, "seq_cst", "seq_cst"), 0)


def _pause(builder: ir.IRBuilder) -> None:
    if _IS_X86:
        _external(builder, "llvm.x86.sse2.pause", ir.VoidType())


def _external(builder: ir.IRBuilder, name: str, result: ir.Type) -> None:
    # A symbol of the process, not an address: what calls it can be cached on disk.
    signature = ir.FunctionType(result, [])
    builder.call(_get_or_insert_function(builder.module, signature, name), [])


_register(atomic.read_once, _load("monotonic", 8), READ)
_register(atomic.write_once, _store("monotonic", 8), WRITE)
_register(atomic.load, _load("acquire", 8), READ)
_register(atomic.store, _store("release", 8), RELEASE)
_register(atomic.xchg, _rmw("xchg"), READ_WRITE)
_register(atomic.cmpxchg, _cmpxchg, COMPARE)
_register(atomic.fetch_add, _rmw("add"), READ_WRITE)
_register(atomic.fetch_or, _rmw("or"), READ_WRITE)
_register(atomic.fetch_and, _rmw("and"), READ_WRITE)
_register(atomic.read_half, _load("monotonic", 4), READ, half=True)
_register(atomic.write_half, _store("monotonic", 4), WRITE, half=True)
_register(atomic.load_half, _load("acquire", 4), READ, half=True)
_register(atomic.store_half, _store("release", 4), RELEASE, half=True)
_register(atomic.xchg_half, _rmw("xchg"), READ_WRITE, half=True)
_register(atomic.cmpxchg_half, _cmpxchg, COMPARE, half=True)
_register(atomic.fetch_add_half, _rmw("add"), READ_WRITE, half=True)
_register(atomic.and_half, _rmw("and"), READ_WRITE, half=True)
_register_barrier(atomic.smp_mb, "seq_cst", FULL_BARRIER)
_register_barrier(atomic.smp_wmb, "release", WRITE_BARRIER)
_register_barrier(atomic.smp_rmb, "acquire")
_register_call(atomic.fence, lambda builder: builder.fence("seq_cst"))
_register_call(atomic.cpu_relax, _pause)
_register_call(atomic.sched_yield, lambda builder: _external(builder, "sched_yield", _I32))


def _type_of_at(context: Any) -> Any:
    def check(m: Any, field: Any, stride_or_instance: Any, instance: Any = None) -> Any:
        if m not in (_WORDS, MEMORY) and not _is_int64_array(m):
            raise TypingError(f"at: m must be int64[::1] and writable, not {m}")
        for given in (field, stride_or_instance, *(() if instance is None else (instance,))):
            if not isinstance(given, types.Integer | types.Boolean):
                raise TypingError(f"at: a constant or an instance must be an integer, not {given}")
        return types.int64

    return check


_type_callable(at)(_type_of_at)


def _lower_at(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
    """Emit `at` of a field and an instance, or of a field, a stride and an instance."""
    field, *stride, instance = (
        context.cast(builder, value, given, types.int64) for value, given in zip(args[1:], sig.args[1:], strict=True)
    )
    if sig.args[0] == MEMORY:
        memory, record, _ = parts(context, builder, sig.args[0], args[0])
        return watched_at(builder, memory, record, field, instance, *stride)
    step_at = stride[0] if stride else builder.add(field, _I64(1))
    start, step = (builder.load(_pointer(context, builder, sig.args[0], args[0], k)) for k in (field, step_at))
    return builder.add(start, builder.mul(instance, step))


_lower_builtin(at, types.Any, types.Any, types.Any)(_lower_at)
_lower_builtin(at, types.Any, types.Any, types.Any, types.Any)(_lower_at)
