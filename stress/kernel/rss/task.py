"""Counters split over the tasks: list_rss, patch 7 of 7 of V12 (include/linux/sched.h, kernel/fork.c, fs/proc)."""

from __future__ import annotations

from shm_layout.atomic import load, read_once, store, write_once, xchg
from shm_layout.registers import R_ANON_RSS, R_CPU, R_CURRENT, R_MEMBER, R_MM, R_RSS, R_TASK, R_VALUE
from shm_layout.structs import (
    CPU_RCU,
    MENDED_ANON_RSS,
    MENDED_RSS,
    MM_ANON_RSS,
    MM_RSS,
    MM_TASK_LIST,
    TASK_ANON_RSS,
    TASK_FLAGS,
    TASK_MM,
    TASK_NEXT,
    TASK_PREV,
    TASK_RSS,
    at,
)
from shm_layout.words import Words
from stress.kernel.bug import OWNER, oops
from stress.kernel.mm_types import PF_BORROWED_MM
from stress.kernel.rss.mm import note_write
from stress.labels import NEXT_TASK, OTHER_MM, SKIP
from stress.step import NEXT, helper, step

ASIDE = 4
"""R_MEMBER: what current counts is moved to the mm at the end, see `stress.kernel.rss.saved`."""


@helper
def own(m: Words, r: Words) -> bool:
    """current->mm == mm && !(current->flags & PF_BORROWED_MM). Only current writes these fields."""
    task = r[R_CURRENT]
    flags = m[at(m, TASK_FLAGS, task)]
    return m[at(m, TASK_MM, task)] == r[R_MM] and (flags & PF_BORROWED_MM) == 0


@helper
def owner_check(m: Words, r: Words) -> None:
    """Check `owner`: a count on current belongs to the mm whose page it is, or will be moved there (`ASIDE`)."""
    if not own(m, r) and r[R_MEMBER] != ASIDE:
        oops(r, OWNER)


@step(private=True)
def if_own(m: Words, r: Words) -> int:
    """if (current->mm == mm && !(current->flags & PF_BORROWED_MM)), else to `other_mm`."""
    return NEXT if own(m, r) else OTHER_MM


@step(private=True)
def if_own_mm(m: Words, r: Words) -> int:
    """if (current->mm == mm), else to `other_mm`: right for ptrace, not for use_mm (finding F09)."""
    return NEXT if m[at(m, TASK_MM, r[R_CURRENT])] == r[R_MM] else OTHER_MM


@step(private=True)
def if_own_task(m: Words, r: Words) -> int:
    """if (!(current->flags & PF_BORROWED_MM)), else to `other_mm`: right for use_mm, not for ptrace (F08)."""
    flags = m[at(m, TASK_FLAGS, r[R_CURRENT])]
    return NEXT if (flags & PF_BORROWED_MM) == 0 else OTHER_MM


@step
def read_task_rss(m: Words, r: Words) -> int:
    """current->rss, the read of a change."""
    r[R_VALUE] = read_once(m, at(m, TASK_RSS, r[R_CURRENT]))
    return NEXT


@step
def inc_task_rss(m: Words, r: Words) -> int:
    """current->rss++, its write."""
    owner_check(m, r)
    write_once(m, at(m, TASK_RSS, r[R_CURRENT]), r[R_VALUE] + 1)
    return NEXT


@step
def read_task_anon_rss(m: Words, r: Words) -> int:
    """current->anon_rss, the read of a change."""
    r[R_VALUE] = read_once(m, at(m, TASK_ANON_RSS, r[R_CURRENT]))
    return NEXT


@step
def inc_task_anon_rss(m: Words, r: Words) -> int:
    """current->anon_rss++, its write."""
    owner_check(m, r)
    write_once(m, at(m, TASK_ANON_RSS, r[R_CURRENT]), r[R_VALUE] + 1)
    return NEXT


# the list of an mm's tasks: changed under page_table_lock, walked under RCU


@helper
def link_task(m: Words, r: Words) -> None:
    """Let task R_TASK - 1 name the first of the mm's list as its next, and that one it as its previous."""
    first = read_once(m, at(m, MM_TASK_LIST, r[R_MM]))
    task = r[R_TASK] - 1
    write_once(m, at(m, TASK_NEXT, task), first)
    write_once(m, at(m, TASK_PREV, task), 0)
    if first != 0:
        write_once(m, at(m, TASK_PREV, first - 1), task + 1)


