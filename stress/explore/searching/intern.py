"""Rows of words, each kept once and known by a number: what a state is made of (collapse compression, Holzmann 1997).

An arena is an array of rows of equal width. Its table holds for each row the upper 32 bits of the row's hash and,
below them, the row's number + 1; it has a power of two of entries, is never more than half full, and is probed
linearly; ``mask`` is the number of its entries - 1. Nothing here is ever removed.
"""

# Compiled functions have no objects to keep their arrays in.
# ruff: noqa: PLR0917

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shm_layout.words import Words
from stress.step import helper

LOW = 0xFFFFFFFF
MIX = -7046029254386353131
"""An odd number with well-spread bits: 2**64 / golden ratio, signed."""


@helper
def differ(one: Any, at: int, other: Any, place: int, count: int) -> bool:
    """Return whether these words of one array, from ``at``, and of another, from ``place``, differ; no branch."""
    different = 0
    for i in range(count):
        different |= one[at + i] ^ other[place + i]
    return different != 0


def interning(width: int) -> Callable[[Any, Any, int, Any, Words, int], int]:
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
    def intern_row(arena: Any, table: Any, mask: int, keys: Any, words: Words, count: int) -> int:
        """Return the number of the row with these words; ``count``, that of rows so far, when it was just added."""
        found = row_hash(keys, words)
        slot = found & mask
        while True:
            entry = table[slot]
            if entry == 0:
                table[slot] = (found << 32) | (count + 1)
                for i in range(width):
                    arena[count * width + i] = words[i]
                return count
            if ((entry >> 32) & LOW) == found:
                row = (entry & LOW) - 1
                if not differ(arena, row * width, words, 0, width):
                    return int(row)
            slot = (slot + 1) & mask

    return intern_row


@helper
def rehash(old: Any, size: int, new: Any, mask: int) -> None:
    """Enter what a table of ``size`` entries holds into an empty larger one. Slots are the lower bits of the hash."""
    for i in range(size):
        entry = old[i]
        if entry != 0:
            slot = (entry >> 32) & mask
            while new[slot] != 0:
                slot = (slot + 1) & mask
            new[slot] = entry
