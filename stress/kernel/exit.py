"""The end of tasks and of address spaces, exec, and borrowed ones (kernel/exit.c, fs/exec.c, mm/mmap.c, fs/aio.c)."""

from __future__ import annotations

from shm_layout.atomic import cmpxchg, fetch_add, load, store, write_once
from shm_layout.registers import R_ADDRESS, R_ARG, R_CHILD, R_CURRENT, R_END, R_MM, R_TASK
from shm_layout.structs import (
    MM_USERS,
    NR_MMS,
    NR_PTES,
    TASK_ANON_RSS,
    TASK_DEPTH,
    TASK_FLAGS,
    TASK_MM,
    TASK_RSS,
    at,
)
from shm_layout.words import Words
from stress.kernel.fork import current_mm, publish_mm
from stress.kernel.mm_types import MM_EXITING, MM_FREE, MM_ONE_USER, NO_MM, PF_BORROWED_MM
from stress.kernel.pgtable import first_page
from stress.labels import LAST
from stress.step import DONE, NEXT, helper, step


@step(private=True)
def do_exit(m: Words, r: Words) -> int:
    """do_exit(): the task at the bottom of a CPU's stack stays, so that the CPU has something to run."""
    if r[R_CURRENT] % m[TASK_DEPTH] == 0:
        return DONE
    r[R_MM] = current_mm(m, r)
    r[R_TASK] = r[R_CURRENT] + 1
    return NEXT


@step
def schedule_parent(m: Words, r: Words) -> int:
    """The task has ended, tsk->mm = NULL: whatever it still counts is lost. The CPU goes on with the one below it."""
    write_once(m, at(m, TASK_MM, r[R_CURRENT]), NO_MM)
    r[R_CURRENT] = r[R_CURRENT] - 1
    return NEXT


@step
def mmput(m: Words, r: Words) -> int:
    """mmput(mm): the last user goes on to exit_mmap, any other to `last`."""
    users = fetch_add(m, at(m, MM_USERS, r[R_MM]), -1) - 1
    if users != MM_EXITING:
        return LAST
    r[R_ADDRESS] = first_page(m, r[R_MM])
    r[R_END] = m[NR_PTES]
    return NEXT


@step
def free_mm(m: Words, r: Words) -> int:
    """free_mm(mm): it can be allocated again."""
    store(m, at(m, MM_USERS, r[R_MM]), MM_FREE)
    return NEXT


@helper
def get_mm(m: Words, mm: int) -> bool:
    """atomic_inc_not_zero(&mm->mm_users)."""
    word = at(m, MM_USERS, mm)
    users = load(m, word)
    while users >= MM_ONE_USER:
        found = cmpxchg(m, word, users, users + 1)
        if found == users:
            return True
        users = found
    return False


@step
def get_task_mm(m: Words, r: Words) -> int:
    """get_task_mm(task): a use of mm R_ARG - 1, of current's own where R_ARG is 0; ends if nobody uses it."""
    mm = r[R_ARG] - 1
    if mm < 0:
        mm = current_mm(m, r)
    r[R_MM] = mm
    return NEXT if mm < m[NR_MMS] and get_mm(m, mm) else DONE


# exec


@step(private=True)
def do_execve(m: Words, r: Words) -> int:
    """exec_mmap(): the old mm, and current as the task that changes over."""
    r[R_MM] = current_mm(m, r)
    r[R_TASK] = r[R_CURRENT] + 1
    return NEXT


@step
def activate_mm(m: Words, r: Words) -> int:
    """tsk->mm = mm: current has its new mm."""
    write_once(m, at(m, TASK_MM, r[R_CURRENT]), r[R_CHILD])
    publish_mm(m, r[R_CHILD])
    return NEXT


@step(private=True)
def swap_mms(m: Words, r: Words) -> int:
    """What follows acts on the new mm, then (a second time) on the old one."""
    mm = r[R_MM]
    r[R_MM] = r[R_CHILD]
    r[R_CHILD] = mm
    return NEXT


@step
def zero_task_rss(m: Words, r: Words) -> int:
    """What current counted belongs to the old mm: tsk->rss = 0, while it is on no list."""
    write_once(m, at(m, TASK_RSS, r[R_CURRENT]), 0)
    return NEXT


@step
def zero_task_anon_rss(m: Words, r: Words) -> int:
    """And tsk->anon_rss = 0."""
    write_once(m, at(m, TASK_ANON_RSS, r[R_CURRENT]), 0)
    return NEXT


ZERO_TASK_COUNTS = (zero_task_rss, zero_task_anon_rss)


# use_mm


@step
def use_mm(m: Words, r: Words) -> int:
    """use_mm(mm): the kernel thread on top of this CPU's stack takes R_MM for its own. It is on no list."""
    task = r[R_TASK] - 1
    write_once(m, at(m, TASK_MM, task), r[R_MM])
    write_once(m, at(m, TASK_FLAGS, task), PF_BORROWED_MM)
    write_once(m, at(m, TASK_RSS, task), 0)
    write_once(m, at(m, TASK_ANON_RSS, task), 0)
    r[R_CURRENT] = task
    return NEXT


@step
def unuse_mm(m: Words, r: Words) -> int:
    """unuse_mm(mm): tsk->mm = NULL, the kernel thread sleeps; what it counted on itself is lost with it."""
    write_once(m, at(m, TASK_FLAGS, r[R_CURRENT]), 0)
    write_once(m, at(m, TASK_MM, r[R_CURRENT]), NO_MM)
    r[R_CURRENT] = r[R_CURRENT] - 1
    return NEXT
