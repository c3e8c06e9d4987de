"""Every final state of a test under a memory model, and the verdict on its condition."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from stress.litmus import engine_numbers as e
from stress.litmus import search
from stress.litmus.conditions import TRUE, State, Value
from stress.litmus.encoded import Array, Encoded, encode
from stress.litmus.instructions import HALT
from stress.litmus.test import Test, Thread
from stress.litmus.unsupported import Place, Unsupported
from stress.litmus.values import word_at

CHUNK = 200_000
"""Transitions between two looks at the clock."""
ERRORS = {
    e.ARITHMETIC: "arithmetic with addresses, by zero, or with results out of bounds",
    e.NO_ADDRESS: "an access through what is no address",
    e.NOT_HELD: "the release of a lock that this thread does not hold",
    e.LOCK_TOUCHED: "an access to a lock other than by the functions of locks",
    e.NO_READER: "the end of an RCU reader that has not begun",
}


@dataclass(frozen=True)
class Bounds:
    """Where a search of one test ends."""

    seconds: float = 60.0
    states: int = 50_000_000
    memory: int = 2 << 30
    """Bytes, of the search's tables together."""


@dataclass
class Outcomes:
    """What a test does under a memory model."""

    test: Test
    memory: str
    complete: bool
    """The verdict is certain."""
    all_states: bool
    """Every final state is among ``states``. Where not, a search for one that settles the verdict may have ended."""
    states: list[State]
    positive: int
    """States that fulfil the condition."""
    negative: int
    """States that do not."""
    visited: int
    """States of the search."""
    seconds: float

    @property
    def observation(self) -> str | None:
        """What herd7 says: "Never", "Always" or "Sometimes"; None where a search ended early and it is not known."""
        if self.positive and self.negative:
            return "Sometimes"
        if not self.complete:
            return None
        return "Never" if not self.positive else "Always"

    @property
    def ok(self) -> bool | None:
        """Whether the quantified condition holds; None where a search ended early and it is not known."""
        if self.test.quantifier == "exists":
            return True if self.positive else False if self.complete else None
        bad = self.positive if self.test.quantifier == "~exists" else self.negative
        return False if bad else True if self.complete else None


