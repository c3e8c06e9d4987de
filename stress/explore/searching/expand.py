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
from stress.explore.model.alone import A_ASLEEP, ASLEEP
from stress.explore.model.at_rest import at_rest, judge_rest
from stress.explore.model.check_bits import GOES_ON, NAMES, PROGRESS, wanted_at_rest, wanted_of_step
from stress.explore.model.image import (
    P_ALONE,
    P_ALONG,
    P_CHOICES,
    P_CPUS,
    P_LEARNED,
    P_MOVE,
    P_RECORD,
    P_RECORDED,
    P_SYMMETRY,
    P_WATCHED,
    R_LAST,
    R_PREEMPTED,
)
from stress.explore.model.persistent import (
    AHEAD_BITS,
    AHEAD_KIND,
    AHEAD_ONWARD,
    ENDED,
    EVERY,
    MOST_ASLEEP,
    WOULD_WAIT,
    ahead_of,
    asleep_after,
    is_reading,
    persistent_set,
    writing,
)
from stress.explore.model.primitives import call_move, prefetch, window
from stress.explore.model.rules import first_torn, forget_accesses
from stress.explore.model.transition import FINISHED, REFUSED, WAITS
from stress.explore.searching.ahead import advanced, in_turn, look_ahead, ordered
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
    COPIES,
    CUR,
    DEPTH,
    DONE,
    FOUND,
    LEARNED,
    LEVEL_END,
    NOT_ONWARD,
    ORIGIN,
    PENDING,
    PREEMPTIONS,
    ROOM,
    ROW_MASK,
    ROW_ROOM,
    ROWS_FULL,
    RULE_BROKEN,
    SLEEPS,
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
def last_goes_on(s: Any, p: Any, m: Any, g: Any) -> int:
    """With bounded preemptions: the CPU that moved last, if it could go on; else -1. It has moved then."""
    if s[PREEMPTIONS] < 0 or g[R_LAST] == 0:
        return -1
    bits = call_move(p[P_MOVE], p, m, g, g[R_LAST] - 1)
    if bits in (FINISHED, WAITS, REFUSED):
        return -1
    return int(g[R_LAST] - 1)


