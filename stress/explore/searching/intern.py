"""Rows of words, each kept once and known by a number: what a state is made of (collapse compression, Holzmann 1997).

An arena is an array of rows of equal width. Its table holds for each row the upper 32 bits of the row's hash and,
below them, the row's number + 1; it has a power of two of entries, is never more than half full, and is probed
linearly; ``mask`` is the number of its entries - 1, and the word after the last entry says how many rows there are.
Nothing here is ever removed.

Several threads may add rows to one arena at a time: who sets an empty entry has the row's number to give, and the
others wait for it. So the numbers depend on who came first. Nothing follows from them but which rows are equal.
"""

# Compiled functions have no objects to keep their arrays in.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shm_layout.atomic import cmpxchg, cpu_relax, fetch_add, load, store
from shm_layout.words import Words
from stress.step import helper

LOW = 0xFFFFFFFF
BEING_ADDED = LOW
"""In the place of a row's number + 1: a thread is about to put the row there."""
MIX = -7046029254386353131
"""An odd number with well-spread bits: 2**64 / golden ratio, signed."""


@helper
def differ(one: Any, at: int, other: Any, place: int, count: int) -> bool:
    """Return whether these words of one array, from ``at``, and of another, from ``place``, differ; no branch."""
    different = 0
    for i in range(count):
        different |= one[at + i] ^ other[place + i]
    return different != 0


def interning(width: int) -> Callable[[Any, Any, int, Any, Words], int]:
    """Return a function that interns rows of ``width`` words; compiled for that width, its loops are short."""

    @helper
    def row_hash(keys: Any, words: Words) -> int:
        """Return 32 bits of hash of a row: NH of UMAC (Black et al., CRYPTO 1999), which vectorizes."""
        total = 0
        for i in range(width):
            x = words[i] + keys[i]
            total += (x & LOW) * ((x >> 32) & LOW)
        total ^= (total >> 32) & LOW
        return ((total * MIX) >> 32) & LOW

    @helper
    def intern_row(arena: Any, table: Any, mask: int, keys: Any, words: Words) -> int:
        """Return the number of the row with these words, which is added if it is not there."""
        found = row_hash(keys, words)
        slot = found & mask
        while True:
            entry = load(table, slot)
            if entry == 0:
                entry = cmpxchg(table, slot, 0, (found << 32) | BEING_ADDED)
                if entry == 0:
                    number = fetch_add(table, mask + 1, 1)
                    for i in range(width):
                        arena[number * width + i] = words[i]
                    store(table, slot, (found << 32) | (number + 1))
                    return int(number)
            if ((entry >> 32) & LOW) == found:
                while (entry & LOW) == BEING_ADDED:
                    cpu_relax()
                    entry = load(table, slot)
                row = (entry & LOW) - 1
                if not differ(arena, row * width, words, 0, width):
                    return int(row)
            slot = (slot + 1) & mask

    return intern_row


@helper
def rehash(old: Any, size: int, new: Any, mask: int) -> None:
    """Enter what a table of ``size`` entries holds into an empty larger one. Slots are the lower bits of the hash."""
    new[mask + 1] = old[size]
    for i in range(size):
        entry = old[i]
        if entry != 0:
            slot = (entry >> 32) & mask
            while new[slot] != 0:
                slot = (slot + 1) & mask
            new[slot] = entry
