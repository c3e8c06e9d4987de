"""Breadth-first search over states, compiled: `expand` takes states from the queue until it must stop.

A state is a row of numbers: one for each block of `BLOCK` words of the memory that ever changes, one for the
registers of each CPU; each names a row that `stress.explore.intern` keeps. The numbers take 16 bits each, and 32 once
there are more than 2**16 rows of a kind; they are looked at as words of 64 bits. States lie one behind another in the
order in which they were found, which is the queue. To visit a state its blocks are copied into the memory ``m`` (only
those that differ from the state before), each CPU takes its transition there, blocks that changed are interned, and
the memory is put back from its copy. New states are looked up in batches, so that their cache misses overlap.
"""

# Compiled functions have no objects to keep their arrays in.
# ruff: noqa: PLR0917

from __future__ import annotations

from typing import Any

from shm_layout.structs import FIRST_WORD
from stress.explore.at_rest import at_rest, judge_rest
from stress.explore.calls import prefetch, window
from stress.explore.image import P_CPUS, P_READS, P_SYMMETRY, P_WORDS, R_LAST, R_PREEMPTED, STRIDE
from stress.explore.intern import LOW, MIX, interning
from stress.explore.symmetry import put_in_order
from stress.explore.transition import FINISHED, WAITS, transition
from stress.explore.verdict import GOES_ON, NAMES, PROGRESS
from stress.step import helper

BLOCK = 8
"""Words of a block: a cache line."""
NOT_ONWARD, CPU_OF_VIA = -128, 127
"""`via` names a CPU, and its sign bit a state that is no end and that nothing leads on from to a later level."""
BATCH = 256
"""New states that are looked up together."""
GROUP = 4
"""Blocks that are looked at together for a change: the memory is padded to a multiple of them."""
CHECK_COUNT = len(NAMES)

intern_block, intern_registers = interning(BLOCK), interning(STRIDE)

# words of the search's own state ``s``
CUR, FOUND, TRANSITIONS, LEVEL_END, DEPTH, BLOCKS, ROWS, PENDING, WANTED, STOP_FIRST, STATUS, NEW_BLOCK = range(12)
COLUMNS, ACTIVE, ROOM, TABLE_SIZE, BLOCK_ROOM, BLOCK_MASK, ROW_ROOM, ROW_MASK, BUDGET, PREEMPTIONS = range(12, 22)
WIDTH, BITS = 22, 23
"""Words that a state takes; bits of each of its numbers."""
S_WORDS = 24

# why `expand` returned
AGAIN, DONE, STATES_FULL, TABLE_FULL, BLOCKS_FULL, ROWS_FULL, BLOCK_CHANGED, STOPPED = range(8)


@helper
def state_number(states: Any, at: int, bits: int, column: int) -> int:
    """The number in a column of the state that begins at word ``at``."""
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
    """Undo a transition that is not followed."""
    for i in range(FIRST_WORD, p[P_WORDS]):
        m[i] = kept_m[i]
    for i in range(p[P_CPUS] * STRIDE):
        g[i] = kept_g[i]


@helper
def note_broken(s: Any, found: Any, bits: int, state: int, cpu: int, length: int) -> None:
    """Keep the shortest way to break each check: the state, the CPU that moves from it (-1: it is at rest)."""
    bits &= s[WANTED]
    for check in range(CHECK_COUNT):
        if (bits >> check) & 1 and (found[3 * check] < 0 or found[3 * check + 2] > length):
            found[3 * check] = state
            found[3 * check + 1] = cpu
            found[3 * check + 2] = length


@helper
def any_broken(found: Any) -> bool:
    """Whether a check was broken."""
    broken = 0
    for check in range(CHECK_COUNT):
        broken += found[3 * check] >= 0
    return broken != 0


@helper
def last_goes_on(s: Any, p: Any, m: Any, g: Any) -> int:
    """With bounded preemptions: the CPU that moved last, if it could go on; else -1. It has moved then."""
    if s[PREEMPTIONS] < 0 or g[R_LAST] == 0:
        return -1
    bits = transition(p, m, g, g[R_LAST] - 1)
    if bits in (FINISHED, WAITS):
        return -1
    return int(g[R_LAST] - 1)


