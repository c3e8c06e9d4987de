"""Checks at rest that designs with counts outside of the mm bring along: a bound says how much may be held back, not
that it is held at all.
"""

from __future__ import annotations

from shm_layout.atomic import read_once
from shm_layout.structs import (
    MM_ANON_RSS,
    MM_LOCAL_ANON_RSS,
    MM_LOCAL_RSS,
    MM_RSS,
    MM_SINGLE,
    MM_STRIDE,
    MM_USERS,
    NR_MMS,
    TASK_ANON_RSS,
    TASK_MM,
    TASK_RSS,
    TASK_STRIDE,
    at,
    task_struct,
)
from shm_layout.words import Words
from stress.checks import HOLDS, true_anon_rss, true_rss
from stress.kernel.mm_types import MM_FREE
from stress.kernel.rss.cached import TASK_RSS_EVENTS_THRESH
from stress.kernel.rss.deferred import MOST
from stress.step import helper

NR_TASKS = task_struct.count


@helper
def is_true(m: Words, mm: int, rss: int, anon_rss: int) -> bool:
    """Whether these counts are what the page table of an mm says."""
    return rss == true_rss(m, mm) and anon_rss == true_anon_rss(m, mm)


@helper
def nothing_lost(m: Words) -> int:
    """The counts of an mm and those that its tasks hold are what its page table says; else the first mm where not.

    A task that has left holds nothing any more.
    """
    for mm in range(m[NR_MMS]):
        if read_once(m, at(m, MM_USERS, MM_STRIDE, mm)) == MM_FREE:
            continue
        rss = read_once(m, at(m, MM_RSS, MM_STRIDE, mm))
        anon_rss = read_once(m, at(m, MM_ANON_RSS, MM_STRIDE, mm))
        for task in range(m[NR_TASKS]):
            if read_once(m, at(m, TASK_MM, TASK_STRIDE, task)) == mm:
                rss += read_once(m, at(m, TASK_RSS, TASK_STRIDE, task))
                anon_rss += read_once(m, at(m, TASK_ANON_RSS, TASK_STRIDE, task))
        if not is_true(m, mm, rss, anon_rss):
            return mm
    return HOLDS


@helper
def first_task_above(m: Words, most: int) -> int:
    """The first task that holds more than ``most`` pages of one kind, or less than -most."""
    for task in range(m[NR_TASKS]):
        held = read_once(m, at(m, TASK_RSS, TASK_STRIDE, task))
        anon = read_once(m, at(m, TASK_ANON_RSS, TASK_STRIDE, task))
        if max(abs(held), abs(anon)) > most:
            return task
    return HOLDS


@helper
def at_most_16_a_task(m: Words) -> int:
    """deferred_16: no task holds more pages than `stress.kernel.rss.deferred.MOST`; else the first task that does."""
    return first_task_above(m, MOST)


@helper
def at_most_64_a_task(m: Words) -> int:
    """cached: no task holds more than TASK_RSS_EVENTS_THRESH pages; else the first task that does."""
    return first_task_above(m, TASK_RSS_EVENTS_THRESH)


@helper
def exact_while_single(m: Words) -> int:
    """lazy: the two counts of an mm that has had one task add up to what its page table says; else the first mm."""
    for mm in range(m[NR_MMS]):
        used = read_once(m, at(m, MM_USERS, MM_STRIDE, mm)) != MM_FREE
        if not used or read_once(m, at(m, MM_SINGLE, MM_STRIDE, mm)) == 0:
            continue
        rss = read_once(m, at(m, MM_RSS, MM_STRIDE, mm)) + read_once(m, at(m, MM_LOCAL_RSS, MM_STRIDE, mm))
        anon_rss = read_once(m, at(m, MM_ANON_RSS, MM_STRIDE, mm))
        anon_rss += read_once(m, at(m, MM_LOCAL_ANON_RSS, MM_STRIDE, mm))
        if not is_true(m, mm, rss, anon_rss):
            return mm
    return HOLDS
