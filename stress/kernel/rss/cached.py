"""Counts cached per task (2.6.34 to 6.1): add_mm_counter_fast, check_sync_rss_stat, sync_mm_rss of mm/memory.c.

Nobody but the task itself reads or writes its cached counts, so one step may read and write them.
"""

from __future__ import annotations

from shm_layout.atomic import fetch_add, write_once
from shm_layout.registers import R_AMOUNT, R_COUNTED_MM, R_CURRENT, R_MEMBER
from shm_layout.structs import (
    MM_ANON_RSS,
    MM_RSS,
    TASK_ANON_RSS,
    TASK_EVENTS,
    TASK_MM,
    TASK_RSS,
    TASK_STRIDE,
    at,
)
from shm_layout.words import Words
from stress.kernel.bug import OWNER, oops
from stress.kernel.fork import current_mm
from stress.kernel.rss.amount import RSS
from stress.labels import IN_BATCH
from stress.step import NEXT, step

TASK_RSS_EVENTS_THRESH = 64
"""Faults that a task counts on itself before it folds."""


@step
def add_mm_counter_fast(m: Words, r: Words) -> int:
    """current->rss_stat.count[member] += value: right for current->mm alone, of which `if_own_mm` makes sure."""
    if current_mm(m, r) != r[R_COUNTED_MM]:
        oops(r, OWNER)
    field = m[TASK_RSS] if r[R_MEMBER] == RSS else m[TASK_ANON_RSS]
    word = field + r[R_CURRENT] * m[TASK_STRIDE]
    write_once(m, word, m[word] + r[R_AMOUNT])
    return NEXT


@step
def check_sync_rss_stat(m: Words, r: Words) -> int:
    """if (current->rss_stat.events++ >= 64) go on to fold, else to `in_batch`."""
    word = at(m, TASK_EVENTS, r[R_CURRENT])
    if m[word] < TASK_RSS_EVENTS_THRESH:
        write_once(m, word, m[word] + 1)
        return IN_BATCH
    write_once(m, word, 1)
    return NEXT


@step
def sync_rss(m: Words, r: Words) -> int:
    """add_mm_counter(current->mm, rss, current's) by atomic add, and current's is 0."""
    task = r[R_CURRENT]
    word = at(m, TASK_RSS, task)
    fetch_add(m, at(m, MM_RSS, m[at(m, TASK_MM, task)]), m[word])
    write_once(m, word, 0)
    return NEXT


@step
def sync_anon_rss(m: Words, r: Words) -> int:
    """The same for anon_rss."""
    task = r[R_CURRENT]
    word = at(m, TASK_ANON_RSS, task)
    fetch_add(m, at(m, MM_ANON_RSS, m[at(m, TASK_MM, task)]), m[word])
    write_once(m, word, 0)
    return NEXT


@step
def no_events(m: Words, r: Words) -> int:
    """current->rss_stat.events = 0: nothing is cached any more."""
    write_once(m, at(m, TASK_EVENTS, r[R_CURRENT]), 0)
    return NEXT
