"""Reads C litmus tests, as the kernel's memory model has them and herd7 reads them."""

from __future__ import annotations

import re

from stress.litmus import kernel_functions as kernel
from stress.litmus.builder import Builder
from stress.litmus.c_body import ASSIGNMENTS, SRCU_INDEX, Body, read_type
from stress.litmus.conditions import read_conditions
from stress.litmus.initial import read_initial
from stress.litmus.instructions import MOVE
from stress.litmus.resolving import MOST_THREADS, Words, finish
from stress.litmus.source import Cursor, Source, Token
from stress.litmus.test import Test, Thread
from stress.litmus.unsupported import Unsupported
from stress.litmus.values import address

_FUNCTION = re.compile(r"\s*(?:static\s+)?(?:void\s+)?P(\d+)\s*\(")


def read_c(source: Source, file: str, name: str, begin: int) -> Test:
    """Read a C test whose initial values begin with the brace at ``begin``. Raises `Unsupported`."""
    closing = source.block(begin, ml=True)
    place = source.place(begin)
    words = Words(place)
    initial = read_initial(Cursor(source, source.tokens(begin + 1, closing)))
    for location in initial.values:
        if location.thread < 0:
            words.number(location.name)
    locks = {words.number(lock) for lock in initial.locks}
    threads: list[Thread] = []
    all_parameters: list[dict[str, int]] = []
    domains: list[str] = []
    at = closing + 1
    while True:
        source.blank_comments(at, ml=True, until="{")
        match = _FUNCTION.match(source.text, at)
        if match is None:
            break
        if int(match[1][:9]) != len(threads):
            raise Unsupported(
                f"thread P{match[1]} where P{len(threads)} should stand", source.place(match.end() - 1), "not readable"
            )
        if len(threads) >= MOST_THREADS:
            raise Unsupported(f"more than {MOST_THREADS} threads", source.place(match.end()))
        thread, parameters, at = _function(source, match.end(), words, locks, domains)
        threads.append(thread)
        all_parameters.append(parameters)
    source.blank_comments(at, ml=True)
    if not threads:
        raise Unsupported("no thread P0", source.place(at), "not readable")
    conditions = read_conditions(Cursor(source, source.tokens(at, len(source.text))))
    test = finish(
        file=file,
        name=name,
        arch="C",
        words=words,
        initial=initial,
        threads=threads,
        locks=locks,
        conditions=conditions,
        place=place,
    )
    for thread, parameters in zip(threads, all_parameters, strict=True):
        for parameter, word in parameters.items():
            if parameter in thread.registers:
                thread.initial.setdefault(thread.registers[parameter], address(word))
    for location in test.locations:
        if location.thread >= 0:
            thread = threads[location.thread]
            number = thread.registers[location.name]
            if any(op == MOVE and k == SRCU_INDEX and d == number for op, d, _, _, _, k in thread.code):
                raise Unsupported("the value of srcu_read_lock() in a condition", place)
    return test


def _function(
    source: Source, at: int, words: Words, locks: set[int], domains: list[str]
) -> tuple[Thread, dict[str, int], int]:
    """Read a function whose parameters begin at an offset; return it, its parameters, and where it ends."""
    opening = source.blank_comments(at, ml=True, until="{")
    if opening >= len(source.text):
        raise Unsupported("a function without a body", source.place(at), "not readable")
    parameters = _parameters(Cursor(source, source.tokens(at, opening)), words, locks)
    closing = source.block(opening, ml=False)
    builder = Builder()
    tokens = source.tokens(opening + 1, closing)
    _name_assigned(builder, tokens, parameters)
    Body(Cursor(source, tokens), builder, parameters, locks, domains).read()
    builder.place = source.place(closing)
    thread = builder.thread()
    return thread, parameters, closing + 1


def _parameters(cursor: Cursor, words: Words, locks: set[int]) -> dict[str, int]:
    """Read the parameters: each points to the word of its name."""
    parameters: dict[str, int] = {}
    if cursor.at("void") and cursor.peek().text == ")":
        cursor.take()
    while not cursor.accept(")"):
        types = read_type(cursor)
        stars = 0
        while cursor.at("*", "const", "volatile", "__rcu"):
            stars += cursor.take().text == "*"
        if not stars:
            raise cursor.unsupported("a parameter that is no pointer")
        name = cursor.name("the name of a parameter")
        if cursor.at("["):
            raise cursor.unsupported("arrays")
        if name in parameters:
            raise cursor.unsupported(f"a second parameter {name!r}", "not readable")
        parameters[name] = words.number(name)
        if kernel.LOCK_TYPES & set(types):
            locks.add(parameters[name])
        if not cursor.accept(",") and not cursor.at(")"):
            raise cursor.unsupported(f"{cursor.shown()} among the parameters", "not readable")
    if cursor.token.kind != "end":
        raise cursor.unsupported(f"{cursor.shown()} before the body of a function")
    return parameters


def _name_assigned(builder: Builder, tokens: list[Token], parameters: dict[str, int]) -> None:
    """Make registers of those parameters that the body assigns to, so that they are no constants."""
    for before, token, sign in zip([None, *tokens], tokens, tokens[1:], strict=False):
        if token.kind != "name" or token.text not in parameters or sign.text not in ASSIGNMENTS:
            continue
        if before is None or before.text != "*":
            builder.register(token.text)
