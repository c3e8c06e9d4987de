"""What must hold in a state at rest: no CPU is in an operation."""

# Compiled functions have no objects to keep their arrays in.
# ruff: noqa: PLR0917

from __future__ import annotations

from shm_layout.registers import R_ANON_RSS, R_ARG, R_OP, R_RESIDENT, R_SHARED
from shm_layout.structs import FIRST_WORD, MM_STRIDE, MM_USERS, NR_MMS, at
from shm_layout.words import Words
from stress.checks import HOLDS, data_kept, locks_free, mapcount, mmu_cache, page_refs, true_anon_rss, true_rss
from stress.explore.calls import window
from stress.explore.image import (
    CODE_JUMP,
    CODE_STEP,
    P_BOUND,
    P_BOUNDED_PC,
    P_CHECKS,
    P_CODE,
    P_CPUS,
    P_EXACT_PC,
    P_FIRST_CHECK,
    P_ROW,
    P_SPLIT,
    P_WORDS,
    STRIDE,
)
from stress.explore.transition import take, take_own
from stress.explore.verdict import (
    ANON_RSS_EXACT,
    DATA_KEPT,
    MAPCOUNT,
    MMU_CACHE,
    PAGE_REFS,
    PROGRESS,
    RSS_BOUNDED,
    RSS_EXACT,
    USER,
)
from stress.kernel.mm_types import MM_FREE, MM_ONE_USER
from stress.kernel.proc import NOT_SHOWN
from stress.step import WAIT, helper

READ_STEPS = 10_000
"""Steps of a pass over the counters, at most: more are a loop that never ends."""


@helper
def at_rest(p: Words, g: Words) -> bool:
    """Whether no CPU is in an operation."""
    operations = 0
    for cpu in range(p[P_CPUS]):
        operations |= g[cpu * STRIDE + R_OP]
    return operations == 0


@helper
def perform_read(p: Words, m: Words, r: Words, pc: int) -> bool:
    """Perform a read from row ``pc`` on, alone; False when it waits or does not end."""
    for _ in range(READ_STEPS):
        if pc < 0:
            return True
        row = p[P_CODE] + pc * p[P_ROW]
        outcome = take(p, p[row + CODE_STEP], m, r)
        if outcome == WAIT:
            return False
        pc = p[row + CODE_JUMP + outcome]
    return False


@helper
def shown_at_rest(p: Words, m: Words, g: Words, mm: int, pc: int, w: Words) -> bool:
    """Let CPU 0, which is idle, read an mm on a copy of the memory in ``w``; what it shows is in the registers there.

    A free mm is given a user, so that its counters can be read: they must have come back to 0.
    """
    r = window(w, 0)
    copy = window(w, STRIDE)
    for i in range(FIRST_WORD, p[P_WORDS]):
        copy[i] = m[i]
    for i in range(STRIDE):
        r[i] = g[i]
    users = at(m, MM_USERS, MM_STRIDE, mm)
    if m[users] == MM_FREE:
        copy[users] = MM_ONE_USER
    r[R_ARG] = mm + 1
    r[R_RESIDENT] = NOT_SHOWN
    r[R_SHARED] = NOT_SHOWN
    return perform_read(p, copy, r, pc)


@helper
def judge_counters(p: Words, m: Words, g: Words, mm: int, w: Words) -> int:
    """The checks of the counters of one mm."""
    broken = 0
    r = window(w, 0)
    rss = true_rss(m, mm)
    anon = true_anon_rss(m, mm)
    if p[P_EXACT_PC] >= 0:
        if not shown_at_rest(p, m, g, mm, p[P_EXACT_PC], w):
            return PROGRESS
        if r[R_RESIDENT] != NOT_SHOWN and r[R_RESIDENT] != rss:
            broken |= RSS_EXACT
        if r[R_SHARED] != NOT_SHOWN and r[R_ANON_RSS] != anon:
            broken |= ANON_RSS_EXACT
    if p[P_BOUNDED_PC] >= 0:
        if not shown_at_rest(p, m, g, mm, p[P_BOUNDED_PC], w):
            return PROGRESS
        bound = p[P_BOUND]
        if r[R_RESIDENT] != NOT_SHOWN and abs(r[R_RESIDENT] - rss) > bound:
            broken |= RSS_BOUNDED
        if r[R_SHARED] != NOT_SHOWN and abs(r[R_ANON_RSS] - anon) > bound:
            broken |= RSS_BOUNDED
    return broken


@helper
def judge_rest(p: Words, m: Words, g: Words, w: Words) -> int:
    """The checks that a state at rest breaks, as bits.

    ``w``: scratch words: the registers of a CPU, a memory whose constants are there already, a word for each frame.
    """
    broken = 0
    frames = window(w, STRIDE + p[P_WORDS])
    if mapcount(m, frames) != HOLDS:
        broken |= MAPCOUNT
    if page_refs(m, frames) != HOLDS:
        broken |= PAGE_REFS
    if data_kept(m) != HOLDS:
        broken |= DATA_KEPT
    if mmu_cache(m) != HOLDS:
        broken |= MMU_CACHE
    if locks_free(m) != HOLDS:
        return broken | PROGRESS
    for number in range(p[P_CHECKS]):
        if take_own(p, p[P_FIRST_CHECK] - p[P_SPLIT] + number, m, frames, 0) != HOLDS:
            broken |= USER
    for mm in range(m[NR_MMS]):
        broken |= judge_counters(p, m, g, mm, w)
    return broken