class _Search:
    """A search, its tables, and what it has found."""

    def __init__(self, encoded: Encoded, goal: int) -> None:
        self.encoded = encoded
        self.p = encoded.p.copy()
        self.p[e.P_GOAL], self.p[e.P_BUDGET] = goal, CHUNK
        self.size, self.observed = int(self.p[e.P_SIZE]), int(self.p[e.P_OBSERVED])
        self.control: Array = np.zeros(e.CONTROLS, np.int64)
        self.stack: Array = np.zeros(64 * self.size, np.int64)
        self.visited: Array = np.zeros(2 * 512, np.int64)
        self.finals: Array = np.zeros(64 * (self.observed + 1), np.int64)
        self.index: Array = np.zeros(128, np.int64)
        room = 2 + int(self.p[e.P_THREADS]) * e.LOOKS + self.size + int(self.p[e.P_FILTER]) + 1
        self.scratch: Array = np.zeros(room, np.int64)
        self.stack[: self.size] = encoded.start
        self.control[e.C_STACK] = 1

    def run(self, bounds: Bounds, deadline: float, progress: Callable[[int], None]) -> int:
        """Search; return DONE, MORE where a bound was met, FOUND or FAILED."""
        x = self.encoded
        if not search.compiled_settle_all(self.p, x.code, x.ahead, x.threads, self.control, self.stack):
            return e.FAILED
        while True:
            self.p[e.P_STACK_ROOM] = len(self.stack) // self.size
            self.p[e.P_VISITED_MASK] = len(self.visited) // 2 - 1
            self.p[e.P_INDEX_MASK] = len(self.index) - 1
            tables = (self.control, self.stack, self.visited, self.finals, self.index, self.scratch)
            code = int(search.compiled_search(self.p, x.code, x.ahead, x.threads, x.observed, x.propositions, *tables))
            if code in (e.DONE, e.FAILED, e.FOUND):
                return code
            grown = self.bytes + 4 * self.growth(code)
            if self.control[e.C_VISITED] > bounds.states or grown > bounds.memory:
                return e.MORE
            if code == e.MORE:
                progress(int(self.control[e.C_VISITED]))
                if time.monotonic() > deadline:
                    return code
            elif code == e.GROW_STACK:
                self.stack = np.concatenate([self.stack, np.zeros_like(self.stack)])
            elif code == e.GROW_VISITED:
                self._grow_visited()
            else:
                self._grow_finals()

    @property
    def bytes(self) -> int:
        """Memory that the search holds."""
        return sum(array.nbytes for array in (self.stack, self.visited, self.finals, self.index))

    def growth(self, code: int) -> int:
        """Return the bytes of the table that ``code`` says is full."""
        full = {e.GROW_STACK: self.stack, e.GROW_VISITED: self.visited, e.GROW_FINALS: self.finals}
        return full[code].nbytes if code in full else 0

    @property
    def rows(self) -> list[list[int]]:
        """The final states found."""
        found = int(self.control[e.C_FINALS])
        rows: list[list[int]] = self.finals.reshape(-1, self.observed + 1)[:found, :-1].tolist()
        return rows

    def _grow_visited(self) -> None:
        old = self.visited
        self.visited = np.zeros(4 * len(old), np.int64)
        search.compiled_refill(self.visited, len(self.visited) // 2 - 1, old, len(old) // 2)

    def _grow_finals(self) -> None:
        self.finals = np.concatenate([self.finals, np.zeros_like(self.finals)])
        self.index = np.zeros(2 * len(self.index), np.int64)
        found = int(self.control[e.C_FINALS])
        search.compiled_reindex(self.finals, found, self.observed, self.index, len(self.index) - 1, self.scratch)


def outcomes(
    test: Test, memory: str, bounds: Bounds | None = None, progress: Callable[[int], None] = lambda visited: None
) -> Outcomes:
    """Find every final state of a test. ``memory``: "sc", "tso" or "pso". ``progress`` is told states so far.

    Where a bound is met first, the verdict alone is looked for in the time that is left, which is half of ``seconds``.
    Raises `Unsupported` for what shows only when the test runs, as an access through what is no address.

    Example: ``outcomes(read_test(text, "SB.litmus"), "tso").observation``
    """
    bounds = bounds or Bounds()
    encoded = encode(test, memory)
    _compile()
    begin = time.monotonic()
    first = _Search(encoded, e.ANY_GOAL)
    code = first.run(bounds, begin + bounds.seconds / 2, progress)
    _check(test, first, code)
    positive, negative = (int(first.control[k]) for k in (e.C_POSITIVE, e.C_NEGATIVE))
    visited = int(first.control[e.C_VISITED])
    rows = first.rows
    all_states = complete = code == e.DONE
    if not all_states and not (positive and negative):
        ends = []
        for goal, have in ((e.GOAL_TRUE, positive), (e.GOAL_FALSE, negative)):
            if have:
                continue
            looked = _Search(encoded, goal)
            ends.append(looked.run(bounds, begin + bounds.seconds, progress))
            _check(test, looked, ends[-1])
            visited += int(looked.control[e.C_VISITED])
            rows += looked.rows
            positive += int(looked.control[e.C_POSITIVE])
            negative += int(looked.control[e.C_NEGATIVE])
        complete = e.DONE in ends
    complete = complete or bool(positive and negative)
    states = [_state(test, row) for row in sorted(rows)]
    return Outcomes(test, memory, complete, all_states, states, positive, negative, visited, time.monotonic() - begin)


@cache
def _compile() -> None:
    """Have the search compiled, which takes some seconds once, before the time of a test begins."""
    thread = Thread([(HALT, 0, 0, 0, 0, 0)], [Place(1, 1)], {}, 0)
    empty = Test("", "", "C", [], [], [thread], "forall", TRUE, None, [])
    _Search(encode(empty, "sc"), e.ANY_GOAL).run(Bounds(), 0.0, lambda visited: None)


def _check(test: Test, done: _Search, code: int) -> None:
    if code == e.FAILED:
        at = int(done.control[e.C_ERROR_PC])
        for thread in test.threads:
            if at < len(thread.code):
                raise Unsupported(ERRORS[int(done.control[e.C_ERROR])], thread.places[at])
            at -= len(thread.code)


def _state(test: Test, row: list[int]) -> State:
    return {location: value_of(test, number) for location, number in zip(test.locations, row, strict=True)}


def value_of(test: Test, number: int) -> Value:
    """Return a value of the search as a test writes it: a number, or the name of the word whose address it is."""
    word = word_at(number)
    return number if word is None else test.words[word]
