"""The kernel that V12 was written against (2.6.9 to 2.6.10-rc): page_table_lock around everything."""

from __future__ import annotations

from stress.design import Design
from stress.designs.parts.counter import Counter
from stress.designs.parts.operations import FAULT_BEGIN, FAULT_END, Accesses, operations
from stress.kernel import filemap, memory, page_alloc, proc, pte_access, rmap, spinlock, swap, tlb
from stress.kernel.rss import mm as mm_rss
from stress.labels import (
    COPY,
    DO_ANONYMOUS_PAGE,
    DO_NO_PAGE,
    DO_SWAP_PAGE,
    DO_WP_PAGE,
    DO_ZERO_PAGE,
    MAPPED,
    MAPPED_COPY,
    NOT_ANON,
    OUT,
    OUT_UNLOCK,
    PTE_PRESENT,
    RACED,
)
from stress.program import At, Goto, Program

MM_COUNTER = Counter(
    fault_rss=mm_rss.INC_RSS,
    fault_anon_rss=mm_rss.INC_ANON_RSS,
    inc_rss=mm_rss.INC_RSS,
    inc_anon_rss=mm_rss.INC_ANON_RSS,
    dec_rss=mm_rss.DEC_RSS,
    dec_anon_rss=mm_rss.DEC_ANON_RSS,
    sub_freed=mm_rss.SUB_FREED,
    child_rss=mm_rss.INC_CHILD_RSS,
    child_anon_rss=mm_rss.INC_CHILD_ANON_RSS,
    statm=(mm_rss.sum_mm_rss, mm_rss.sum_mm_anon_rss, proc.show_statm),
    status=(mm_rss.sum_mm_rss, proc.show_rss),
    stat=(mm_rss.sum_mm_rss, proc.show_rss),
)
"""mm->rss and mm->anon_rss under page_table_lock."""


def locked_fault(counter: Counter) -> Program:
    """Return handle_mm_fault of 2.6.9: page_table_lock is taken on entry, and again after what may sleep."""
    retake = (spinlock.spin_lock, pte_access.PTE_NONE)
    raced = (At(RACED), spinlock.spin_unlock, page_alloc.page_cache_release, Goto(OUT))
    add_anon = (counter.inc_anon_rss, rmap.page_add_anon_rmap)
    return Program(
        FAULT_BEGIN,
        spinlock.spin_lock,
        pte_access.READ_PTE,
        memory.handle_pte_fault,
        At(DO_ANONYMOUS_PAGE),
        spinlock.spin_unlock,
        page_alloc.alloc_zeroed_page,
        retake,
        counter.inc_rss,
        swap.lru_cache_add_active,
        swap.mark_page_accessed,
        add_anon,
        memory.mk_anon_pte,
        pte_access.SET_PTE,
        tlb.update_mmu_cache,
        Goto(OUT_UNLOCK),
        raced,
        At(DO_ZERO_PAGE),
        memory.mk_zero_pte,
        pte_access.SET_PTE,
        tlb.update_mmu_cache,
        Goto(OUT_UNLOCK),
        At(DO_NO_PAGE),
        spinlock.spin_unlock,
        file_fault(counter),
        At(DO_SWAP_PAGE),
        spinlock.spin_unlock,
        swap_fault(counter),
        At(DO_WP_PAGE),
        memory.wp_pfn_valid,
        wp_fault(counter),
        At(PTE_PRESENT),
        memory.mk_young_pte,
        pte_access.SET_PTE,
        tlb.update_mmu_cache,
        Goto(OUT_UNLOCK),
        FAULT_END,
    )


def file_fault(counter: Counter) -> Program:
    """Return do_no_page, page_table_lock not held at first. A write to a private mapping makes an anonymous copy."""
    return Program(
        filemap.filemap_nopage,
        memory.if_write_to_private,
        page_alloc.alloc_copy,
        page_alloc.page_cache_release_old,
        spinlock.spin_lock,
        pte_access.PTE_NONE,
        counter.inc_rss,
        memory.mk_anon_pte,
        pte_access.SET_PTE,
        swap.lru_cache_add_active,
        counter.inc_anon_rss,
        rmap.page_add_anon_rmap,
        tlb.update_mmu_cache,
        Goto(OUT_UNLOCK),
        At(MAPPED),
        spinlock.spin_lock,
        pte_access.PTE_NONE,
        counter.inc_rss,
        memory.mk_file_pte,
        pte_access.SET_PTE,
        rmap.page_add_file_rmap,
        tlb.update_mmu_cache,
        Goto(OUT_UNLOCK),
        At(RACED),
        spinlock.spin_unlock,
        page_alloc.page_cache_release,
        Goto(OUT),
    )


def swap_fault(counter: Counter) -> Program:
    """Return do_swap_page, page_table_lock not held at first."""
    return Program(
        memory.swapin,
        spinlock.spin_lock,
        pte_access.PTE_SAME,
        memory.swap_free_entry,
        counter.inc_rss,
        memory.mk_swapped_pte,
        pte_access.SET_PTE,
        counter.inc_anon_rss,
        rmap.page_add_anon_rmap,
        tlb.update_mmu_cache,
        Goto(OUT_UNLOCK),
        At(RACED),
        spinlock.spin_unlock,
        page_alloc.page_cache_release,
        Goto(OUT),
    )


def wp_fault(counter: Counter) -> Program:
    """Return do_wp_page after pfn_valid, page_table_lock held. The new entry is set and flushed: ptep_establish."""
    return Program(
        memory.can_share_page,
        memory.mk_reused_pte,
        pte_access.SET_PTE,
        tlb.update_mmu_cache,
        At(RACED),  # of a recheck before anything is taken
        Goto(OUT_UNLOCK),
        At(COPY),
        page_alloc.page_cache_get,
        spinlock.spin_unlock,
        page_alloc.alloc_copy,
        spinlock.spin_lock,
        pte_access.PTE_SAME,
        rmap.if_old_page_anon,
        counter.dec_anon_rss,
        At(NOT_ANON),
        memory.if_reserved,
        counter.inc_rss,
        Goto(MAPPED_COPY),
        At(MAPPED),
        counter.unmap_old,
        rmap.page_remove_rmap_old,
        At(MAPPED_COPY),
        memory.mk_anon_pte,
        pte_access.SET_PTE,
        tlb.flush_tlb_page,
        tlb.update_mmu_cache,
        swap.lru_cache_add_active,
        counter.inc_anon_rss,
        rmap.page_add_anon_rmap,
        spinlock.spin_unlock,
        page_alloc.page_cache_release_old,
        page_alloc.page_cache_release_old,
        Goto(OUT),
        At(RACED),
        spinlock.spin_unlock,
        page_alloc.page_cache_release,
        page_alloc.page_cache_release_old,
        Goto(OUT),
    )


DESIGN = Design(
    name="page_table_lock",
    year=2004,
    source="Linux 2.6.9 to 2.6.10-rc",
    summary="every fault, zap, fork and swap-out under page_table_lock; plain counters in the mm",
    programs=operations(locked_fault(MM_COUNTER), MM_COUNTER, Accesses()),
)
