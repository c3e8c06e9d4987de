"""Compiled walks to an end, from states of which the search leaves open whether an end can be reached.

An end is a state in which no CPU can move, or one that breaks a check after which nothing is followed. A state in which
a CPU can take a step that does not jump back in its program, or ends the operation, leads on: programs are finite, and
so are the stores that they leave in buffers, so a walk like that comes to an end or to one of the few states, all of
whose steps jump back, that are marked `stress.explore.searching.state.NOT_ONWARD`. If an end can be reached from each
of these, it can from every state. `walk` looks for one greedily, compiled, and remembers every state that it passed;
where it gets stuck, `stress.explore.searching.endless.Onward` looks at all that can be reached.
"""

# Compiled functions have no objects to keep their arrays in.
# ruff: noqa: PLR0917

from __future__ import annotations

from typing import Any

from stress.explore.model.alone import A_ASLEEP
from stress.explore.model.check_bits import GOES_ON
from stress.explore.model.image import P_ALONE, P_CHOICES, P_CPUS, P_MOVE, P_SYMMETRY
from stress.explore.model.primitives import call_move
from stress.explore.model.symmetry import put_in_order
from stress.explore.model.transition import FINISHED, WAITS
from stress.explore.searching.state import (
    AGAIN,
    BLOCK_CHANGED,
    BLOCK_MASK,
    BLOCK_ROOM,
    BLOCKS_FULL,
    COPIES,
    FOUND,
    ROOM,
    ROW_MASK,
    ROW_ROOM,
    ROWS_FULL,
    SLEEPS,
    STATES_FULL,
    STATUS,
    TABLE_FULL,
    TABLE_SIZE,
    WIDTH,
    collect,
    hash_of_loaded,
    load_state,
    number_of,
    put_back,
)
from stress.step import helper

UNKNOWN, PASSED, REACHES, ENDLESS = range(4)
"""What is known of a state: nothing, that the present walk passed it, that it reaches an end, that it does not."""


@helper
def added(s: Any, table: Any, states: Any, parent: Any, via: Any, batch: Any, found: int, number: int, by: int) -> int:
    """Return the number of a state that the search passed over, which is kept from now on: the first of the batch."""
    slot = found & (s[TABLE_SIZE] - 1)
    while table[slot] != 0:
        slot = (slot + 1) & (s[TABLE_SIZE] - 1)
    n = s[FOUND]
    table[slot] = (found << 32) | (n + 1)
    for i in range(s[WIDTH]):
        states[n * s[WIDTH] + i] = batch[i]
    parent[n] = number
    via[n] = by
    s[FOUND] = n + 1
    s[COPIES] += 1
    return int(n)


@helper
def lacks_room(s: Any, p: Any, block_table: Any, row_table: Any) -> bool:
    """Return whether there may be no room for what a state leads to, and which is lacking: `STATUS`."""
    s[STATUS] = AGAIN
    if s[SLEEPS] != 0:
        if s[FOUND] + p[P_CHOICES] > s[ROOM]:
            s[STATUS] = STATES_FULL
        elif (s[FOUND] + p[P_CHOICES]) * 3 > s[TABLE_SIZE] * 2:
            s[STATUS] = TABLE_FULL
        elif block_table[s[BLOCK_MASK] + 1] > s[BLOCK_ROOM]:
            s[STATUS] = BLOCKS_FULL
        elif row_table[s[ROW_MASK] + 1] > s[ROW_ROOM]:
            s[STATUS] = ROWS_FULL
    return bool(s[STATUS] != AGAIN)


