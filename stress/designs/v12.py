"""Patch set V12 as posted on 1 December 2004: no lock on entry to a fault, counters split over the tasks."""

from __future__ import annotations

from stress.design import Design
from stress.designs.page_table_lock import file_fault, swap_fault, wp_fault
from stress.designs.parts.counter import Counter
from stress.designs.parts.operations import FAULT_BEGIN, FAULT_END, Accesses, operations
from stress.kernel import fork, memory, page_alloc, proc, pte_access, rmap, spinlock, swap, tlb
from stress.kernel.rss import mm as mm_rss
from stress.kernel.rss import task as task_rss
from stress.labels import (
    DO_ANONYMOUS_PAGE,
    DO_NO_PAGE,
    DO_SWAP_PAGE,
    DO_WP_PAGE,
    DO_ZERO_PAGE,
    NEXT_TASK,
    OUT,
    PTE_PRESENT,
    RACED,
    SKIP,
)
from stress.program import At, Goto, Program
from stress.step import StepFunction

INC_TASK_RSS = (task_rss.read_task_rss, task_rss.inc_task_rss)
INC_TASK_ANON_RSS = (task_rss.read_task_anon_rss, task_rss.inc_task_anon_rss)


def walk(*per_task: StepFunction) -> Program:
    """Return one pass over the mm's list of tasks under RCU."""
    return Program(
        task_rss.rcu_read_lock,
        task_rss.first_task,
        At(NEXT_TASK),
        per_task,
        task_rss.next_task,
        At(SKIP),
        task_rss.rcu_read_unlock,
    )


GET_RSS_OF_V12 = Program(mm_rss.sum_mm_rss, walk(task_rss.add_task_rss), proc.show_rss_positive)
"""get_rss of V12: status and stat show it."""

STATM_OF_V12 = Program(
    mm_rss.sum_mm_rss,
    mm_rss.sum_mm_anon_rss,
    walk(task_rss.add_task_rss, task_rss.add_task_anon_rss),
    proc.show_shared_positive,
    mm_rss.sum_mm_rss,
    proc.show_resident,
)
"""statm of V12: shared = get_shared, resident = mm->rss as it is."""

LIST_RSS = Counter(
    fault_rss=INC_TASK_RSS,
    fault_anon_rss=INC_TASK_ANON_RSS,
    inc_rss=mm_rss.INC_RSS,
    inc_anon_rss=INC_TASK_ANON_RSS,
    dec_rss=mm_rss.DEC_RSS,
    dec_anon_rss=mm_rss.DEC_ANON_RSS,
    sub_freed=mm_rss.SUB_FREED,
    child_rss=mm_rss.INC_CHILD_RSS,
    child_anon_rss=mm_rss.INC_CHILD_ANON_RSS,
    dup_task=fork.dup_task_struct,
    add_thread=(spinlock.spin_lock, task_rss.list_add_rcu, spinlock.spin_unlock),
    remove_thread=(
        spinlock.spin_lock,
        mm_rss.read_mm_rss,
        task_rss.fold_rss,
        mm_rss.read_mm_anon_rss,
        task_rss.fold_anon_rss,
        task_rss.list_del_rcu,
        spinlock.spin_unlock,
    ),
    statm=STATM_OF_V12,
    status=GET_RSS_OF_V12,
    stat=GET_RSS_OF_V12,
)
"""list_rss, patch 7 of 7."""


def lockfree_fault(counter: Counter) -> Program:
    """Return handle_mm_fault of V12: ptep_cmpxchg in the place of page_table_lock for anonymous and young faults."""
    return Program(
        FAULT_BEGIN,
        pte_access.READ_PTE,
        memory.handle_pte_fault,
        At(DO_ANONYMOUS_PAGE),
        page_alloc.alloc_zeroed_page,
        swap.mark_page_accessed,
        memory.mk_anon_pte,
        pte_access.PTEP_CMPXCHG_LOW,
        swap.lru_cache_add_active,
        counter.fault_anon_rss,
        rmap.page_add_anon_rmap,
        counter.fault_rss,
        tlb.update_mmu_cache,
        Goto(OUT),
        At(RACED),
        page_alloc.page_cache_release,
        Goto(OUT),
        At(DO_ZERO_PAGE),
        memory.mk_zero_pte,
        pte_access.PTEP_CMPXCHG_LOW,
        tlb.update_mmu_cache,
        At(RACED),
        Goto(OUT),
        At(DO_NO_PAGE),
        file_fault(counter),
        At(DO_SWAP_PAGE),
        swap_fault(counter),
        At(DO_WP_PAGE),
        spinlock.spin_lock,
        memory.wp_pfn_valid,
        wp_fault(counter),
        At(PTE_PRESENT),
        memory.mk_young_pte,
        pte_access.PTEP_CMPXCHG_LOW,
        tlb.update_mmu_cache,
        At(RACED),
        Goto(OUT),
        FAULT_END,
    ).replace(pte_access.SET_PTE, pte_access.SET_PTE_ATOMIC)


ACCESSES_OF_V12 = Accesses(
    set_pte=pte_access.SET_PTE_ATOMIC,
    set_child_pte=fork.SET_CHILD_PTE_ATOMIC,
    xchg_flush=pte_access.PTEP_XCHG_FLUSH_LOW,
)

DESIGN = Design(
    name="v12",
    year=2004,
    source="page fault scalability patch V12 [1-7/7], 1 December 2004",
    summary="lock-free anonymous faults, 64-bit ptes on PAE, rss and anon_rss split over the tasks; as posted",
    programs=operations(lockfree_fault(LIST_RSS), LIST_RSS, ACCESSES_OF_V12),
)
