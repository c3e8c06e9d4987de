"""Patch set V13 of 16 December 2004: what V12's review asked for, and counts that are put aside for ptrace."""

from __future__ import annotations

from collections.abc import Mapping

from stress.design import Design
from stress.designs.parts.correction import Correction, everywhere
from stress.designs.parts.counter import Counter
from stress.designs.parts.operations import FAULTS, Accesses, operations
from stress.designs.v12 import LIST_RSS, lockfree_fault
from stress.kernel import fork, pte_access, rmap, spinlock, swap, tlb
from stress.kernel.rss.saved import RESTORE, SAVE
from stress.labels import DO_ANONYMOUS_PAGE, DO_ZERO_PAGE, ENTRY_SET, PTE_PRESENT, RACED, SKIP
from stress.program import At, Entry, Goto, Program

PTEP_CMPXCHG_OF_V13: tuple[Entry, ...] = (
    tlb.if_mmu_cache,
    spinlock.spin_lock,
    pte_access.PTE_SAME,
    pte_access.SET_PTE_UNORDERED,
    tlb.update_mmu_cache,
    spinlock.spin_unlock,
    Goto(ENTRY_SET),
    At(RACED),
    spinlock.spin_unlock,
    Goto(RACED),
    At(SKIP),
    pte_access.PTEP_CMPXCHG,
    At(ENTRY_SET),
)
"""ptep_cmpxchg, which includes update_mmu_cache: where that does something, both happen under page_table_lock."""

ACCESSES_OF_V13 = Accesses(
    set_pte=pte_access.SET_PTE_UNORDERED,
    set_child_pte=fork.SET_CHILD_PTE,
    xchg_flush=pte_access.PTEP_XCHG_FLUSH_LOW,
)
"""On PAE set_pte is the assignment of a 64-bit variable: a compiler makes two stores of it, here the high half first.
`LOW_FIRST` is the other order.
"""


def fault_of_v13(counter: Counter) -> Program:
    """handle_mm_fault of V13: V12's, with whole reads and exchanges of the pte, and the LRU behind the rmap.

    What runs under page_table_lock is V12's. do_wp_page there still trusts the entry that was read before the lock.
    """
    p = lockfree_fault(counter)
    p = p.replace(pte_access.READ_PTE, pte_access.GET_PTE_ATOMIC)
    p = p.replace(pte_access.SET_PTE_ATOMIC, pte_access.SET_PTE_UNORDERED)
    p = p.swap(swap.lru_cache_add_active, rmap.page_add_anon_rmap, within=DO_ANONYMOUS_PAGE)
    for section in (DO_ANONYMOUS_PAGE, DO_ZERO_PAGE, PTE_PRESENT):
        p = p.drop(tlb.update_mmu_cache, within=section)
        p = p.replace(pte_access.PTEP_CMPXCHG_LOW, *PTEP_CMPXCHG_OF_V13, within=section)
    return p


def operations_of_v13(counter: Counter) -> Mapping[str, Program]:
    """All operations of V13, with the counts of current put aside in get_user_pages."""
    programs = operations(fault_of_v13(counter), counter, ACCESSES_OF_V13)
    ptrace = programs["access_process_vm"].after(spinlock.down_read, SAVE).before(spinlock.up_read, RESTORE)
    return {**programs, "access_process_vm": ptrace}


DESIGN = Design(
    name="v13",
    year=2004,
    source="page fault scalability patch V13 [1-7/8], 16 December 2004",
    summary="V12 with cmpxchg8b, get_pte_atomic and the LRU behind the rmap; set_pte plain on PAE; as posted",
    programs=operations_of_v13(LIST_RSS),
)

LOW_FIRST = Correction(
    "low first",
    "the compiler stores the low half of a pte first",
    everywhere(FAULTS, lambda p: p.replace(pte_access.SET_PTE_UNORDERED, pte_access.SET_PTE_LOW_FIRST)),
).apply(DESIGN, "v13_low_first")
"""V13 as built by a compiler that stores the low half of a pte first."""
