"""The instructions that litmus tests are translated into: rows of six numbers, ``op d a b c k``.

``d`` is a register that is written. ``a``, ``b`` and ``c`` are operands: a register, or `constant` of a value.
Instructions up to `LAST_LOCAL` touch registers alone; each of the others makes one access to memory, or waits.
"""

from __future__ import annotations

CONSTANT = 1 << 62
"""Operands from about here on are constants."""
FIRST_CONSTANT = 1 << 60
"""The least operand that is a constant."""


def constant(value: int) -> int:
    """Return the operand that stands for a value, a number or an address."""
    return CONSTANT + value


MOVE = 0
"""d = a"""
ALU = 1
"""d = a <k> b; k names the operation"""
NOT = 2
"""d = !a"""
JUMP = 3
"""go on at a"""
JUMP_IF_ZERO = 4
"""go on at b if a is 0"""
HALT = 5
"""the thread ends"""
LAST_LOCAL = HALT

LOAD = 10
"""d = *a"""
STORE = 11
"""*a = b; k: 1 for a release"""
XCHG = 12
"""d = *a, *a = b, at once"""
CMPXCHG = 13
"""d = *a, and if that is b, *a = c, at once"""
FETCH = 14
"""d = *a, *a = *a <k> b, at once"""
ADD_UNLESS = 15
"""d = *a differs from c, and if so, *a += b, at once"""
FENCE = 16
"""wait until all own stores are in memory"""
WMB = 17
"""stores behind it reach memory after those before it"""
LOCK = 18
"""wait until the lock a is free, and take it"""
UNLOCK = 19
"""release the lock a"""
TRYLOCK = 20
"""take the lock a if it is free; d says whether"""
IS_LOCKED = 21
"""d says whether the lock a is held"""
RCU_LOCK = 22
"""a reader begins; k: the domain, 0 for RCU, others for SRCU"""
RCU_UNLOCK = 23
"""a reader ends; k: the domain"""
SYNC = 24
"""look which readers there are; k: the domain"""
SYNC_WAIT = 25
"""wait until these have ended, and their stores are in memory; k: the domain"""

ADD, SUB, MUL, DIV, MOD, AND, OR, XOR, SHIFT_LEFT, SHIFT_RIGHT = range(10)
"""Kinds of arithmetic, for ALU and FETCH."""
EQUAL, DIFFER, LESS, LESS_OR_EQUAL, GREATER, GREATER_OR_EQUAL = range(10, 16)
"""Kinds of comparison, for ALU: 1 or 0."""
WRAP = 16
"""The left operand as a signed number of as many bits as the right says, for ALU."""
REPLACE = 17
"""The right operand, for FETCH: an exchange."""

Row = tuple[int, int, int, int, int, int]
