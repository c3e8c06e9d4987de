"""Patch set V13 of 16 December 2004: what V12's review asked for, and counts that are put aside for ptrace."""

from __future__ import annotations

from collections.abc import Mapping

from stress.design import Design
from stress.designs.parts.correction import Correction, everywhere
from stress.designs.parts.counter import Counter
from stress.designs.parts.operations import FAULTS, ZAPS, Accesses, operations
from stress.designs.v12 import LIST_RSS, lockfree_fault
from stress.kernel import fork, memory, pgalloc, pte_access, rmap, spinlock, swap, tlb
from stress.kernel.rss.saved import RESTORE, SAVE
from stress.labels import DO_ANONYMOUS_PAGE, DO_ZERO_PAGE, ENTRY_SET, NEXT_PTE, PMD_PRESENT, PTE_PRESENT, RACED, SKIP
from stress.machine_kind import TWO_LEVELS
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

PTE_ALLOC_MAP: tuple[Entry, ...] = (
    pgalloc.if_pmd_none,
    pgalloc.pte_alloc_one,
    pgalloc.pmd_test_and_populate,
    pgalloc.read_nr_ptes,
    pgalloc.inc_nr_ptes,
    Goto(PMD_PRESENT),
    At(RACED),
    pgalloc.pte_free,
    At(PMD_PRESENT),
    pgalloc.pte_offset_map,
)
"""What handle_mm_fault does on each level but the last, here on the pmd: no lock, one cmpxchg, a plain count."""

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
    return p.after(spinlock.down_read, PTE_ALLOC_MAP)


def with_page_tables(programs: Mapping[str, Program]) -> Mapping[str, Program]:
    """Return operations that make page tables for a child, and free those of what munmap and exit take away."""
    made = {"fork": programs["fork"].after(At(NEXT_PTE), pgalloc.pte_alloc_map_child)}
    for name in programs.keys() & set(ZAPS):
        made[name] = programs[name].before(memory.next_pte, pgalloc.free_pte_range)
    return {**programs, **made}


def operations_of_v13(counter: Counter) -> Mapping[str, Program]:
    """All operations of V13, with the counts of current put aside in get_user_pages."""
    programs = with_page_tables(operations(fault_of_v13(counter), counter, ACCESSES_OF_V13))
    ptrace = programs["access_process_vm"].after(spinlock.down_read, SAVE).before(spinlock.up_read, RESTORE)
    return {**programs, "access_process_vm": ptrace}


DESIGN = Design(
    name="v13",
    year=2004,
    source="page fault scalability patch V13 [1-7/8], 16 December 2004",
    summary="V12 with cmpxchg8b, get_pte_atomic and the LRU behind the rmap; set_pte plain on PAE; as posted",
    programs=operations_of_v13(LIST_RSS),
    machine=TWO_LEVELS,
)

LOW_FIRST = Correction(
    "low first",
    "the compiler stores the low half of a pte first",
    everywhere(FAULTS, lambda p: p.replace(pte_access.SET_PTE_UNORDERED, pte_access.SET_PTE_LOW_FIRST)),
).apply(DESIGN, "v13_low_first")
"""V13 as built by a compiler that stores the low half of a pte first."""
