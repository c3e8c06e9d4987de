"""Initial values: the block in braces before the program, alike in all formats."""

from __future__ import annotations

from dataclasses import dataclass, field

from stress.litmus.conditions import Location, Value
from stress.litmus.kernel_functions import LOCK_TYPES
from stress.litmus.source import Cursor


@dataclass
class Initial:
    """What the block says."""

    values: dict[Location, Value] = field(default_factory=dict)
    """A number, or the name of a word for its address."""
    locks: set[str] = field(default_factory=set)
    """Words declared as spin locks."""


def read_initial(cursor: Cursor) -> Initial:
    """Read entries like ``x=1; 0:r1=y; int *p = &x; atomic_t v = ATOMIC_INIT(1);``. Raises `Unsupported`."""
    initial = Initial()
    while cursor.token.kind != "end":
        if not cursor.accept(";"):
            _entry(cursor, initial)
            if cursor.token.kind != "end":
                cursor.expect(";")
    return initial


def _entry(cursor: Cursor, initial: Initial) -> None:
    types = []
    while cursor.token.kind == "name" and (
        cursor.peek().kind in ("name", "number") or cursor.peek().text in ("*", "[")
    ):
        if cursor.peek().text == "[" and cursor.peek(2).kind == "number":
            break
        types.append(cursor.take().text)
        while cursor.accept("*"):
            types.append("*")
    while cursor.accept("*"):
        pass
    location = _location(cursor)
    if cursor.at("["):
        raise cursor.unsupported("arrays")
    value: Value = 0
    if cursor.accept("="):
        value = _value(cursor)
    if location in initial.values and initial.values[location] != value:
        raise cursor.unsupported(f"a second initial value of {location.key}", "not readable")
    if LOCK_TYPES & set(types) and "*" not in types:
        if value != 0:
            raise cursor.unsupported("a lock that is held at the beginning")
        initial.locks.add(location.name)
    initial.values[location] = value


def _location(cursor: Cursor) -> Location:
    if cursor.accept("["):
        name = cursor.name("the name of a word")
        cursor.expect("]")
        return Location(-1, name)
    token = cursor.token
    text = token.text.removeprefix("P")
    if text.isdigit() and cursor.peek().text == ":":
        cursor.take()
        cursor.take()
        return Location(int(text[:9]), cursor.name("a register").removeprefix("%"))
    return Location(-1, cursor.name("a word or a register"))


def _value(cursor: Cursor) -> Value:
    if cursor.at("ATOMIC_INIT", "ATOMIC64_INIT", "ATOMIC_LONG_INIT"):
        cursor.take()
        cursor.expect("(")
        value = _value(cursor)
        cursor.expect(")")
        return value
    if cursor.at("{"):
        raise cursor.unsupported("arrays and structures")
    if cursor.at("NULL"):
        cursor.take()
        return 0
    if cursor.accept("("):
        value = _value(cursor)
        cursor.expect(")")
        return value
    if cursor.token.kind == "number" or cursor.at("-"):
        return cursor.number()
    cursor.accept("&")
    cursor.accept("$")
    return cursor.name("a number or the name of a word")
