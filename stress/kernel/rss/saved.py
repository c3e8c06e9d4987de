"""get_user_pages of V13 to V15: current's counts are put aside while it faults on another mm (mm/memory.c).

The fault counts on current without asking whose mm it is. What it counted is then added to that mm, and current's own
counts are put back. In between, a task that sums the mm of current finds none of what current has counted there.
"""

from __future__ import annotations

from shm_layout.atomic import write_once
from shm_layout.registers import R_AMOUNT, R_CURRENT, R_LEVEL, R_MEMBER, R_MM, R_PAGE, R_TASK
from shm_layout.structs import TASK_ANON_RSS, TASK_MM, TASK_RSS, at
from shm_layout.words import Words
from stress.kernel import spinlock
from stress.kernel.rss import mm as mm_rss
from stress.kernel.rss import task as task_rss
from stress.labels import SKIP
from stress.program import At
from stress.step import NEXT, step


@step(private=True)
def if_other_mm(m: Words, r: Words) -> int:
    """if (mm != current->mm), else to `skip`. What follows moves the counts of current."""
    r[R_TASK] = r[R_CURRENT] + 1
    return SKIP if m[at(m, TASK_MM, r[R_CURRENT])] == r[R_MM] else NEXT


@step(private=True)
def borrowed_on_list(m: Words, r: Words) -> int:
    """use_mm of V15: the kernel thread is on the mm's list, where its counts are summed, and folded at the end."""
    r[R_MEMBER] = task_rss.ASIDE
    return NEXT


@step(private=True)
def if_no_page(m: Words, r: Words) -> int:
    """VM_FAULT_SIGBUS or VM_FAULT_OOM: get_user_pages returns at once, `skip`."""
    return SKIP if r[R_PAGE] < 0 else NEXT


@step
def save_rss(m: Words, r: Words) -> int:
    """rss = current->rss; current->rss = 0. Only current writes it."""
    word = at(m, TASK_RSS, r[R_CURRENT])
    r[R_AMOUNT] = m[word]
    write_once(m, word, 0)
    return NEXT


@step
def save_anon_rss(m: Words, r: Words) -> int:
    """anon_rss = current->anon_rss; current->anon_rss = 0."""
    word = at(m, TASK_ANON_RSS, r[R_CURRENT])
    r[R_MEMBER] = task_rss.ASIDE
    r[R_LEVEL] = m[word]
    write_once(m, word, 0)
    return NEXT


@step
def restore_rss(m: Words, r: Words) -> int:
    """current->rss = rss."""
    write_once(m, at(m, TASK_RSS, r[R_CURRENT]), r[R_AMOUNT])
    return NEXT


@step
def restore_anon_rss(m: Words, r: Words) -> int:
    """current->anon_rss = anon_rss."""
    write_once(m, at(m, TASK_ANON_RSS, r[R_CURRENT]), r[R_LEVEL])
    r[R_MEMBER] = 0
    return NEXT


SAVE = (if_other_mm, spinlock.spin_lock, save_rss, save_anon_rss, spinlock.spin_unlock, At(SKIP))
"""Before handle_mm_fault."""

RESTORE = (
    if_other_mm,
    if_no_page,
    spinlock.spin_lock,
    mm_rss.read_mm_rss,
    task_rss.fold_rss,
    mm_rss.read_mm_anon_rss,
    task_rss.fold_anon_rss,
    restore_rss,
    restore_anon_rss,
    spinlock.spin_unlock,
    At(SKIP),
)
"""Behind it. Where the fault failed, get_user_pages has returned from between the two, and nothing is put back."""