@helper
def successors(s: Any, p: Any, words: Any, a: Any, tables: Any, keys: Any, batch: Any, number: int, out: Any) -> int:
    """Put the numbers of the states after a state into ``out``; returns how many, 0 for an end, -1 for lack of room.

    Those that the search passed over are kept from now on.
    """
    m, g, kept_m, kept_g, w = words
    block_table, row_table, column_of, table, parent, via = tables
    if lacks_room(s, p, block_table, row_table):
        return -1
    load_state(s, m, g, kept_m, kept_g, a, number)
    out_batch = (batch, hash_of_loaded(s, a[1], keys))
    count = 0
    if s[SLEEPS] != 0:
        p[p[P_ALONE] + A_ASLEEP] = 0
    for choice in range(p[P_CHOICES]):
        bits = call_move(p[P_MOVE], p, m, g, choice)
        if bits == FINISHED:
            continue
        if bits == WAITS:
            put_back(p, m, g, kept_m, kept_g)
            continue
        if (bits & ~GOES_ON) != 0:
            put_back(p, m, g, kept_m, kept_g)
            return 0
        if p[P_SYMMETRY] != 0:
            put_in_order(p, m, g, w)
        inner = (block_table, row_table, column_of)
        found = collect(s, p, m, g, kept_m, kept_g, a, inner, keys, out_batch, number, choice % p[P_CPUS])
        if found < 0:
            put_back(p, m, g, kept_m, kept_g)
            s[STATUS] = BLOCK_CHANGED
            return -1
        after = number_of(s, table, a[0], batch, found)
        out[count] = after if after >= 0 else added(s, table, a[0], parent, via, batch, found, number, choice)
        count += 1
    return count


def walk(
    s: Any,
    p: Any,
    m: Any,
    g: Any,
    kept_m: Any,
    kept_g: Any,
    w: Any,
    states: Any,
    table: Any,
    loaded: Any,
    active: Any,
    column_of: Any,
    blocks: Any,
    block_table: Any,
    rows: Any,
    row_table: Any,
    keys: Any,
    batch: Any,
    parent: Any,
    via: Any,
    known: Any,
    path: Any,
    out: Any,
    roots: Any,
    count: int,
) -> int:
    """Walk from each root to an end; returns how many did, in order, before one got stuck or lacked room (`STATUS`).

    Arguments as of `stress.explore.searching.expand.expand`; ``known``: int8 (states,), by the constants above;
    ``path``: int32 (states,) and ``out``: int64 (choices,), scratch; the numbers of the successors of the last state
    looked at are left in ``out``, after their count. ``roots``: int64 (count,).
    """
    a = (states, loaded, active, blocks, rows)
    tables = (block_table, row_table, column_of, table, parent, via)
    words = (m, g, kept_m, kept_g, w)
    for root in range(count):
        state = roots[root]
        length = 0
        while known[state] == UNKNOWN:
            known[state] = PASSED
            path[length] = state
            length += 1
            behind = successors(s, p, words, a, tables, keys, batch, state, out)
            if behind == 0:
                known[state] = REACHES
                break
            onward = -1
            for i in range(behind):
                if known[out[i]] == REACHES:
                    onward = out[i]
                    break
                if known[out[i]] == UNKNOWN and out[i] > onward:
                    onward = out[i]
            if onward < 0:
                break
            state = onward
        reaches = known[state] == REACHES
        for i in range(length):
            known[path[i]] = REACHES if reaches else UNKNOWN
        if not reaches:
            return root
    return count


def behind(
    s: Any,
    p: Any,
    m: Any,
    g: Any,
    kept_m: Any,
    kept_g: Any,
    w: Any,
    states: Any,
    table: Any,
    loaded: Any,
    active: Any,
    column_of: Any,
    blocks: Any,
    block_table: Any,
    rows: Any,
    row_table: Any,
    keys: Any,
    batch: Any,
    parent: Any,
    via: Any,
    out: Any,
    number: int,
) -> int:
    """Call `successors` for one state, from Python."""
    a = (states, loaded, active, blocks, rows)
    tables = (block_table, row_table, column_of, table, parent, via)
    return int(successors(s, p, (m, g, kept_m, kept_g, w), a, tables, keys, batch, number, out))