@helper
def flush(s: Any, table: Any, states: Any, parent: Any, via: Any, sleep: Any, batch: Any, origin: Any) -> None:
    """Look up the states of a batch; those not known are put at the end of the queue, as far as there is room.

    A state that was found before with CPUs asleep of which not all sleep now is not looked at any more as if they did:
    if it was visited, it is put into the queue once more, for those that woke.

    Does nothing for a part of a level, whose batch is kept.
    """
    if s[APART] != 0:
        return
    mask = s[TABLE_SIZE] - 1
    width = s[WIDTH]
    pending = s[PENDING]
    for b in range(pending):
        found = origin[ORIGIN * b]
        entry = table[found & mask]
        if entry != 0 and ((entry >> 32) & LOW) == found:
            prefetch(states, ((entry & LOW) - 1) * width)
    for b in range(pending):
        found = origin[ORIGIN * b]
        slot = found & mask
        asleep = origin[ORIGIN * b + 3]
        tried = 0
        known = False
        while True:
            entry = table[slot]
            if entry == 0:
                break
            if ((entry >> 32) & LOW) == found:
                n = (entry & LOW) - 1
                if not differ(states, n * width, batch, b * width, width):
                    known = True
                    break
            slot = (slot + 1) & mask
        if known:
            if s[SLEEPS] == 0:
                continue
            n = (table[slot] & LOW) - 1
            slept = sleep[n] & EVERY
            asleep &= slept
            if asleep == slept:
                continue
            if n >= s[LEVEL_END]:
                sleep[n] = (sleep[n] & ~EVERY) | asleep
                continue
            tried = EVERY & ~slept
            s[COPIES] += 1
        n = s[FOUND]
        if n == s[ROOM]:
            s[STATUS] = STATES_FULL
            break
        table[slot] = (found << 32) | (n + 1)
        for i in range(width):
            states[n * width + i] = batch[b * width + i]
        parent[n] = origin[ORIGIN * b + 1]
        via[n] = origin[ORIGIN * b + 2] + NOT_ONWARD
        if s[SLEEPS] != 0:
            sleep[n] = (tried << MOST_ASLEEP) | asleep
        s[FOUND] = n + 1
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
    sleep: Any,
    origin: Any,
    found: Any,
) -> int:
    """Visit up to ``s[BUDGET]`` states; returns why it stopped, which is also word `STATUS` of ``s``.

    ``s``: int64 (S_WORDS,), where the search stands; it goes on from there at the next call. ``p``, ``m``, ``g``,
    ``kept_m``, ``kept_g``, ``w``: words. ``states``: int64 (room, width); ``parent`` int32 and ``via`` int16
    (room,): from which state, by which choice; ``sleep`` int32 (room,), where CPUs sleep: in the lower half which do,
    in the upper half which were tried when the state was visited before. ``table``: int64. ``loaded``: int64
    (columns,), the state now in ``m``. ``active``: blocks that have a column; ``column_of``: the column of each block,
    -1 for none. ``batch``: int64 (BATCH, width); ``origin``: int64 (BATCH, ORIGIN): hash, state, choice, CPUs that
    sleep. ``found``: int64 (checks, 3): state, choice and length of the shortest way to break each check. All are
    passed as pointers to the first element; the sizes are words of ``s``.
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
            flush(s, table, states, parent, via, sleep, batch, origin)
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
        passed = 0
        along = 0
        sleeps = 0
        onward = False
        goes_on = last_goes_on(s, p, m, g)
        if s[PREEMPTIONS] >= 0:
            put_back(p, m, g, kept_m, kept_g)
        todo = EVERY
        asleep = 0
        reading = False
        writers = 0
        if s[SLEEPS] != 0:
            if not look_ahead(p, m, g, kept_m, kept_g):
                s[STATUS] = RULE_BROKEN
                return RULE_BROKEN
            reading = is_reading(p, g)
            writers = writing(p)
            asleep = sleep[cur] & EVERY
            todo = persistent_set(p, m, g, reading) & ~asleep & ~(sleep[cur] >> MOST_ASLEEP)
        for turn in range(choices):
            choice = turn
            if s[SLEEPS] != 0:
                choice = in_turn(cpus, writers, turn)
                ahead = ahead_of(p, choice)
                if ((todo >> choice) & 1) == 0:
                    if ahead[AHEAD_KIND] == WOULD_WAIT:
                        waiting += 1
                    elif ahead[AHEAD_KIND] != ENDED:
                        passed += 1
                        onward |= ahead[AHEAD_ONWARD] != 0 or (ahead[AHEAD_BITS] & ~GOES_ON) != 0
                        if ahead[AHEAD_BITS] != 0:
                            note_broken(found, wanted_of_step(ahead[AHEAD_BITS], s[WANTED]), cur, choice, s[DEPTH] + 1)
                    continue
                sleeps = asleep_after(p, choice, asleep, reading)
                asleep |= 1 << choice
                p[p[P_ALONE] + A_ASLEEP] = sleeps
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
                if s[SLEEPS] != 0:
                    sleeps = p[p[P_ALONE] + A_ASLEEP]
                    if sleeps == ASLEEP:
                        put_back(p, m, g, kept_m, kept_g)
                        continue
                if p[P_SYMMETRY] != 0:
                    sleeps = ordered(p, m, g, w, sleeps)
                if s[PREEMPTIONS] >= 0 and steps:
                    g[R_LAST] = cpu + 1
                    g[R_PREEMPTED] += preempts
                out = (batch, base_hash)
                hashed = collect(s, p, m, g, kept_m, kept_g, a, tables, keys, out, cur, cpu)
                if hashed < 0:
                    put_back(p, m, g, kept_m, kept_g)
                    flush(s, table, states, parent, via, sleep, batch, origin)
                    if s[STATUS] == AGAIN:
                        s[STATUS] = BLOCK_CHANGED
                    return int(s[STATUS])
                b = s[PENDING]
                origin[ORIGIN * b] = hashed
                origin[ORIGIN * b + 1] = cur
                origin[ORIGIN * b + 2] = choice
                origin[ORIGIN * b + 3] = sleeps
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
        if moved + passed == 0 and waiting != 0:
            note_broken(found, PROGRESS, cur, -1, s[DEPTH])
        if onward or moved + passed == 0:
            via[cur] &= CHOICE_OF_VIA
        s[TRANSITIONS] += moved + along
        s[CUR] = cur + 1
    flush(s, table, states, parent, via, sleep, batch, origin)
    return int(s[STATUS])


def look_up(
    s: Any,
    states: Any,
    table: Any,
    parent: Any,
    via: Any,
    sleep: Any,
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
            prefetch(table, origin[ORIGIN * b] & mask)
        s[PENDING] = part
        flush(s, table, states, parent, via, sleep, window(batch, done * s[WIDTH]), window(origin, ORIGIN * done))
        done += part
    return done
