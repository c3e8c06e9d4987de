"""What a thread may still do from each instruction on. Jumps go forward, so one pass suffices."""

from __future__ import annotations

from dataclasses import dataclass

from stress.litmus import instructions as i
from stress.litmus.instructions import FIRST_CONSTANT, constant
from stress.litmus.test import Test, Thread
from stress.litmus.values import address

_OPERANDS = {
    i.MOVE: "a",
    i.ALU: "ab",
    i.NOT: "a",
    i.JUMP: "",
    i.JUMP_IF_ZERO: "a",
    i.LOAD: "a",
    i.STORE: "ab",
    i.XCHG: "ab",
    i.CMPXCHG: "abc",
    i.FETCH: "ab",
    i.ADD_UNLESS: "abc",
    i.LOCK: "a",
    i.UNLOCK: "a",
    i.TRYLOCK: "a",
    i.IS_LOCKED: "a",
}
"""Which of an instruction's fields are operands. In an access to memory, ``a`` is the address."""
READS = frozenset((i.LOAD, i.XCHG, i.CMPXCHG, i.FETCH, i.ADD_UNLESS, i.LOCK, i.UNLOCK, i.TRYLOCK, i.IS_LOCKED))
WRITES = frozenset((i.STORE, i.XCHG, i.CMPXCHG, i.FETCH, i.ADD_UNLESS, i.LOCK, i.UNLOCK, i.TRYLOCK))
ASSIGNS = frozenset((i.MOVE, i.ALU, i.NOT, i.LOAD, i.XCHG, i.CMPXCHG, i.FETCH, i.ADD_UNLESS, i.TRYLOCK, i.IS_LOCKED))
_BUFFERED = frozenset((i.STORE, i.UNLOCK, i.RCU_UNLOCK))


def operands(row: i.Row) -> list[int]:
    """Return the operands of an instruction."""
    return [row[2 + "abc".index(field)] for field in _OPERANDS.get(row[0], "")]


@dataclass
class Ahead:
    """For each instruction of a thread, what it and those behind it may do. Sets are the bits of a number."""

    reads: list[int]
    """Words that are read."""
    writes: list[int]
    """Words that are written."""
    rcu: list[int]
    """1 where it is looked which RCU readers there are, else 0."""
    assigned: list[int]
    """Registers that are assigned to."""
    live: list[int]
    """Registers whose values matter."""
    stores: int
    """Stores that can be in the buffer at once, at most; ends of readers count."""


def pointed_to(test: Test) -> int:
    """Return the words that a pointer may lead to: those whose address is a value anywhere."""
    known = {constant(address(word)): word for word in range(len(test.words))}
    values = {address(word): word for word in range(len(test.words))}
    found = {values[v] for v in test.initial if v in values}
    for thread in test.threads:
        found |= {values[v] for v in thread.initial.values() if v in values}
        for row in thread.code:
            given = operands(row)
            if row[0] > i.LAST_LOCAL:
                given = given[1:]
            found |= {known[operand] for operand in given if operand in known}
    return sum(1 << word for word in found)


def ahead(test: Test, thread: Thread, observed: int, pointed: int) -> Ahead:
    """Return what a thread may do. ``observed``: the registers that are looked at in the end, as bits."""
    known = {constant(address(word)): 1 << word for word in range(len(test.words))}
    count = len(thread.code)
    reads, writes, rcu, assigned, stores = ([0] * count for _ in range(5))
    live = [observed] * count
    for at in reversed(range(count)):
        row = thread.code[at]
        op = row[0]
        behind = [] if op == i.HALT else [row[2]] if op == i.JUMP else [at + 1]
        if op == i.JUMP_IF_ZERO:
            behind.append(row[3])
        words = (known.get(row[2], 0) or pointed) if op > i.LAST_LOCAL and _OPERANDS.get(op) else 0
        reads[at] = _union(reads, behind) | (words if op in READS else 0)
        writes[at] = _union(writes, behind) | (words if op in WRITES else 0)
        rcu[at] = _union(rcu, behind) | (op == i.SYNC)
        assigned[at] = _union(assigned, behind) | (1 << row[1] if op in ASSIGNS else 0)
        stores[at] = max((stores[b] for b in behind), default=0) + (op in _BUFFERED)
        alive = observed if op == i.HALT else _union(live, behind)
        if op in ASSIGNS:
            alive &= ~(1 << row[1])
        for operand in operands(row):
            if operand < FIRST_CONSTANT:
                alive |= 1 << operand
        live[at] = alive
    return Ahead(reads, writes, rcu, assigned, live, stores[0])


def _union(sets: list[int], at: list[int]) -> int:
    result = 0
    for k in at:
        result |= sets[k]
    return result
