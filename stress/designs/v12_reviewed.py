"""V12 with what the review of 9 December 2004 asks for, and nothing else: one correction per finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from stress.design import Design
from stress.designs.parts.correction import Correction, corrected, everywhere
from stress.designs.parts.operations import FAULTS, ZAPS
from stress.designs.v12 import DESIGN as V12
from stress.designs.v12 import GET_RSS_OF_V12, INC_TASK_ANON_RSS, INC_TASK_RSS, STATM_OF_V12, walk
from stress.kernel import fork, proc, pte_access, rmap, spinlock, swap, tlb
from stress.kernel.rss import mm as mm_rss
from stress.kernel.rss import task as task_rss
from stress.labels import COUNTED, DO_ANONYMOUS_PAGE, DO_ZERO_PAGE, OTHER_MM, PTE_PRESENT, SKIP, STALE
from stress.program import At, Entry, Goto, Program

SINGLE_PASS = Program(
    mm_rss.sum_mm_rss,
    mm_rss.sum_mm_anon_rss,
    walk(task_rss.add_task_rss, task_rss.add_task_anon_rss),
)
"""The one get_rss that the review asks for: both sums in a single pass over the tasks."""

STATM_SINGLE_PASS = Program(SINGLE_PASS, proc.show_statm_positive)
STATUS_SINGLE_PASS = Program(SINGLE_PASS, proc.show_rss_positive)

MMU_CACHE_LOCKED: tuple[Entry, ...] = (
    tlb.if_mmu_cache,
    spinlock.spin_lock,
    pte_access.PTE_STILL_NEW,
    tlb.update_mmu_cache,
    At(STALE),
    spinlock.spin_unlock,
    At(SKIP),
)
"""update_mmu_cache under page_table_lock, if the pte still is what was set; nothing where it does nothing."""


def own_or_mm(test: Entry, count: tuple[Entry, ...], on_mm: tuple[Entry, ...], locked: bool) -> tuple[Entry, ...]:
    """Count on current if ``test`` says that it is the mm's own, else on the mm under page_table_lock."""
    fallback = on_mm if locked else (spinlock.spin_lock, *on_mm, spinlock.spin_unlock)
    return (test, *count, Goto(COUNTED), At(OTHER_MM), *fallback, At(COUNTED))


def count_on_owner(test: Entry) -> Callable[[Program], Program]:
    """Return the edit of F08 and F09 with this test.

    do_anonymous_page holds no lock; the other callers of page_add_anon_rmap hold page_table_lock already.
    """
    locked = own_or_mm(test, INC_TASK_ANON_RSS, mm_rss.INC_ANON_RSS, locked=True)
    unlocked = own_or_mm(test, INC_TASK_ANON_RSS, mm_rss.INC_ANON_RSS, locked=False)
    rss = own_or_mm(test, INC_TASK_RSS, mm_rss.INC_RSS, locked=False)

    def change(p: Program) -> Program:
        p = p.splice(INC_TASK_ANON_RSS, locked)
        p = p.splice(locked, unlocked, within=DO_ANONYMOUS_PAGE)
        return p.splice(INC_TASK_RSS, rss, within=DO_ANONYMOUS_PAGE)

    return change


def lock_mmu_cache(p: Program) -> Program:
    """Return the edit of F10: the three faults that set a pte without the lock."""
    for section in (DO_ANONYMOUS_PAGE, DO_ZERO_PAGE, PTE_PRESENT):
        p = p.replace(tlb.update_mmu_cache, MMU_CACHE_LOCKED, within=section)
    return p


F01 = Correction(
    "F01",
    "ptep_cmpxchg compares and writes the whole entry on PAE (cmpxchg8b)",
    everywhere(FAULTS, lambda p: p.replace(pte_access.PTEP_CMPXCHG_LOW, pte_access.PTEP_CMPXCHG)),
)
F06 = Correction(
    "F06",
    "statm, status and stat show what one get_rss sums in a single pass over the tasks",
    {
        "statm": lambda p: p.splice(tuple(STATM_OF_V12), STATM_SINGLE_PASS),
        **everywhere(("status", "stat"), lambda p: p.splice(tuple(GET_RSS_OF_V12), STATUS_SINGLE_PASS)),
    },
)
F08 = Correction(
    "F08, F09",
    "count on current only if current->mm is the mm and not borrowed, else on the mm under page_table_lock",
    everywhere(FAULTS, count_on_owner(task_rss.if_own)),
)
F10 = Correction(
    "F10",
    "update_mmu_cache runs under page_table_lock, if the pte still is the one that was set",
    everywhere(FAULTS, lock_mmu_cache),
)
F11 = Correction(
    "F11",
    "do_anonymous_page puts the page on the LRU when its mapping has been counted, not before",
    everywhere(
        FAULTS,
        lambda p: p.swap(swap.lru_cache_add_active, rmap.page_add_anon_rmap, within=DO_ANONYMOUS_PAGE),
    ),
)
F13 = Correction(
    "F13, F14",
    "handle_pte_fault reads the entry by get_64bit on PAE; set_pte is atomic where that read may meet it",
    everywhere(FAULTS, lambda p: p.replace(pte_access.READ_PTE, pte_access.GET_PTE_ATOMIC)),
)
F16 = Correction(
    "F16",
    "fork-copy writes the child's ptes plainly, and a zap clears ptes in halves: nobody faults there",
    {
        "fork": lambda p: p.replace(fork.SET_CHILD_PTE_ATOMIC, fork.SET_CHILD_PTE),
        **everywhere(
            ZAPS, lambda p: p.replace(pte_access.PTEP_GET_AND_CLEAR, pte_access.PTEP_GET_AND_CLEAR_PLAIN)
        ),
    },
)

CORRECTIONS: tuple[Correction, ...] = (F01, F06, F08, F10, F11, F13, F16)
"""What the review asks for."""

DESIGN: Design = replace(
    corrected(V12, "v12_reviewed", CORRECTIONS),
    summary="V12 with what its review of December 2004 asks for, and nothing else: some races remain",
)
