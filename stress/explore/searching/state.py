"""A state as it is stored: numbers in words, its hash, and the way into the memory and back.

A state is a row of numbers: one for each block of `BLOCK` words of the memory that ever changes, one for the
registers of each CPU; each names a row that `stress.explore.searching.intern` keeps. The numbers take 16 bits each, and
32 once there are more than 2**16 rows of a kind; they are looked at as words of 64 bits. Compiled with the engine,
whose words and results are numbered here, too.
"""

# Compiled functions have no objects to keep their arrays in.
# ruff: noqa: PLR0917

from __future__ import annotations

from typing import Any

from shm_layout.registers import R_FILE_HIGH, R_RSS_LOW
from shm_layout.structs import FIRST_WORD
from stress.explore.model.image import (
    MOST_CHOICES,
    P_ALONG,
    P_CPUS,
    P_RACED,
    P_READS,
    P_SYMMETRY,
    P_WORDS,
    STRIDE,
)
from stress.explore.model.primitives import window
from stress.explore.searching.intern import LOW, MIX, differ, interning
from stress.step import helper

BLOCK = 8
"""Words of a block: a cache line."""
NOT_ONWARD, CHOICE_OF_VIA = -(1 << 15), (1 << 15) - 1
"""`via` names a choice (`stress.explore.model.transition.move`), and its sign bit a state that is no end and all of
whose steps jump back in their programs."""
SMALL = {"parent": "int32", "via": "int16", "sleep": "int32", "known": "int8", "path": "int32"}
"""Sizes of numbers in those arrays that are not of words, by the names of the arguments of compiled functions."""
BATCH = MOST_CHOICES
"""New states that are looked up together."""
ORIGIN = 4
"""Words that are kept of each: its hash, the state and the choice that led to it, the CPUs that sleep in it."""
GROUP = 4
"""Blocks that are looked at together for a change: the memory is padded to a multiple of them."""

intern_block, intern_registers = interning(BLOCK), interning(STRIDE)

# words of the search's own state ``s``
CUR, FOUND, TRANSITIONS, LEVEL_END, DEPTH, PENDING, WANTED, STOP_FIRST, STATUS, NEW_BLOCK, COLUMNS = range(11)
ACTIVE, ROOM, TABLE_SIZE, BLOCK_ROOM, BLOCK_MASK, ROW_ROOM, ROW_MASK, BUDGET, PREEMPTIONS = range(11, 20)
WIDTH, BITS, APART, STOP_WHEN = 20, 21, 22, 23
SLEEPS, COPIES = 24, 25
"""Words that a state takes; bits of each of its numbers; 1 where what a part of a level leads to is kept in a batch
that has room for all of it, to be looked up apart (`stress.explore.searching.jobs`); checks, as bits, with the last of
which the search ends; 1 where it is noted which CPUs sleep; how many states were not found: they stand there once
more, for that some CPUs no longer sleep, or are kept for a walk to an end."""
S_WORDS = 26

# why `expand` returned
AGAIN, DONE, STATES_FULL, TABLE_FULL, BLOCKS_FULL, ROWS_FULL, BLOCK_CHANGED, STOPPED = range(8)
RULE_BROKEN, LEARNED = 8, 9


@helper
def state_number(states: Any, at: int, bits: int, column: int) -> int:
    """Return the number in a column of the state that begins at word ``at``."""
    place = column * bits
    return int((states[at + (place >> 6)] >> (place & 63)) & ((1 << bits) - 1))


@helper
def load_state(s: Any, m: Any, g: Any, kept_m: Any, kept_g: Any, a: Any, number: int) -> None:
    """Copy a state into the memory and the registers, and into what they are put back from."""
    states, loaded, active, blocks, rows = a
    columns, changing = s[COLUMNS], s[ACTIVE]
    first, bits = number * s[WIDTH], s[BITS]
    for column in range(columns):
        row = state_number(states, first, bits, column)
        if row == loaded[column]:
            continue
        loaded[column] = row
        if column < changing:
            to = FIRST_WORD + active[column] * BLOCK
            for i in range(BLOCK):
                m[to + i] = blocks[row * BLOCK + i]
                kept_m[to + i] = blocks[row * BLOCK + i]
        else:
            to = (column - changing) * STRIDE
            for i in range(STRIDE):
                g[to + i] = rows[row * STRIDE + i]
                kept_g[to + i] = rows[row * STRIDE + i]


@helper
def put_back(p: Any, m: Any, g: Any, kept_m: Any, kept_g: Any) -> None:
    """Put memory and registers back as they were kept: a transition is undone, or a walk begins anew."""
    for i in range(FIRST_WORD, p[P_WORDS]):
        m[i] = kept_m[i]
    for i in range(p[P_CPUS] * STRIDE):
        g[i] = kept_g[i]


