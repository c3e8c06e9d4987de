"""A test as the arrays that the compiled search takes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stress.litmus import engine_numbers as e
from stress.litmus import instructions as i
from stress.litmus.conditions import Atom, Location, Not, Proposition, Several
from stress.litmus.flow import ahead, pointed_to
from stress.litmus.test import Test
from stress.litmus.values import address
from stress.memory_model import MEMORY_MODELS, SC

Array = NDArray[np.int64]
BOUNDS = {"C": (-(1 << 31), (1 << 32) - 1), "X86": (-(1 << 31), (1 << 31) - 1), "X86_64": (0, (1 << 31) - 1)}
"""What arithmetic may give, by architecture: outside of it, the sizes of types would matter."""


class Encoded(NamedTuple):
    """The arrays of a test under one memory model; see `stress.litmus.engine`."""

    p: Array
    code: Array
    ahead: Array
    threads: Array
    observed: Array
    propositions: Array
    start: Array


def encode(test: Test, memory: str) -> Encoded:
    """Return the arrays of a test. ``memory``: "sc", "tso" or "pso"."""
    model = MEMORY_MODELS[memory].number
    observed = _observed(test)
    synced = {row[5] for thread in test.threads for row in thread.code if row[0] == i.SYNC}
    domains = max(synced, default=-1) + 1
    pointed = pointed_to(test)
    rows: list[tuple[int, ...]] = []
    masks: list[tuple[int, ...]] = []
    table: list[tuple[int, ...]] = []
    at = len(test.words)
    for number, thread in enumerate(test.threads):
        own = [(k, o) for k, o in enumerate(observed) if o.thread == number]
        looked_at = sum({1 << thread.registers[o.name] for _, o in own})
        may = ahead(test, thread, looked_at, pointed)
        first = len(rows)
        for row, instruction in enumerate(thread.code):
            rows.append(_placed(instruction, row, first, synced))
            later = sum(1 << k for k, o in own if may.assigned[row] >> thread.registers[o.name] & 1)
            masks.append((may.reads[row], may.writes[row], may.rcu[row], later, may.live[row]))
        nest = at + e.S_FIXED
        sync = nest + domains
        registers = sync + (len(test.threads) if any(row[0] == i.SYNC for row in thread.code) else 0)
        capacity = 0 if model == SC else may.stores
        buffer = registers + thread.count
        table.append((at, nest, sync if registers > sync else -1, registers, thread.count, buffer, capacity))
        at = buffer + 2 * capacity
    propositions = _postfix(test.condition, test, observed)
    split = len(propositions)
    propositions += _postfix(test.filter, test, observed) if test.filter else [(e.ALL, 0, 0)]
    p = np.zeros(e.PARAMETERS, np.int64)
    p[e.P_THREADS], p[e.P_WORDS], p[e.P_SIZE] = len(test.threads), len(test.words), at
    p[e.P_MODEL], p[e.P_DOMAINS], p[e.P_OBSERVED] = model, domains, len(test.locations)
    p[e.P_LOW], p[e.P_HIGH] = BOUNDS[test.arch]
    p[e.P_LOCKS] = sum(1 << word for word in test.locks)
    p[e.P_CONDITION], p[e.P_FILTER] = split, len(propositions)
    start = np.zeros(at, np.int64)
    start[: len(test.words)] = test.initial
    first = 0
    for thread, columns in zip(test.threads, table, strict=True):
        start[columns[e.T_BASE] + e.S_PC] = first
        first += len(thread.code)
        for register, value in thread.initial.items():
            start[columns[e.T_REGISTERS] + register] = value
    places = [
        (o.thread, test.threads[o.thread].registers[o.name] if o.thread >= 0 else test.words.index(o.name))
        for o in observed
    ]
    return Encoded(
        p,
        np.array(rows, np.int64).ravel(),
        np.array(masks, np.int64).ravel(),
        np.array(table, np.int64).ravel(),
        np.array(places, np.int64).ravel(),
        np.array(propositions, np.int64).ravel(),
        start,
    )


def _placed(instruction: i.Row, row: int, first: int, synced: set[int]) -> i.Row:
    """Return an instruction with its jump counted from the beginning of all code."""
    op, d, a, b, c, k = instruction
    if op == i.JUMP:
        return op, d, a + first, b, c, k
    if op == i.JUMP_IF_ZERO:
        return op, d, a, b + first, c, k
    if op in (i.RCU_LOCK, i.RCU_UNLOCK) and k not in synced:
        return i.JUMP, 0, first + row + 1, 0, 0, 0  # nobody waits for these readers
    return instruction


def _observed(test: Test) -> list[Location]:
    """The locations that are printed, and behind them those that only the filter looks at."""
    more = sorted(set(test.filter.locations()) - set(test.locations)) if test.filter else []
    return [*test.locations, *more]


def _postfix(proposition: Proposition, test: Test, observed: list[Location]) -> list[tuple[int, int, int]]:
    if isinstance(proposition, Atom):
        left = observed.index(proposition.left)
        if isinstance(proposition.right, Location):
            rows = [(e.ATOM_LOCATION, left, observed.index(proposition.right))]
        else:
            right = proposition.right
            value = address(test.words.index(right)) if isinstance(right, str) else right
            rows = [(e.ATOM_VALUE, left, value)]
        return [*rows, (e.NEGATION, 0, 0)] if proposition.differs else rows
    if isinstance(proposition, Not):
        return [*_postfix(proposition.part, test, observed), (e.NEGATION, 0, 0)]
    assert isinstance(proposition, Several)
    rows = [row for part in proposition.parts for row in _postfix(part, test, observed)]
    return [*rows, (e.ALL if proposition.sign == "/\\" else e.ANY, len(proposition.parts), 0)]