@helper
def flush(s: Any, table: Any, states: Any, parent: Any, via: Any, batch: Any, origin: Any) -> None:
    """Look up the states of a batch; those not known are put at the end of the queue, as far as there is room."""
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
                via[origin[3 * b + 1]] &= CPU_OF_VIA
                s[FOUND] = n + 1
                break
            if ((entry >> 32) & LOW) == found:
                n = (entry & LOW) - 1
                different = 0
                for i in range(width):
                    different |= states[n * width + i] ^ batch[b * width + i]
                if different == 0:
                    if n >= s[LEVEL_END]:
                        via[origin[3 * b + 1]] &= CPU_OF_VIA
                    break
            slot = (slot + 1) & mask
    s[PENDING] = 0


@helper
def spread(total: int) -> int:
    """32 bits of hash from the sum over the columns of number times key."""
    return (((total ^ ((total >> 29) & LOW)) * MIX) >> 32) & LOW


@helper
def hash_of_loaded(s: Any, loaded: Any, keys: Any) -> int:
    """The sum over the columns of number times key, of the state that is loaded."""
    total = 0
    for i in range(s[COLUMNS]):
        total += loaded[i] * keys[i]
    return total


@helper
def number_of(s: Any, table: Any, states: Any, batch: Any, found: int) -> int:
    """The number of a state that is known: the first of the batch, with this hash."""
    width, mask = s[WIDTH], s[TABLE_SIZE] - 1
    slot = found & mask
    while True:
        entry = table[slot]
        if ((entry >> 32) & LOW) == found:
            n = (entry & LOW) - 1
            different = 0
            for i in range(width):
                different |= states[n * width + i] ^ batch[i]
            if different == 0:
                return int(n)
        slot = (slot + 1) & mask


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
        different = 0
        for i in range(GROUP * BLOCK):
            different |= m[group + i] ^ kept_m[group + i]
        if different == 0:
            continue
        for at in range(group, group + GROUP * BLOCK, BLOCK):
            different = 0
            for i in range(BLOCK):
                different |= m[at + i] ^ kept_m[at + i]
            if different == 0:
                continue
            block = (at - FIRST_WORD) // BLOCK
            column = column_of[block]
            if column < 0:
                s[NEW_BLOCK] = block
                return -1
            row = intern_block(blocks, block_table, s[BLOCK_MASK], keys, window(m, at), s[BLOCKS])
            s[BLOCKS] += row == s[BLOCKS]
            state_hash += (row - loaded[column]) * keys[column]
            batch[base + (column * bits >> 6)] += (row - loaded[column]) << (column * bits & 63)
            for i in range(BLOCK):
                m[at + i] = kept_m[at + i]
    only_own = p[P_READS] == 0 and p[P_SYMMETRY] == 0 and s[PREEMPTIONS] < 0
    for other in range(p[P_CPUS]):
        if other != cpu and only_own:
            continue
        at = other * STRIDE
        different = 0
        for i in range(STRIDE):
            different |= g[at + i] ^ kept_g[at + i]
        if different != 0:
            column = s[ACTIVE] + other
            row = intern_registers(rows, row_table, s[ROW_MASK], keys, window(g, at), s[ROWS])
            s[ROWS] += row == s[ROWS]
            state_hash += (row - loaded[column]) * keys[column]
            batch[base + (column * bits >> 6)] += (row - loaded[column]) << (column * bits & 63)
            for i in range(STRIDE):
                g[at + i] = kept_g[at + i]
    return spread(state_hash)


