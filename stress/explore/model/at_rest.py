"""What must hold in a state at rest: no CPU is in an operation."""

# Compiled functions have no objects to keep their arrays in.
# ruff: noqa: PLR0917

from __future__ import annotations

from shm_layout.record import CHANGED, COUNT, FAULT, STEP
from shm_layout.registers import R_ANON_RSS, R_ARG, R_OP, R_RESIDENT, R_SHARED
from shm_layout.structs import FIRST_WORD, MM_USERS, NR_MMS, TASK_MM, at, task_struct
from shm_layout.words import Words
from stress.checks import (
    HOLDS,
    data_kept,
    known_refs,
    locks_free,
    mapcount,
    mmu_cache,
    page_tables,
    true_anon_rss,
    true_rss,
    wrong_refs,
)
from stress.explore.model.accesses import CHECK_WRITES
from stress.explore.model.check_bits import (
    ANON_RSS_EXACT,
    DATA_KEPT,
    MAPCOUNT,
    MMU_CACHE,
    PAGE_REFS,
    PAGE_TABLES,
    PROGRESS,
    RSS_BOUNDED,
    RSS_EXACT,
    USER,
)
from stress.explore.model.image import (
    CODE_JUMP,
    CODE_STEP,
    P_BOUND,
    P_BOUNDED_PC,
    P_CHECKS,
    P_CODE,
    P_CPUS,
    P_ENDED,
    P_EXACT_PC,
    P_FIRST_CHECK,
    P_HOLDERS,
    P_OF_CPUS,
    P_RACED,
    P_RECORD,
    P_ROW,
    P_SPLIT,
    P_WORDS,
    R_MET,
    SEEN_BOUNDED,
    SEEN_EXACT,
    STRIDE,
)
from stress.explore.model.primitives import RAISED, window
from stress.explore.model.read_interval import see_read
from stress.explore.model.store_buffer import all_empty
from stress.explore.model.transition import take_own, take_watched
from stress.kernel.mm_types import MM_FREE, MM_ONE_USER, NO_MM
from stress.kernel.proc import NOT_SHOWN
from stress.step import WAIT, helper

NR_TASKS = task_struct.count

READ_STEPS = 10_000
"""Steps of a pass over the counters, at most: more are a loop that never ends."""


@helper
def at_rest(p: Words, m: Words, g: Words) -> bool:
    """Return whether no CPU is in an operation, and what all have stored is in the memory."""
    operations = 0
    for cpu in range(p[P_CPUS]):
        operations |= g[cpu * STRIDE + R_OP]
    return operations == 0 and all_empty(p, m)


@helper
def perform_read(p: Words, m: Words, r: Words, pc: int) -> bool:
    """Perform a read from row ``pc`` on, alone; False when it waits or does not end."""
    for _ in range(READ_STEPS):
        if pc < 0:
            return True
        row = p[P_CODE] + pc * p[P_ROW]
        outcome = take_watched(p, p[row + CODE_STEP], m, r)
        if outcome in (WAIT, RAISED):
            return False
        pc = p[row + CODE_JUMP + outcome]
    return False


@helper
def forget_ended(p: Words, m: Words) -> None:
    """Tasks that have ended are given back with all that they counted: a task that still finds them finds nothing."""
    fields = window(p, p[P_ENDED])
    for task in range(m[NR_TASKS]):
        if m[at(m, TASK_MM, task)] == NO_MM:
            for i in range(fields[0]):
                m[at(m, fields[1 + i], task)] = 0


@helper
def cpus_hold(p: Words, m: Words, mm: int) -> bool:
    """Return whether a CPU keeps counts of an mm."""
    words = window(p, p[P_OF_CPUS])
    kept = 0
    for i in range(words[0]):
        kept |= m[words[1 + mm * words[0] + i]]
    return kept != 0


@helper
def shown_at_rest(p: Words, m: Words, g: Words, mm: int, pc: int, w: Words) -> bool:
    """Let CPU 0, which is idle, read an mm on a copy of the memory in ``w``; what it shows is in the registers there.

    A free mm is given a user, so that its counters can be read: they must have come back to 0. Tasks that have ended
    are forgotten there.
    """
    r = window(w, 0)
    copy = window(w, STRIDE)
    for i in range(FIRST_WORD, p[P_WORDS]):
        copy[i] = m[i]
    forget_ended(p, copy)
    for i in range(STRIDE):
        r[i] = g[i]
    users = at(m, MM_USERS, mm)
    if m[users] == MM_FREE:
        copy[users] = MM_ONE_USER
    r[R_ARG] = mm + 1
    r[R_RESIDENT] = NOT_SHOWN
    r[R_SHARED] = NOT_SHOWN
    return perform_read(p, copy, r, pc)