@helper
def spread(total: int) -> int:
    """Return 32 bits of hash from the sum over the columns of number times key."""
    return (((total ^ ((total >> 29) & LOW)) * MIX) >> 32) & LOW


@helper
def hash_of_loaded(s: Any, loaded: Any, keys: Any) -> int:
    """Return the sum over the columns of number times key, of the state that is loaded."""
    total = 0
    for i in range(s[COLUMNS]):
        total += loaded[i] * keys[i]
    return total


@helper
def number_of(s: Any, table: Any, states: Any, batch: Any, found: int) -> int:
    """Return the number of a state that is known: the first of the batch, with this hash; -1 for one that is not."""
    width, mask = s[WIDTH], s[TABLE_SIZE] - 1
    slot = found & mask
    while True:
        entry = table[slot]
        if entry == 0:
            return -1
        if ((entry >> 32) & LOW) == found:
            n = (entry & LOW) - 1
            if not differ(states, n * width, batch, 0, width):
                return int(n)
        slot = (slot + 1) & mask


@helper
def renumber(state: Any, base: int, bits: int, column: int, by: int) -> int:
    """Add ``by`` to the number in a column of the state that begins at word ``base``; returns ``by``."""
    state[base + (column * bits >> 6)] += by << (column * bits & 63)
    return by


@helper
def collect(
    s: Any,
    p: Any,
    m: Any,
    g: Any,
    kept_m: Any,
    kept_g: Any,
    a: Any,
    tables: Any,
    keys: Any,
    out: Any,
    cur: int,
    cpu: int,
) -> int:
    """Put the state that CPU ``cpu`` led to from state ``cur`` into the batch, and the memory back.

    Returns its hash, -1 when a block has changed that has no column yet.
    """
    states, loaded, _, blocks, rows = a
    block_table, row_table, column_of = tables
    batch, state_hash = out
    width, bits = s[WIDTH], s[BITS]
    base, before = s[PENDING] * width, cur * width
    for i in range(width):
        batch[base + i] = states[before + i]
    for group in range(FIRST_WORD, p[P_WORDS], GROUP * BLOCK):
        # A bound that the compiler does not know: a loop of 32 turns is unrolled, and then not made a vector's.
        if not differ(m, group, kept_m, group, min(GROUP * BLOCK, p[P_WORDS] - group)):
            continue
        for at in range(group, group + GROUP * BLOCK, BLOCK):
            if not differ(m, at, kept_m, at, BLOCK):
                continue
            block = (at - FIRST_WORD) // BLOCK
            column = column_of[block]
            if column < 0:
                s[NEW_BLOCK] = block
                return -1
            row = intern_block(blocks, block_table, s[BLOCK_MASK], keys, window(m, at))
            state_hash += renumber(batch, base, bits, column, row - loaded[column]) * keys[column]
            for i in range(BLOCK):
                m[at + i] = kept_m[at + i]
    only_own = p[P_RACED] == 0 and p[P_SYMMETRY] == 0 and s[PREEMPTIONS] < 0 and p[P_ALONG] == 0
    for other in range(p[P_CPUS]):
        at = other * STRIDE
        if other != cpu and only_own:
            # Of another CPU a transition changes the interval of the read that it is in, and nothing else.
            interval = at + R_RSS_LOW
            if p[P_READS] == 0 or not differ(g, interval, kept_g, interval, R_FILE_HIGH - R_RSS_LOW + 1):
                continue
        if differ(g, at, kept_g, at, STRIDE):
            column = s[ACTIVE] + other
            row = intern_registers(rows, row_table, s[ROW_MASK], keys, window(g, at))
            state_hash += renumber(batch, base, bits, column, row - loaded[column]) * keys[column]
            for i in range(STRIDE):
                g[at + i] = kept_g[at + i]
    return spread(state_hash)


def reindex(s: Any, states: Any, keys: Any, count: int, table: Any, mask: int) -> None:
    """Enter the first ``count`` states into an empty table; of those that stand there twice the last."""
    width = s[WIDTH]
    for n in range(count):
        total = 0
        for i in range(s[COLUMNS]):
            total += state_number(states, n * s[WIDTH], s[BITS], i) * keys[i]
        found = spread(total)
        slot = found & mask
        while table[slot] != 0:
            entry = table[slot]
            same = ((entry >> 32) & LOW) == found
            if s[SLEEPS] != 0 and same and not differ(states, ((entry & LOW) - 1) * width, states, n * width, width):
                break
            slot = (slot + 1) & mask
        table[slot] = (found << 32) | (n + 1)
