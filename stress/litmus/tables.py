"""Hash tables of the search: visited states, and final states. Called by compiled code alone."""

# Compiled functions have no objects to keep their arrays in.
# ruff: noqa: PLR0917

from __future__ import annotations

import numpy as np

from shm_layout.lowering import words
from shm_layout.words import Words
from stress.litmus.compiled import compiled
from stress.litmus.engine_numbers import C_FINALS, C_NEGATIVE, C_POSITIVE, P_OBSERVED, TRUE
from stress.litmus.judging import value_at

_ONE, _TWO = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
_SHIFT, _SHIFT_TWO = np.uint64(29), np.uint64(32)


@compiled
def hashed(s: Words, size: int, key: Words) -> None:
    """Put 128 bits of a hash of the words of a state into two of ``key``; the first is never 0."""
    a, b = np.uint64(1), np.uint64(2)
    for k in range(size):
        word = np.uint64(s[k])
        a = (a ^ word) * _ONE
        a ^= a >> _SHIFT
        b = (b + word) * _TWO
        b ^= b >> _SHIFT_TWO
    a = a * _TWO
    b = b * _ONE
    a ^= a >> _SHIFT_TWO
    b ^= b >> _SHIFT
    key[0] = np.int64(a | np.uint64(1))  # type: ignore[assignment]
    key[1] = np.int64(b)  # type: ignore[assignment]


@compiled
def is_new(visited: Words, mask: int, key: Words) -> bool:
    """Add a hash to those of visited states, a table of ``mask + 1`` pairs. Returns whether it was not there."""
    at = key[1] & mask
    while visited[2 * at] != 0:
        if visited[2 * at] == key[0] and visited[2 * at + 1] == key[1]:
            return False
        at = (at + 1) & mask
    visited[2 * at] = key[0]
    visited[2 * at + 1] = key[1]
    return True


@compiled
def add_final(
    p: Words,
    obs: Words,
    tt: Words,
    s: Words,
    ctl: Words,
    finals: Words,
    index: Words,
    mask: int,
    truth: int,
    key: Words,
) -> None:
    """Add the observed part of a final state to those found, unless it is among them.

    ``finals``: rows of `P_OBSERVED` values and the truth of the condition. ``index``: a hash table of their numbers.
    """
    count = p[P_OBSERVED]
    number = ctl[C_FINALS]
    row = words(finals, number * (count + 1))
    for k in range(count):
        row[k] = value_at(obs, tt, s, k)
    hashed(row, count, key)
    at = key[1] & mask
    while index[at] != 0:
        other = words(finals, (index[at] - 1) * (count + 1))
        same = True
        for k in range(count):
            if other[k] != row[k]:
                same = False
                break
        if same:
            return
        at = (at + 1) & mask
    index[at] = number + 1
    row[count] = truth
    ctl[C_FINALS] = number + 1
    ctl[C_POSITIVE if truth == TRUE else C_NEGATIVE] += 1


@compiled
def refill(visited: Words, mask: int, old: Words, count: int) -> int:
    """Put the hashes of a table of ``count`` pairs into a larger one, which is empty."""
    for k in range(count):
        if old[2 * k] != 0:
            is_new(visited, mask, words(old, 2 * k))
    return 0


@compiled
def reindex(finals: Words, count: int, observed: int, index: Words, mask: int, key: Words) -> int:
    """Fill an empty index of ``count`` final states."""
    for number in range(count):
        hashed(words(finals, number * (observed + 1)), observed, key)
        at = key[1] & mask
        while index[at] != 0:
            at = (at + 1) & mask
        index[at] = number + 1
    return 0