@helper
def judge_counters(p: Words, m: Words, g: Words, mm: int, w: Words) -> int:
    """Return the checks of the counters of one mm.

    The bound is for what tasks and CPUs hold back. Of an mm that is free no task holds anything; what CPUs hold is
    destroyed with it.
    """
    broken = 0
    r = window(w, 0)
    rss = true_rss(m, mm)
    anon = true_anon_rss(m, mm)
    if p[P_EXACT_PC] >= 0 and (p[P_RACED] == 0 or g[R_MET] == 0):
        if not shown_at_rest(p, m, g, mm, p[P_EXACT_PC], w):
            return PROGRESS
        see_read(p, r, SEEN_EXACT)
        if r[R_RESIDENT] != NOT_SHOWN and r[R_RESIDENT] != rss:
            broken |= RSS_EXACT
        if r[R_SHARED] != NOT_SHOWN and r[R_ANON_RSS] != anon:
            broken |= ANON_RSS_EXACT
    bound = p[P_BOUND]
    if m[at(m, MM_USERS, mm)] == MM_FREE and p[P_RACED] == 0 and not cpus_hold(p, m, mm):
        bound = 0
    if p[P_BOUNDED_PC] >= 0 and bound >= 0:
        if not shown_at_rest(p, m, g, mm, p[P_BOUNDED_PC], w):
            return PROGRESS
        see_read(p, r, SEEN_BOUNDED)
        if r[R_RESIDENT] != NOT_SHOWN and abs(r[R_RESIDENT] - rss) > bound:
            broken |= RSS_BOUNDED
        if r[R_SHARED] != NOT_SHOWN and abs(r[R_ANON_RSS] - anon) > bound:
            broken |= RSS_BOUNDED
    return broken


@helper
def judged(p: Words, number: int, m: Words, scratch: Words) -> int:
    """Return what a check or holder of the design's own returns; note in the record that it writes to the memory."""
    record = window(p, p[P_RECORD])
    if record[FAULT] == 0:
        record[STEP] = number
        record[COUNT] = 0
        record[CHANGED] = 0
    result = take_own(p, number - p[P_SPLIT], m, scratch, 0)
    if record[CHANGED] != 0 and record[FAULT] == 0:
        record[FAULT] = CHECK_WRITES
    return result


@helper
def window_of_refs(p: Words, w: Words) -> Words:
    """Return the last part of the scratch words: the registers of a CPU, and after them a word for each frame."""
    return window(w, STRIDE + p[P_WORDS])


@helper
def refs_at_rest(p: Words, m: Words, g: Words, w: Words) -> int:
    """Check `page_refs`, with what the design's holders hold. The references found are left in the scratch words."""
    registers = window_of_refs(p, w)
    frames = window(registers, STRIDE)
    known_refs(m, frames)
    holders = window(p, p[P_HOLDERS])
    first = p[P_FIRST_CHECK] - holders[0]
    for number in range(holders[0]):
        for cpu in range(p[P_CPUS] if holders[1 + number] != 0 else 1):
            for i in range(STRIDE):
                registers[i] = g[cpu * STRIDE + i]
            judged(p, first + number, m, registers)
    return wrong_refs(m, frames)


@helper
def judge_rest(p: Words, m: Words, g: Words, w: Words) -> int:
    """Return the checks that a state at rest breaks, as bits.

    ``w``: scratch words, see `stress.explore.model.model.scratch_words`.
    """
    broken = 0
    frames = window(window_of_refs(p, w), STRIDE)
    if mapcount(m, frames) != HOLDS:
        broken |= MAPCOUNT
    if refs_at_rest(p, m, g, w) != HOLDS:
        broken |= PAGE_REFS
    if data_kept(m) != HOLDS:
        broken |= DATA_KEPT
    if mmu_cache(m) != HOLDS:
        broken |= MMU_CACHE
    if page_tables(m) != HOLDS:
        broken |= PAGE_TABLES
    if locks_free(m) != HOLDS:
        return broken | PROGRESS
    for number in range(p[P_CHECKS]):
        if judged(p, p[P_FIRST_CHECK] + number, m, frames) != HOLDS:
            broken |= USER
    for mm in range(m[NR_MMS]):
        broken |= judge_counters(p, m, g, mm, w)
    return broken