def expand(
    s: Any,
    p: Any,
    m: Any,
    g: Any,
    kept_m: Any,
    kept_g: Any,
    w: Any,
    states: Any,
    parent: Any,
    via: Any,
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
    origin: Any,
    found: Any,
) -> int:
    """Visit up to ``s[BUDGET]`` states; returns why it stopped, which is also word `STATUS` of ``s``.

    ``s``: int64 (S_WORDS,), where the search stands; it goes on from there at the next call. ``p``, ``m``, ``g``,
    ``kept_m``, ``kept_g``, ``w``: words. ``states``: int64 (room, width); ``parent`` int32 and ``via`` int8
    (room,): from which state, by which CPU. ``table``: int64. ``loaded``: int64 (columns,), the state now in ``m``.
    ``active``: blocks that have a column; ``column_of``: the column of each block, -1 for none. ``batch``: int64
    (BATCH, width); ``origin``: int64 (BATCH, 3): hash, state, CPU. ``found``: int64 (checks, 3): state, CPU
    and length of the shortest way to break each check. All are passed as pointers to the first element; the sizes are
    words of ``s``.
    """
    cpus = p[P_CPUS]
    a = (states, loaded, active, blocks, rows)
    tables = (block_table, row_table, column_of)
    s[STATUS] = AGAIN
    for _ in range(s[BUDGET]):
        cur = s[CUR]
        if s[PENDING] + cpus > BATCH or cur == s[LEVEL_END]:
            flush(s, table, states, parent, via, batch, origin)
            if s[STATUS] == STATES_FULL:
                return STATES_FULL
        if cur == s[LEVEL_END]:
            if s[FOUND] == cur:
                s[STATUS] = DONE
                return DONE
            if s[STOP_FIRST] != 0 and any_broken(found):
                s[STATUS] = STOPPED
                return STOPPED
            s[LEVEL_END] = s[FOUND]
            s[DEPTH] += 1
        if (s[FOUND] + BATCH) * 3 > s[TABLE_SIZE] * 2:
            s[STATUS] = TABLE_FULL
        elif s[BLOCKS] > s[BLOCK_ROOM]:
            s[STATUS] = BLOCKS_FULL
        elif s[ROWS] > s[ROW_ROOM]:
            s[STATUS] = ROWS_FULL
        if s[STATUS] != AGAIN:
            break
        load_state(s, m, g, kept_m, kept_g, a, cur)
        base_hash = hash_of_loaded(s, loaded, keys)
        rest = at_rest(p, g)
        if rest:
            note_broken(s, found, judge_rest(p, m, g, w), cur, -1, s[DEPTH])
        waiting = 0
        moved = 0
        goes_on = last_goes_on(s, p, m, g)
        if s[PREEMPTIONS] >= 0:
            put_back(p, m, g, kept_m, kept_g)
        for cpu in range(cpus):
            preempts = goes_on >= 0 and cpu != goes_on
            if preempts and g[R_PREEMPTED] == s[PREEMPTIONS]:
                continue
            bits = transition(p, m, g, cpu)
            if bits == FINISHED:
                continue
            if bits == WAITS:
                waiting += 1
                put_back(p, m, g, kept_m, kept_g)
            else:
                moved += 1
                if bits != 0:
                    note_broken(s, found, bits, cur, cpu, s[DEPTH] + 1)
                if (bits & ~GOES_ON) != 0:
                    via[cur] &= CPU_OF_VIA
                    put_back(p, m, g, kept_m, kept_g)
                    continue
                if p[P_SYMMETRY] != 0:
                    put_in_order(p, m, g, w)
                if s[PREEMPTIONS] >= 0:
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
                origin[3 * b + 2] = cpu
                s[PENDING] = b + 1
                prefetch(table, hashed & (s[TABLE_SIZE] - 1))
        if moved == 0:
            via[cur] &= CPU_OF_VIA
            if waiting != 0:
                note_broken(s, found, PROGRESS, cur, -1, s[DEPTH])
        s[TRANSITIONS] += moved
        s[CUR] = cur + 1
    flush(s, table, states, parent, via, batch, origin)
    return int(s[STATUS])


def reindex(s: Any, states: Any, keys: Any, count: int, table: Any, mask: int) -> None:
    """Enter the first ``count`` states into an empty table."""
    for n in range(count):
        total = 0
        for i in range(s[COLUMNS]):
            total += state_number(states, n * s[WIDTH], s[BITS], i) * keys[i]
        found = spread(total)
        slot = found & mask
        while table[slot] != 0:
            slot = (slot + 1) & mask
        table[slot] = (found << 32) | (n + 1)
