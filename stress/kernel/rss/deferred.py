"""Deferred counting (December 2004): current counts plainly on itself and folds into the mm now and then.

Nobody but the task itself reads or writes its counts, so one step may read and write them.
"""

from __future__ import annotations

from shm_layout.atomic import write_once
from shm_layout.registers import R_CURRENT, R_MM, R_TASK
from shm_layout.structs import (
    MM_PAGE_TABLE_LOCK,
    TASK_ANON_RSS,
    TASK_RSS,
    at,
)
from shm_layout.words import Words
from stress.kernel.rss.task import owner_check
from stress.kernel.spinlock import down_write_try, spin_trylock
from stress.labels import IN_BATCH, OUT
from stress.step import DONE, NEXT, step

MOST = 16
"""The variant folds when a task has counted more pages than this."""


@step
def count_rss(m: Words, r: Words) -> int:
    """current->rss++."""
    owner_check(m, r)
    word = at(m, TASK_RSS, r[R_CURRENT])
    write_once(m, word, m[word] + 1)
    return NEXT


@step
def count_anon_rss(m: Words, r: Words) -> int:
    """current->anon_rss++."""
    owner_check(m, r)
    word = at(m, TASK_ANON_RSS, r[R_CURRENT])
    write_once(m, word, m[word] + 1)
    return NEXT


@step(private=True)
def fold_current(m: Words, r: Words) -> int:
    """What follows folds current's counts."""
    r[R_TASK] = r[R_CURRENT] + 1
    return NEXT


@step
def count_rss_or_fold(m: Words, r: Words) -> int:
    """if (++current->rss > 16) fold, else to `in_batch`."""
    owner_check(m, r)
    word = at(m, TASK_RSS, r[R_CURRENT])
    count = m[word] + 1
    write_once(m, word, count)
    r[R_TASK] = r[R_CURRENT] + 1
    return NEXT if count > MOST else IN_BATCH


@step
def folded(m: Words, r: Words) -> int:
    """tsk->rss = tsk->anon_rss = 0: they are in the mm's."""
    write_once(m, at(m, TASK_RSS, r[R_TASK] - 1), 0)
    write_once(m, at(m, TASK_ANON_RSS, r[R_TASK] - 1), 0)
    return NEXT


@step
def down_write_trylock(m: Words, r: Words) -> int:
    """down_write_trylock(&mm->mmap_sem) of the timer tick, which does without if it is not free."""
    return NEXT if down_write_try(m, r[R_MM]) else DONE


@step
def spin_trylock_tick(m: Words, r: Words) -> int:
    """spin_trylock(&mm->page_table_lock) of the timer tick; to `out` if it is not free."""
    return NEXT if spin_trylock(m, at(m, MM_PAGE_TABLE_LOCK, r[R_MM])) else OUT
