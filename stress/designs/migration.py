"""Linux 6.8 with page migration: while a page moves, ptes that map it hold entries that are not present and count.

A migration entry is counted in rss and not in the page's mapcount or count. munmap and exit take it out of rss again,
and fork counts the copy that it makes (3.3, 9f9f1acd713d). What kind of page it is follows from the old page, so that
page->mapping is reset behind remove_migration_ptes alone (3.3). Anonymous pages are moved; huge pages, pages of files
and NUMA nodes are not modelled.
"""

from __future__ import annotations

from dataclasses import replace

from stress.designs import linux_6_8
from stress.designs.parts.correction import everywhere
from stress.designs.parts.counter import Fragment
from stress.designs.parts.operations import FAULTS, ZAPS, Accesses, clear_pte, rmap_walk
from stress.kernel import fork, memory, migrate, page_alloc, pte_access, rmap, spinlock, tlb, vmscan
from stress.labels import (
    AGAIN,
    MIGRATION_ENTRY,
    NOT_ANON,
    OUT_UNLOCK,
    RACED,
    SKIP,
    SWAP_ENTRY,
)
from stress.program import At, Goto, Program

COUNTER = linux_6_8.COUNTER

ZAP_COUNT: Fragment = (rmap.if_page_anon, COUNTER.dec_anon_rss, At(NOT_ANON), memory.count_freed)
"""zap_pte_range: rss[mm_counter(page)]-- for a migration entry."""
FORK_COUNT: Fragment = (COUNTER.child_rss, rmap.if_page_anon, COUNTER.child_anon_rss, At(NOT_ANON))
"""copy_nonpresent_pte: rss[mm_counter(page)]++ for a migration entry."""

TRY_TO_MIGRATE = rmap_walk(
    vmscan.page_check_address,
    clear_pte(Accesses()),
    migrate.make_migration_entry,
    pte_access.SET_PTE,
    rmap.page_remove_rmap,
    page_alloc.page_cache_release,
)
REMOVE_MIGRATION_PTES = rmap_walk(
    migrate.if_entry_of_old_page,
    fork.get_page_mapped,
    migrate.mk_migrated_pte,
    rmap.page_add_anon_rmap,
    pte_access.SET_PTE,
    tlb.update_mmu_cache,
)

MIGRATE = Program(
    vmscan.isolate_lru_page,
    migrate.trylock_folio,
    TRY_TO_MIGRATE,
    migrate.move_to_new_folio,
    REMOVE_MIGRATION_PTES,
    migrate.if_entries_left,
    migrate.reset_mapping,
    migrate.putback_new_folio,
    migrate.unlock_old_folio,
    At(RACED),
    migrate.release_old_folio,
)


def _fault(p: Program) -> Program:
    """do_swap_page: a fault on a migration entry waits, without the lock of the page table, and looks again."""
    look = (spinlock.spin_lock, pte_access.READ_PTE, memory.handle_pte_fault)
    waits = (At(MIGRATION_ENTRY), spinlock.spin_unlock, migrate.migration_entry_wait, Goto(AGAIN))
    p = p.splice(look, At(AGAIN), look[:2], migrate.if_migration_entry, look[2])
    return p.before(At(OUT_UNLOCK), waits)


def _zap(p: Program) -> Program:
    p = p.before(memory.zap_entry, migrate.zap_migration_entry)
    return p.splice(
        (At(SWAP_ENTRY), memory.free_swap_and_cache),
        At(MIGRATION_ENTRY),
        ZAP_COUNT,
        Goto(SKIP),
        At(SWAP_ENTRY),
        memory.free_swap_and_cache,
    )


def _fork(p: Program) -> Program:
    p = p.before(fork.copy_one_pte, migrate.copy_migration_entry)
    return p.splice(
        (At(SWAP_ENTRY), fork.swap_duplicate_entry),
        At(MIGRATION_ENTRY),
        migrate.make_readable_migration_entry,
        FORK_COUNT,
        Accesses().set_child_pte,
        Goto(SKIP),
        At(SWAP_ENTRY),
        fork.swap_duplicate_entry,
    )


DESIGN = replace(
    linux_6_8.DESIGN.edit(fork=_fork, **everywhere(FAULTS, _fault))
    .edit(**everywhere((*ZAPS, "madvise_dontneed"), _zap))
    .with_programs(migrate_pages=MIGRATE),
    name="migration",
    year=2024,
    source="Linux 6.8, mm/migrate.c, mm/memory.c, on the fault path of linux_6_8",
    summary="pages move to other frames; meanwhile their ptes hold entries that are not present and count",
)
