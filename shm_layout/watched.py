"""Memory and registers that are watched: compiled code notes each access in a record and refuses a wrong one.

`watched_memory` and `watched_registers` make them of words and a record (`shm_layout.record`). Functions compile for
them as they do for plain words: the operations of `shm_layout.atomic`, `at`, and reading and writing a word by its
index. A wrong access is led to a spare word of the record, so that it harms nothing, and the record says what was
wrong with the first one.

Importing this module imports numba; `shm_layout.lowering` does it.
"""

# Code generation passes what LLVM values are made of.
# ruff: noqa: PLR0917

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.datamodel.registry import register_default
from numba.core.errors import TypingError
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin

from shm_layout.record import (
    CHANGED,
    CONSTANT_WRITTEN,
    COUNT,
    ENTRIES,
    ENTRY,
    FAULT,
    FAULT_FIELD,
    FAULT_INDEX,
    KIND_BITS,
    LIMIT,
    MOST,
    NO_FIELD,
    NO_INSTANCE,
    NO_REGISTER,
    OUT_OF_BOUNDS,
    READ,
    REGISTERS_READ,
    SPARE,
    STRIDE_OF,
    WHOLE,
    WRITE,
    WRONG_STRIDE,
)
from shm_layout.registers import REGISTERS
from shm_layout.structs import FIRST_WORD

_I64 = ir.IntType(64)
_WORD_POINTER = _I64.as_pointer()
_pointer_type: Any = types.CPointer
_WORDS = _pointer_type(types.int64)

# Not annotated in Numba; named here once for the type checker.
_Type: Any = types.Type
_StructModel: Any = models.StructModel
_Template: Any = AbstractTemplate
_intrinsic: Any = intrinsic
_lower_builtin: Any = lower_builtin
_infer_global: Any = infer_global
_register_model: Any = register_default
_signature: Any = signature
_get_or_insert_function: Any = cgutils.get_or_insert_function
_create_struct_proxy: Any = cgutils.create_struct_proxy


class Watched(_Type):  # type: ignore[misc]
    """The type of watched words: a pointer to them and one to the record."""


class WatchedMemory(Watched):
    """The type of watched memory."""


class WatchedRegisters(Watched):
    """The type of watched registers, or of scratch words of a given number."""


MEMORY = WatchedMemory("watched_memory")
FILE = WatchedRegisters("watched_registers")


@_register_model(WatchedMemory)
@_register_model(WatchedRegisters)
class _WatchedModel(_StructModel):  # type: ignore[misc]
    """How both are passed: words, record, number of words."""

    def __init__(self, dmm: Any, fe_type: Any) -> None:
        members = [("words", _WORDS), ("record", _WORDS), ("size", types.int64)]
        super().__init__(dmm, fe_type, members)


def as_watched(context: Any, builder: ir.IRBuilder, made: Any, words: Any, record: Any, size: Any) -> Any:
    """Return a value of type ``made`` (`MEMORY` or `FILE`): words, a record, for registers the number of words."""
    proxy = _create_struct_proxy(made)(context, builder)
    proxy.words, proxy.record, proxy.size = words, record, size
    return proxy._getvalue()


