"""Deferred counting: current counts on itself, and the timer tick folds its counts into the mm if it can."""

from __future__ import annotations

from collections.abc import Callable

from stress.design import Bound
from stress.designs.atomic import READ_POSITIVE, STATM_POSITIVE
from stress.designs.parts import counter_checks
from stress.designs.parts.counter import Counter
from stress.designs.v12_reviewed import own_or_mm
from stress.designs.v12_sound import on_sound_path
from stress.kernel import exit as exit_
from stress.kernel import memory, spinlock
from stress.kernel.rss import deferred, task
from stress.kernel.rss import mm as mm_rss
from stress.labels import OUT
from stress.program import At, Entry, Program


def _held(cpus: int, threads: int, batch: int) -> None:
    return None


FOLD: tuple[Entry, ...] = (
    mm_rss.read_mm_rss,
    task.fold_rss,
    mm_rss.read_mm_anon_rss,
    task.fold_anon_rss,
    deferred.folded,
)
"""Task R_TASK's counts go to the mm; page_table_lock held."""

TICK = Program(
    memory.mmap_current,
    deferred.down_write_trylock,
    deferred.spin_trylock_tick,
    deferred.fold_current,
    FOLD,
    spinlock.spin_unlock,
    At(OUT),
    spinlock.up_write,
)


def deferred_counter(
    bound: Bound,
    count_rss: tuple[Entry, ...],
    more: dict[str, Program],
    checks: tuple[Callable[..., int], ...] = (counter_checks.nothing_lost,),
) -> Counter:
    """Return the counter by which faults without a lock count on current, and what holds page_table_lock on the mm."""
    return Counter(
        fault_rss=own_or_mm(task.if_own, count_rss, mm_rss.INC_RSS, locked=False),
        fault_anon_rss=own_or_mm(task.if_own, (deferred.count_anon_rss,), mm_rss.INC_ANON_RSS, locked=False),
        inc_rss=mm_rss.INC_RSS,
        inc_anon_rss=mm_rss.INC_ANON_RSS,
        dec_rss=mm_rss.DEC_RSS,
        dec_anon_rss=mm_rss.DEC_ANON_RSS,
        sub_freed=mm_rss.SUB_FREED,
        child_rss=mm_rss.INC_CHILD_RSS,
        child_anon_rss=mm_rss.INC_CHILD_ANON_RSS,
        statm=STATM_POSITIVE,
        status=READ_POSITIVE,
        stat=READ_POSITIVE,
        remove_thread=(spinlock.spin_lock, *FOLD, spinlock.spin_unlock),
        changed_mm=exit_.ZERO_TASK_COUNTS,
        more=more,
        bound=bound,
        checks=checks,
    )


DEFERRED = deferred_counter(
    Bound("what the tasks hold", _held), (deferred.count_rss,), {"tick": TICK}
)

DESIGN = on_sound_path(
    "deferred",
    2004,
    "deferred rss, posted on linux-kernel in December 2004",
    "current counts on itself, folded at a timer tick if page_table_lock and mmap_sem are free",
    DEFERRED,
)
