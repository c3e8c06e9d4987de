"""Breadth-first search over states, compiled: `expand` takes states from the queue until it must stop.

States (`stress.explore.searching.state`) lie one after another in the order in which they were found, which is the
queue. To visit a state its blocks are copied into the memory ``m`` (only those that differ from the state before), each
CPU takes its transition there, blocks that changed are interned, and the memory is put back from its copy. New states
are looked up in batches, so that their cache misses overlap.
"""

# Compiled functions have no objects to keep their arrays in.
# ruff: noqa: PLR0917

from __future__ import annotations

from typing import Any

from shm_layout.record import FAULT
from shm_layout.registers import R_PC
from stress.explore.model.at_rest import at_rest, judge_rest
from stress.explore.model.check_bits import GOES_ON, NAMES, PROGRESS, wanted_at_rest, wanted_of_step
from stress.explore.model.image import (
    P_ALONG,
    P_CHOICES,
    P_CPUS,
    P_LEARNED,
    P_MOVE,
    P_RECORD,
    P_RECORDED,
    P_SYMMETRY,
    P_WATCHED,
    R_DONE,
    R_LAST,
    R_PREEMPTED,
    STRIDE,
)
from stress.explore.model.primitives import call_move, prefetch, window
from stress.explore.model.rules import first_torn, forget_accesses
from stress.explore.model.symmetry import put_in_order
from stress.explore.model.transition import FINISHED, REFUSED, WAITS
from stress.explore.searching.intern import LOW, differ
from stress.explore.searching.state import (
    AGAIN,
    APART,
    BATCH,
    BLOCK_CHANGED,
    BLOCK_MASK,
    BLOCK_ROOM,
    BLOCKS_FULL,
    BUDGET,
    CHOICE_OF_VIA,
    CUR,
    DEPTH,
    DONE,
    FOUND,
    LEARNED,
    LEVEL_END,
    NOT_ONWARD,
    PENDING,
    PREEMPTIONS,
    ROOM,
    ROW_MASK,
    ROW_ROOM,
    ROWS_FULL,
    RULE_BROKEN,
    STATES_FULL,
    STATUS,
    STOP_FIRST,
    STOP_WHEN,
    STOPPED,
    TABLE_FULL,
    TABLE_SIZE,
    TRANSITIONS,
    WANTED,
    WIDTH,
    collect,
    hash_of_loaded,
    load_state,
    put_back,
)
from stress.step import helper

CHECK_COUNT = len(NAMES)


@helper
def note_broken(found: Any, bits: int, state: int, choice: int, length: int) -> None:
    """Keep the shortest way to break each check: the state, the choice there (-1: it is at rest)."""
    for check in range(CHECK_COUNT):
        if (bits >> check) & 1 and (found[3 * check] < 0 or found[3 * check + 2] > length):
            found[3 * check] = state
            found[3 * check + 1] = choice
            found[3 * check + 2] = length


@helper
def is_enough(s: Any, found: Any) -> bool:
    """Return whether the checks were broken that the search looks for: any, or all of some."""
    broken = 0
    for check in range(CHECK_COUNT):
        broken |= (found[3 * check] >= 0) << check
    if s[STOP_FIRST] != 0:
        return broken != 0
    return bool(s[STOP_WHEN] != 0 and (s[STOP_WHEN] & ~broken) == 0)


@helper
def advanced(g: Any, cpu: int) -> int:
    """Return how far a CPU has come: more with every step that does not jump back and every operation that ends."""
    r = cpu * STRIDE
    return int((g[r + R_DONE] << 32) + g[r + R_PC])


@helper
def last_goes_on(s: Any, p: Any, m: Any, g: Any) -> int:
    """With bounded preemptions: the CPU that moved last, if it could go on; else -1. It has moved then."""
    if s[PREEMPTIONS] < 0 or g[R_LAST] == 0:
        return -1
    bits = call_move(p[P_MOVE], p, m, g, g[R_LAST] - 1)
    if bits in (FINISHED, WAITS, REFUSED):
        return -1
    return int(g[R_LAST] - 1)


