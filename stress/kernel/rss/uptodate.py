"""get_rss that stores what it summed and flags it up to date, so that the next read need not walk the tasks (F07)."""

from __future__ import annotations

from shm_layout.atomic import cmpxchg, load, read_once, store, write_once, xchg
from shm_layout.registers import R_ANON_RSS, R_CHILD, R_MM, R_RSS, R_TASK
from shm_layout.structs import (
    MM_SUM_ANON_RSS,
    MM_SUM_RSS,
    MM_UPTODATE,
    TASK_NEXT,
    at,
)
from shm_layout.words import Words
from stress.labels import NOT_ALONE, STALE_ALREADY, UPTODATE
from stress.step import NEXT, step

STALE = 0
SUMMING = 1
FRESH = 2


@step
def if_not_uptodate(m: Words, r: Words) -> int:
    """Are the stored sums up to date? Then to `uptodate`."""
    return UPTODATE if load(m, at(m, MM_UPTODATE, r[R_MM])) == FRESH else NEXT


@step
def begin_sum(m: Words, r: Words) -> int:
    """Before the sum, page_table_lock held: what is counted from now on has to clear the flag. A full barrier."""
    xchg(m, at(m, MM_UPTODATE, r[R_MM]), SUMMING)
    return NEXT


@step
def store_sum_rss(m: Words, r: Words) -> int:
    """mm->sum_rss = rss."""
    write_once(m, at(m, MM_SUM_RSS, r[R_MM]), r[R_RSS])
    return NEXT


@step
def store_sum_anon_rss(m: Words, r: Words) -> int:
    """mm->sum_anon_rss = anon_rss."""
    write_once(m, at(m, MM_SUM_ANON_RSS, r[R_MM]), r[R_ANON_RSS])
    return NEXT


@step
def end_sum(m: Words, r: Words) -> int:
    """The sums are up to date, unless a task counted since `begin_sum`."""
    cmpxchg(m, at(m, MM_UPTODATE, r[R_MM]), SUMMING, FRESH)
    return NEXT


@step
def end_sum_at_once(m: Words, r: Words) -> int:
    """The sums are said to be up to date, whatever was counted meanwhile: what the review's words come to first."""
    store(m, at(m, MM_UPTODATE, r[R_MM]), FRESH)
    return NEXT


@step
def read_sum_rss(m: Words, r: Words) -> int:
    """rss = mm->sum_rss."""
    r[R_RSS] = read_once(m, at(m, MM_SUM_RSS, r[R_MM]))
    return NEXT


@step
def read_sum_anon_rss(m: Words, r: Words) -> int:
    """anon_rss = mm->sum_anon_rss."""
    r[R_ANON_RSS] = read_once(m, at(m, MM_SUM_ANON_RSS, r[R_MM]))
    return NEXT


@step
def if_flagged(m: Words, r: Words) -> int:
    """After every count, and a full barrier: is the flag set? Else to `stale_already`.

    The count must be seen before the flag is read.
    """
    return NEXT if load(m, at(m, MM_UPTODATE, r[R_MM])) != STALE else STALE_ALREADY


@step
def clear_flag(m: Words, r: Words) -> int:
    """mm->uptodate = 0."""
    store(m, at(m, MM_UPTODATE, r[R_MM]), STALE)
    return NEXT


@step
def init_uptodate(m: Words, r: Words) -> int:
    """The child, which nobody else can see yet, has no sums."""
    write_once(m, at(m, MM_UPTODATE, r[R_CHILD]), STALE)
    return NEXT


@step
def if_alone(m: Words, r: Words) -> int:
    """Is task R_TASK, the first, the only one on the list? Else to `not_alone`."""
    following = load(m, at(m, TASK_NEXT, r[R_TASK] - 1))
    return NEXT if following == 0 else NOT_ALONE
