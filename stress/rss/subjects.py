"""The counters that are compared: each design's own fragments, and what they are held against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from shm_layout.counter_tree import tree_items
from stress import designs
from stress.design import Bound, Design
from stress.designs import cached, deferred, deferred_16, lazy, linux_6_16, percpu, tree
from stress.designs.atomic import ATOMIC
from stress.designs.parts.counter import Fragment
from stress.designs.ptlock_split import FILE_AND_ANON
from stress.designs.v11_sloppy import SLOPPY
from stress.designs.v12 import INC_TASK_RSS
from stress.designs.v12_reviewed import own_or_mm
from stress.designs.v12_sound import GET_RSS_LOCKED
from stress.kernel import proc, spinlock
from stress.kernel.rss import amount, kinds, task
from stress.kernel.rss import mm as mm_rss
from stress.kernel.rss.cached import TASK_RSS_EVENTS_THRESH
from stress.kernel.rss.deferred import MOST
from stress.program import Program

WORD = 8
"""Bytes."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A counter and how to work it. Equal to itself alone, as what is compiled for it is kept with it.

    ``up`` counts one page of a fault, ``down`` takes R_FREED pages off at the end of a zap, ``read`` is what statm
    reads and ``precise`` the exact sum where there is one; ``ticks`` are performed at each tick of the timer.
    ``stay(cpus, batch)``: pages that each CPU, or its task, can count before anything is folded.
    ``bytes_per_mm(cpus, threads)``: the words that it needs for an mm, without padding; None where nobody knows.
    ``bare``: what a change comes down to, without steps, see `stress.rss.loop_source`; "" where nobody wrote that.
    ``design_name``: the design that the counter comes from, where it does not have the counter's own name.
    ``own``: the design that it comes from, where that is the user's.
    """

    name: str
    up: Fragment
    down: Fragment
    read: Fragment
    bare: str
    bytes_per_mm: Callable[[int, int], int | None]
    precise: Fragment = ()
    ticks: tuple[Program, ...] = ()
    stay: Callable[[int, int], list[int]] = field(default=lambda cpus, batch: [16] * cpus)
    design_name: str = ""
    own: Design | None = None

    @property
    def design(self) -> Design:
        """Return the design that the counter comes from."""
        return self.own or designs.get(self.design_name or self.name)

    @property
    def bound(self) -> Bound:
        """Return how far what ``read`` shows may be off."""
        return self.design.bound_of("statm")


def locked(fragment: Fragment) -> Fragment:
    """Return the fragment under page_table_lock, as a zap of 2004 holds it when it counts."""
    return (spinlock.spin_lock, *fragment, spinlock.spin_unlock)


def _in_mm(words: int, per_task: int = 0) -> Callable[[int, int], int]:
    return lambda cpus, threads: WORD * (words + per_task * threads)


def _stay(pages: int) -> Callable[[int, int], list[int]]:
    return lambda cpus, batch: [pages] * cpus


def _below_batch(cpus: int, batch: int) -> list[int]:
    return [batch - 1] * cpus


def _fill_tree(cpus: int, batch: int) -> list[int]:
    return [pages for pages, _ in tree.fullest(cpus, batch)]


def _percpu_bytes(cpus: int, threads: int) -> int:
    return 2 * WORD * (2 + cpus)


def _three_percpu_bytes(cpus: int, threads: int) -> int:
    return 3 * _percpu_bytes(cpus, threads) // 2


def _tree_bytes(cpus: int, threads: int) -> int:
    return 2 * WORD * (1 + tree_items(cpus) + cpus)


def _lazy_bytes(cpus: int, threads: int) -> int:
    return WORD * 5 if threads == 1 else _percpu_bytes(cpus, threads) + 3 * WORD


SUBJECTS: dict[str, Subject] = {
    s.name: s
    for s in (
        Subject(
            "v11_sloppy",
            SLOPPY.fault_rss,
            locked(SLOPPY.sub_freed),
            SLOPPY.statm,
            "plain_mm",
            _in_mm(2),
        ),
        Subject("atomic", ATOMIC.fault_rss, ATOMIC.sub_freed, ATOMIC.statm, "atomic_mm", _in_mm(2)),
        Subject(
            "deferred",
            deferred.DEFERRED.fault_rss,
            locked(deferred.DEFERRED.sub_freed),
            deferred.DEFERRED.statm,
            "plain_task",
            _in_mm(2, 2),
            ticks=(deferred.TICK,),
        ),
        Subject(
            "deferred_16",
            deferred_16.DEFERRED_16.fault_rss,
            locked(deferred_16.DEFERRED_16.sub_freed),
            deferred_16.DEFERRED_16.statm,
            "task_then_locked_mm",
            _in_mm(2, 2),
            stay=_stay(MOST),
        ),
        Subject(
            "list",
            own_or_mm(task.if_own, INC_TASK_RSS, mm_rss.INC_RSS, locked=False),
            locked(mm_rss.SUB_FREED),
            (GET_RSS_LOCKED, proc.show_statm_positive),
            "plain_task",
            _in_mm(3, 4),
        ),
        Subject(
            "ptlock_split",
            FILE_AND_ANON.fault_anon_rss,
            (amount.count_anon_freed_all, *FILE_AND_ANON.sub_freed),
            FILE_AND_ANON.statm,
            "atomic_mm",
            _in_mm(2),
        ),
        Subject(
            "cached",
            (*cached.CHECK_SYNC, *cached.CACHED.fault_rss),
            cached.CACHED.sub_freed,
            cached.CACHED.statm,
            "task_then_atomic_mm",
            _in_mm(2, 3),
            stay=_stay(TASK_RSS_EVENTS_THRESH),
        ),
        Subject(
            "percpu",
            percpu.PERCPU.fault_rss,
            percpu.PERCPU.sub_freed,
            percpu.PERCPU.statm,
            "cpu_then_locked_mm",
            _percpu_bytes,
            precise=percpu.PRECISE,
            stay=_below_batch,
        ),
        Subject(
            "lazy",
            lazy.LAZY.fault_rss,
            lazy.LAZY.sub_freed,
            lazy.LAZY.statm,
            "flag_then_plain_mm",
            _lazy_bytes,
            precise=lazy.LAZY.precise,
            stay=_below_batch,
        ),
        Subject(
            "linux_6_16",
            linux_6_16.COUNTER.fault_anon_rss,
            (kinds.rss_vec_anon, *linux_6_16.COUNTER.sub_freed),
            linux_6_16.COUNTER.statm,
            "cpu_then_locked_mm",
            _three_percpu_bytes,
            stay=_below_batch,
        ),
        Subject(
            "tree",
            tree.TREE.fault_rss,
            tree.TREE.sub_freed,
            tree.TREE.statm,
            "cpu_then_atomic_mm",
            _tree_bytes,
            precise=tree.TREE.precise,
            stay=_fill_tree,
        ),
    )
}
"""In the order of their years."""