@helper
def flush(s: Any, table: Any, states: Any, parent: Any, via: Any, batch: Any, origin: Any) -> None:
    """Look up the states of a batch; those not known are put at the end of the queue, as far as there is room.

    Does nothing for a part of a level, whose batch is kept.
    """
    if s[APART] != 0:
        return
    mask = s[TABLE_SIZE] - 1
    width = s[WIDTH]
    pending = s[PENDING]
    for b in range(pending):
        found = origin[3 * b]
        entry = table[found & mask]
        if entry != 0 and ((entry >> 32) & LOW) == found:
            prefetch(states, ((entry & LOW) - 1) * width)
    for b in range(pending):
        found = origin[3 * b]
        slot = found & mask
        while True:
            entry = table[slot]
            if entry == 0:
                n = s[FOUND]
                if n == s[ROOM]:
                    s[STATUS] = STATES_FULL
                    break
                table[slot] = (found << 32) | (n + 1)
                for i in range(width):
                    states[n * width + i] = batch[b * width + i]
                parent[n] = origin[3 * b + 1]
                via[n] = origin[3 * b + 2] + NOT_ONWARD
                s[FOUND] = n + 1
                break
            if ((entry >> 32) & LOW) == found:
                n = (entry & LOW) - 1
                if not differ(states, n * width, batch, b * width, width):
                    break
            slot = (slot + 1) & mask
    s[PENDING] = 0