def _making(made: Any) -> Callable[..., Any]:
    def typed(typing_context: Any, words: Any, record: Any, size: Any) -> Any:
        if words != _WORDS or record != _WORDS:
            raise TypingError(f"watched words are made of two pointers to words, not {words} and {record}")

        def lower(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
            size = context.cast(builder, args[2], sig.args[2], types.int64)
            return as_watched(context, builder, made, args[0], args[1], size)

        return made(words, record, size), lower

    return typed


watched_memory: Any = _intrinsic(_making(MEMORY))
"""In compiled code: memory (words, record, number of words), watched."""
watched_registers: Any = _intrinsic(_making(FILE))
"""In compiled code: registers or scratch words (words, record, number of words), watched."""


def _word(builder: ir.IRBuilder, record: Any, place: int | Any) -> Any:
    index = _I64(place) if isinstance(place, int) else place
    return builder.gep(record, [index], inbounds=True)


def _note_fault(builder: ir.IRBuilder, record: Any, ok: Any, fault: Any, index: Any, field: Any) -> None:
    """Keep what is wrong where ``ok`` is false, unless something was wrong before."""
    with builder.if_then(builder.not_(ok), likely=False):
        first = builder.icmp_signed("==", builder.load(_word(builder, record, FAULT)), _I64(0))
        with builder.if_then(first):
            builder.store(fault, _word(builder, record, FAULT))
            builder.store(index, _word(builder, record, FAULT_INDEX))
            builder.store(field, _word(builder, record, FAULT_FIELD))


def _function(builder: ir.IRBuilder, name: str, arguments: int, result: Any, body: Callable[..., Any]) -> Any:
    """Return a function of the module, built when it is first asked for: words, record, then integers."""
    signature = ir.FunctionType(result, [_WORD_POINTER, _WORD_POINTER, *[_I64] * arguments])
    function = _get_or_insert_function(builder.module, signature, name)
    if function.is_declaration:
        function.linkage = "linkonce_odr"
        inner = ir.IRBuilder(function.append_basic_block())
        inner.ret(body(inner, *function.args))
    return function


def _access(builder: ir.IRBuilder, words: Any, record: Any, index: Any, kind: Any, value: Any) -> Any:
    """Note an access to a word that a run may change; returns its address, or that of the spare word."""
    limit = builder.load(_word(builder, record, LIMIT))
    room = builder.sub(limit, _I64(FIRST_WORD))
    ok = builder.icmp_unsigned("<", builder.sub(index, _I64(FIRST_WORD)), room)
    constant = builder.icmp_unsigned("<", index, _I64(FIRST_WORD))
    fault = builder.select(constant, _I64(CONSTANT_WRITTEN), _I64(OUT_OF_BOUNDS))
    _note_fault(builder, record, ok, fault, index, _I64(0))
    place = builder.select(ok, _word(builder, words, index), _word(builder, record, SPARE))
    _enter(builder, record, index, kind, value, builder.load(place))
    return place


def _enter(builder: ir.IRBuilder, record: Any, *access: Any) -> None:
    """Enter the words of an access into the record."""
    count = _word(builder, record, COUNT)
    number = builder.load(count)
    builder.store(builder.add(number, _I64(1)), count)
    full = builder.icmp_unsigned(">=", number, _I64(MOST))
    number = builder.select(full, _I64(MOST - 1), number)
    entry = builder.add(builder.mul(number, _I64(ENTRY)), _I64(ENTRIES))
    for i, noted in enumerate(access):
        builder.store(noted, _word(builder, record, builder.add(entry, _I64(i))))


def parts(context: Any, builder: ir.IRBuilder, watched: Any, value: Any) -> tuple[Any, Any, Any]:
    """Return the words, the record and the number of words of a watched value."""
    proxy = _create_struct_proxy(watched)(context, builder, value=value)
    return proxy.words, proxy.record, proxy.size


def note(builder: ir.IRBuilder, words: Any, record: Any, index: Any, kind: Any, value: Any) -> Any:
    """Emit the note of an access of this kind; returns the address that the access is to use."""
    function = _function(builder, "pte_stress_access", 3, _WORD_POINTER, _access)
    return builder.call(function, [words, record, index, kind, value])


def note_barrier(builder: ir.IRBuilder, record: Any, kind: int) -> None:
    """Emit the note of a barrier of this kind."""
    _enter(builder, record, _I64(0), plain(kind), _I64(0), _I64(0))


def note_change(builder: ir.IRBuilder, record: Any, before: Any, after: Any) -> None:
    """Emit the note that a word of the memory was ``before`` and is ``after``."""
    place = _word(builder, record, CHANGED)
    builder.store(builder.or_(builder.load(place), builder.xor(before, after)), place)


def plain(kind: int, half: Any = None) -> Any:
    """Return the second word of an entry: a kind, and a half (an LLVM integer of 0 or 1) or the whole word."""
    if half is None:
        return _I64(kind | WHOLE << KIND_BITS)
    return lambda builder: builder.or_(_I64(kind), builder.shl(builder.add(half, _I64(1)), _I64(KIND_BITS)))


def _at(builder: ir.IRBuilder, words: Any, record: Any, field: Any, stride: Any, instance: Any) -> Any:
    """Return the index of a field of an instance; -1 for a stride of another structure or no such instance."""
    known = builder.load(_word(builder, record, builder.add(field, _I64(STRIDE_OF))))
    count = builder.load(_word(builder, words, builder.add(stride, _I64(1))))
    right = builder.icmp_signed("==", known, stride)
    there = builder.icmp_unsigned("<", instance, count)
    fault = builder.select(right, _I64(NO_INSTANCE), _I64(WRONG_STRIDE))
    ok = builder.and_(right, there)
    _note_fault(builder, record, ok, fault, instance, field)
    start = builder.load(_word(builder, words, field))
    index = builder.add(start, builder.mul(instance, builder.load(_word(builder, words, stride))))
    return builder.select(ok, index, _I64(-1))


def watched_at(builder: ir.IRBuilder, words: Any, record: Any, field: Any, instance: Any, stride: Any = None) -> Any:
    """Emit `at` on watched memory: note a number that is no field, a wrong stride, or an instance that is not there.

    ``stride``: of older steps, which give it; without it the field's own is taken.
    """
    given = field
    field = builder.select(builder.icmp_unsigned("<", field, _I64(FIRST_WORD)), field, _I64(0))
    known = builder.load(_word(builder, record, builder.add(field, _I64(STRIDE_OF))))
    _note_fault(builder, record, builder.icmp_signed("!=", known, _I64(0)), _I64(NO_FIELD), instance, given)
    if stride is None:
        stride = known
    else:
        in_constants = builder.icmp_unsigned("<", stride, _I64(FIRST_WORD))
        stride = builder.select(in_constants, stride, _I64(0))
    function = _function(builder, "pte_stress_at", 3, _I64, _at)
    return builder.call(function, [words, record, field, stride, instance])


# reading and writing a word by its index


@_infer_global(operator.getitem)
class _TypeOfGet(_Template):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        words, index = args
        if isinstance(words, Watched) and isinstance(index, types.Integer | types.Boolean):
            return _signature(types.int64, words, types.intp)
        return None


@_infer_global(operator.setitem)
class _TypeOfSet(_Template):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        words, index, _ = args
        if isinstance(words, Watched) and isinstance(index, types.Integer | types.Boolean):
            return _signature(types.none, words, types.intp, types.int64)
        return None


def _memory_word(builder: ir.IRBuilder, words: Any, record: Any, index: Any) -> Any:
    """Return the value of a word: a constant's, or that of a word that a run may change, which is an access."""
    result = builder.alloca(_I64)
    constant = builder.icmp_unsigned("<", index, _I64(FIRST_WORD))
    with builder.if_else(constant) as (then, otherwise):
        with then:
            builder.store(builder.load(_word(builder, words, index)), result)
        with otherwise:
            place = note(builder, words, record, index, plain(READ), _I64(0))
            builder.store(builder.load(place), result)
    return builder.load(result)


@_lower_builtin(operator.getitem, WatchedMemory, types.Integer)  # type: ignore[untyped-decorator]
def _get_memory(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
    words, record, _ = parts(context, builder, sig.args[0], args[0])
    index = args[1]
    if isinstance(index, ir.Constant) and 0 <= index.constant < FIRST_WORD:
        return builder.load(_word(builder, words, index))
    function = _function(builder, "pte_stress_get", 1, _I64, _memory_word)
    return builder.call(function, [words, record, index])


@_lower_builtin(operator.setitem, WatchedMemory, types.Integer, types.Any)  # type: ignore[untyped-decorator]
def _set_memory(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
    words, record, _ = parts(context, builder, sig.args[0], args[0])
    value = context.cast(builder, args[2], sig.args[2], types.int64)
    place = note(builder, words, record, args[1], plain(WRITE), value)
    note_change(builder, record, builder.load(place), value)
    builder.store(value, place)
    return context.get_dummy_value()


def _register_place(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
    words, record, size = parts(context, builder, sig.args[0], args[0])
    index = args[1]
    if isinstance(index, ir.Constant) and 0 <= index.constant < REGISTERS:
        return _word(builder, words, index)
    ok = builder.icmp_unsigned("<", index, size)
    _note_fault(builder, record, ok, _I64(NO_REGISTER), index, _I64(0))
    return builder.select(ok, _word(builder, words, index), _word(builder, record, SPARE))


@_lower_builtin(operator.getitem, WatchedRegisters, types.Integer)  # type: ignore[untyped-decorator]
def _get_register(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
    place = _register_place(context, builder, sig, args)
    _, record, _ = parts(context, builder, sig.args[0], args[0])
    read = _word(builder, record, REGISTERS_READ)
    number = builder.and_(args[1], _I64(63))
    builder.store(builder.or_(builder.load(read), builder.shl(_I64(1), number)), read)
    return builder.load(place)


@_lower_builtin(operator.setitem, WatchedRegisters, types.Integer, types.Any)  # type: ignore[untyped-decorator]
def _set_register(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
    place = _register_place(context, builder, sig, args)
    value = context.cast(builder, args[2], sig.args[2], types.int64)
    builder.store(value, place)
    return context.get_dummy_value()