@step
def zero_thread_rss(m: Words, r: Words) -> int:
    """mm_add_thread of V15: tsk->rss = tsk->anon_rss = 0, of a task that is on no list."""
    write_once(m, at(m, TASK_RSS, r[R_TASK] - 1), 0)
    write_once(m, at(m, TASK_ANON_RSS, r[R_TASK] - 1), 0)
    return NEXT


@step
def list_add_rcu(m: Words, r: Words) -> int:
    """mm_add_thread: put task R_TASK - 1 first on the mm's list. Only the head's store is seen by a walker."""
    link_task(m, r)
    store(m, at(m, MM_TASK_LIST, r[R_MM]), r[R_TASK])
    return NEXT


@step
def list_add_unordered(m: Words, r: Words) -> int:
    """list_add_rcu without its write barrier: the head may be seen before what the task names as its next (W02)."""
    link_task(m, r)
    write_once(m, at(m, MM_TASK_LIST, r[R_MM]), r[R_TASK])
    return NEXT


@step
def list_del_rcu(m: Words, r: Words) -> int:
    """mm_remove_thread: take task R_TASK - 1 off the list; its own next stays, for a walker that stands on it."""
    task = r[R_TASK] - 1
    following = read_once(m, at(m, TASK_NEXT, task))
    previous = read_once(m, at(m, TASK_PREV, task))
    if following != 0:
        write_once(m, at(m, TASK_PREV, following - 1), previous)
    if previous != 0:
        store(m, at(m, TASK_NEXT, previous - 1), following)
    else:
        store(m, at(m, MM_TASK_LIST, r[R_MM]), following)
    return NEXT


@step
def fold_rss(m: Words, r: Words) -> int:
    """mm->rss += tsk->rss, its write; `read_mm_rss` comes before it. Only the task itself writes tsk->rss."""
    mine = read_once(m, at(m, TASK_RSS, r[R_TASK] - 1))
    note_write(m, r, MENDED_RSS)
    write_once(m, at(m, MM_RSS, r[R_MM]), r[R_VALUE] + mine)
    return NEXT


@step
def fold_anon_rss(m: Words, r: Words) -> int:
    """mm->anon_rss += tsk->anon_rss, its write; `read_mm_anon_rss` comes before it."""
    mine = read_once(m, at(m, TASK_ANON_RSS, r[R_TASK] - 1))
    note_write(m, r, MENDED_ANON_RSS)
    write_once(m, at(m, MM_ANON_RSS, r[R_MM]), r[R_VALUE] + mine)
    return NEXT


@step
def rcu_read_lock(m: Words, r: Words) -> int:
    """rcu_read_lock(). A locked exchange, so that it is seen before anything on the list is read."""
    xchg(m, at(m, CPU_RCU, r[R_CPU]), 1)
    return NEXT


@step
def rcu_read_unlock(m: Words, r: Words) -> int:
    """rcu_read_unlock()."""
    store(m, at(m, CPU_RCU, r[R_CPU]), 0)
    return NEXT


@step
def first_task(m: Words, r: Words) -> int:
    """The first task on the mm's list; `skip` when there is none."""
    r[R_TASK] = load(m, at(m, MM_TASK_LIST, r[R_MM]))
    return NEXT if r[R_TASK] != 0 else SKIP


@step
def next_task(m: Words, r: Words) -> int:
    """The next task on the list: back to `next_task`, or on when there is none."""
    r[R_TASK] = load(m, at(m, TASK_NEXT, r[R_TASK] - 1))
    return NEXT_TASK if r[R_TASK] != 0 else NEXT


@step
def add_task_rss(m: Words, r: Words) -> int:
    """rss += tsk->rss."""
    r[R_RSS] = r[R_RSS] + read_once(m, at(m, TASK_RSS, r[R_TASK] - 1))
    return NEXT


@step
def add_task_anon_rss(m: Words, r: Words) -> int:
    """anon_rss += tsk->anon_rss."""
    r[R_ANON_RSS] = r[R_ANON_RSS] + read_once(m, at(m, TASK_ANON_RSS, r[R_TASK] - 1))
    return NEXT