def expand(
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
    origin: Any,
    found: Any,
) -> int:
    """Visit up to ``s[BUDGET]`` states; returns why it stopped, which is also word `STATUS` of ``s``.

    ``s``: int64 (S_WORDS,), where the search stands; it goes on from there at the next call. ``p``, ``m``, ``g``,
    ``kept_m``, ``kept_g``, ``w``: words. ``states``: int64 (room, width); ``parent`` int32 and ``via`` int16
    (room,): from which state, by which choice. ``table``: int64. ``loaded``: int64 (columns,), the state now in ``m``.
    ``active``: blocks that have a column; ``column_of``: the column of each block, -1 for none. ``batch``: int64
    (BATCH, width); ``origin``: int64 (BATCH, 3): hash, state, choice. ``found``: int64 (checks, 3): state, choice
    and length of the shortest way to break each check. All are passed as pointers to the first element; the sizes are
    words of ``s``.
    """
    cpus = p[P_CPUS]
    choices = p[P_CHOICES]
    a = (states, loaded, active, blocks, rows)
    tables = (block_table, row_table, column_of)
    s[STATUS] = AGAIN
    for _ in range(s[BUDGET]):
        cur = s[CUR]
        if s[APART] != 0:
            if cur == s[LEVEL_END]:
                s[STATUS] = DONE
                return DONE
        elif s[PENDING] + choices > BATCH or cur == s[LEVEL_END]:
            flush(s, table, states, parent, via, batch, origin)
            if s[STATUS] == STATES_FULL:
                return STATES_FULL
        if cur == s[LEVEL_END]:
            if s[FOUND] == cur:
                s[STATUS] = DONE
                return DONE
            if is_enough(s, found):
                s[STATUS] = STOPPED
                return STOPPED
            s[LEVEL_END] = s[FOUND]
            s[DEPTH] += 1
        if s[APART] == 0 and (s[FOUND] + BATCH) * 3 > s[TABLE_SIZE] * 2:
            s[STATUS] = TABLE_FULL
        elif block_table[s[BLOCK_MASK] + 1] > s[BLOCK_ROOM]:
            s[STATUS] = BLOCKS_FULL
        elif row_table[s[ROW_MASK] + 1] > s[ROW_ROOM]:
            s[STATUS] = ROWS_FULL
        if s[STATUS] != AGAIN:
            break
        load_state(s, m, g, kept_m, kept_g, a, cur)
        base_hash = hash_of_loaded(s, loaded, keys)
        if at_rest(p, m, g):
            note_broken(found, wanted_at_rest(judge_rest(p, m, g, w), s[WANTED]), cur, -1, s[DEPTH])
        if p[P_WATCHED] != 0:
            for cpu in range(cpus):
                forget_accesses(p, cpu)
        waiting = 0
        moved = 0
        along = 0
        onward = False
        goes_on = last_goes_on(s, p, m, g)
        if s[PREEMPTIONS] >= 0:
            put_back(p, m, g, kept_m, kept_g)
        for choice in range(choices):
            steps = choice < cpus  # else a store leaves the buffer of its CPU, which is no preemption
            cpu = choice if steps else choice % cpus
            preempts = steps and goes_on >= 0 and cpu != goes_on
            if preempts and g[R_PREEMPTED] == s[PREEMPTIONS]:
                continue
            before = advanced(g, cpu)
            bits = call_move(p[P_MOVE], p, m, g, choice)
            if bits == FINISHED:
                continue
            if bits == REFUSED:
                break
            if bits == WAITS:
                waiting += 1
                put_back(p, m, g, kept_m, kept_g)
            else:
                moved += 1
                along += p[P_ALONG]
                onward |= not steps or advanced(g, cpu) > before
                if bits != 0:
                    note_broken(found, wanted_of_step(bits, s[WANTED]), cur, choice, s[DEPTH] + 1)
                if (bits & ~GOES_ON) != 0:
                    onward = True
                    put_back(p, m, g, kept_m, kept_g)
                    continue
                if p[P_SYMMETRY] != 0:
                    put_in_order(p, m, g, w)
                if s[PREEMPTIONS] >= 0 and steps:
                    g[R_LAST] = cpu + 1
                    g[R_PREEMPTED] += preempts
                out = (batch, base_hash)
                hashed = collect(s, p, m, g, kept_m, kept_g, a, tables, keys, out, cur, cpu)
                if hashed < 0:
                    put_back(p, m, g, kept_m, kept_g)
                    flush(s, table, states, parent, via, batch, origin)
                    if s[STATUS] == AGAIN:
                        s[STATUS] = BLOCK_CHANGED
                    return int(s[STATUS])
                b = s[PENDING]
                origin[3 * b] = hashed
                origin[3 * b + 1] = cur
                origin[3 * b + 2] = choice
                s[PENDING] = b + 1
                if s[APART] == 0:
                    prefetch(table, hashed & (s[TABLE_SIZE] - 1))
        wrong = p[P_RECORDED] != 0 and p[p[P_RECORD] + FAULT] != 0
        if wrong or (p[P_WATCHED] != 0 and first_torn(p, m) >= 0):
            s[STATUS] = RULE_BROKEN
            return RULE_BROKEN
        if p[P_LEARNED] != 0:
            s[STATUS] = LEARNED
            return LEARNED
        if moved == 0 and waiting != 0:
            note_broken(found, PROGRESS, cur, -1, s[DEPTH])
        if onward or moved == 0:
            via[cur] &= CHOICE_OF_VIA
        s[TRANSITIONS] += moved + along
        s[CUR] = cur + 1
    flush(s, table, states, parent, via, batch, origin)
    return int(s[STATUS])


def look_up(
    s: Any,
    states: Any,
    table: Any,
    parent: Any,
    via: Any,
    batch: Any,
    origin: Any,
    count: int,
) -> int:
    """Look up ``count`` states of a batch that was kept (`APART`), as `flush` does; returns how many were looked up.

    Ends early when the table must grow, and when there is no room for more states (`STATES_FULL`).
    """
    mask = s[TABLE_SIZE] - 1
    done = 0
    s[STATUS] = AGAIN
    while done < count and s[STATUS] == AGAIN:
        if (s[FOUND] + BATCH) * 3 > s[TABLE_SIZE] * 2:
            s[STATUS] = TABLE_FULL
            break
        part = min(BATCH, count - done)
        for b in range(done, done + part):
            prefetch(table, origin[3 * b] & mask)
        s[PENDING] = part
        flush(s, table, states, parent, via, window(batch, done * s[WIDTH]), window(origin, 3 * done))
        done += part
    return done
