"""Page migration (mm/migrate.c): the content of a page moves to another frame, and with it all ptes that map the page.

While it moves, each of these ptes holds a *migration entry*: not present, counted in rss, and neither in the page's
mapcount nor in its count (`PTE_COUNTS`). It names the old page, whose lock the migration holds: a fault waits for that.
Only anonymous pages are moved here. A page of which somebody else has a reference stays where it is.
"""

from __future__ import annotations

from shm_layout.atomic import fetch_and, fetch_or, load, read_once, store, write_once
from shm_layout.registers import (
    R_ADDRESS,
    R_ENTRY,
    R_NEW,
    R_OLD_PAGE,
    R_PAGE,
    R_SCAN,
)
from shm_layout.structs import (
    MM_USERS,
    NR_MMS,
    NR_PTES,
    PAGE_CONTENT,
    PAGE_COUNT,
    PAGE_FLAGS,
    PAGE_MAPCOUNT,
    PRIVATE_END,
    SWAP_PAGE,
    at,
)
from shm_layout.words import Words
from stress.kernel.fork import inherit_written
from stress.kernel.memory import expect_no_data
from stress.kernel.mm_types import MM_FREE
from stress.kernel.page_alloc import alloc_page, content_address, get_page, put_page
from stress.kernel.pgtable import (
    DIRTY,
    NAMES_PAGE,
    PG_ACTIVE,
    PG_ANON,
    PG_DIRTY,
    PG_LOCKED,
    PG_LRU,
    PG_REFERENCED,
    PTE_COUNTS,
    WRITABLE,
    YOUNG,
    first_page,
    mk_pte,
    page_to_pfn,
    pte_at,
    pte_page,
)
from stress.kernel.pte_access import this_pte
from stress.kernel.rmap import page_anon
from stress.kernel.swap_state import set_slot, slot_of, tree_lock, tree_unlock
from stress.labels import MIGRATION_ENTRY, NEXT_MM, NOT_MAPPED, RACED
from stress.step import NEXT, WAIT, helper, step

KEPT_FLAGS = WRITABLE | DIRTY | YOUNG
"""What a migration entry remembers of the pte (dirty and young since 6.1)."""
COPIED_FLAGS = PG_ACTIVE | PG_REFERENCED | PG_DIRTY | PG_ANON
"""folio_migrate_flags(): what the new page takes over."""


@helper
def is_migration_entry(entry: int) -> bool:
    """is_migration_entry(entry): it counts its page, and does not hold it."""
    return (entry & NAMES_PAGE) == PTE_COUNTS


# what meets a migration entry


@step(private=True)
def if_migration_entry(m: Words, r: Words) -> int:
    """do_swap_page: if (is_migration_entry(entry)), to `migration_entry` with its page."""
    if not is_migration_entry(r[R_ENTRY]):
        return NEXT
    r[R_PAGE] = pte_page(m, r[R_ENTRY])
    return MIGRATION_ENTRY


@step(waits=True)
def migration_entry_wait(m: Words, r: Words) -> int:
    """migration_entry_wait_on_locked(): wait until the page that is moved is unlocked, without a reference (5.19)."""
    if (load(m, at(m, PAGE_FLAGS, r[R_PAGE])) & PG_LOCKED) != 0:
        return WAIT
    r[R_PAGE] = 0
    r[R_ENTRY] = 0
    return NEXT


@step(private=True)
def zap_migration_entry(m: Words, r: Words) -> int:
    """zap_pte_range: a migration entry that has been cleared, to `migration_entry`. Its data is expected no more."""
    if not is_migration_entry(r[R_ENTRY]):
        return NEXT
    expect_no_data(m, r)
    r[R_PAGE] = pte_page(m, r[R_ENTRY])
    return MIGRATION_ENTRY


@step(private=True)
def copy_migration_entry(m: Words, r: Words) -> int:
    """copy_nonpresent_pte: a migration entry, to `migration_entry`; private memory may only be read from now on."""
    if not is_migration_entry(r[R_ENTRY]):
        return NEXT
    inherit_written(m, r)
    r[R_PAGE] = pte_page(m, r[R_ENTRY])
    r[R_NEW] = r[R_ENTRY] & ~WRITABLE if r[R_ADDRESS] < m[PRIVATE_END] else r[R_ENTRY]
    return MIGRATION_ENTRY


@step
def make_readable_migration_entry(m: Words, r: Words) -> int:
    """set_pte_at(src_mm, addr, src_pte, pte): the parent's entry allows no store any more."""
    if r[R_NEW] != r[R_ENTRY]:
        store(m, this_pte(m, r), r[R_NEW])
    return NEXT


# migrate_pages()


@step(whole="the page lock, tried")
def trylock_folio(m: Words, r: Words) -> int:
    """folio_trylock(src) of an anonymous page, whose index is where it is looked for; else to `raced`."""
    frame = r[R_PAGE]
    r[R_OLD_PAGE] = frame
    r[R_ADDRESS] = content_address(load(m, at(m, PAGE_CONTENT, frame)))
    if r[R_ADDRESS] < 0 or r[R_ADDRESS] >= m[NR_PTES] or not page_anon(m, frame):
        return RACED
    return RACED if (fetch_or(m, at(m, PAGE_FLAGS, frame), PG_LOCKED) & PG_LOCKED) != 0 else NEXT


@step(private=True)
def make_migration_entry(m: Words, r: Words) -> int:
    """try_to_migrate_one: swp_pte = make_writable_migration_entry(page), or make_readable_migration_entry(page)."""
    r[R_NEW] = (page_to_pfn(m, r[R_PAGE]) << 12) | PTE_COUNTS | (r[R_ENTRY] & KEPT_FLAGS)
    return NEXT


@step(whole="the page lock, the lock of the swap cache and zone->lock; folio_ref_freeze")
def move_to_new_folio(m: Words, r: Words) -> int:
    """A page in R_PAGE takes over what R_OLD_PAGE holds, and its place in the swap cache; it is locked and ours.

    It is the old page itself where there is no memory, where that is mapped still, or where somebody else than we and
    the swap cache holds it (EAGAIN).
    """
    src = r[R_OLD_PAGE]
    r[R_SCAN] = 0
    tree_lock(m)
    slot = slot_of(m, src)
    owners = 1 + int(slot >= 0)
    if load(m, at(m, PAGE_MAPCOUNT, src)) == 0 and load(m, at(m, PAGE_COUNT, src)) == owners:
        dst = alloc_page(m, r, load(m, at(m, PAGE_CONTENT, src)), 1)
        if dst >= 0:
            flags = load(m, at(m, PAGE_FLAGS, src)) & COPIED_FLAGS
            write_once(m, at(m, PAGE_FLAGS, dst), flags | PG_LOCKED)
            if slot >= 0:
                write_once(m, at(m, SWAP_PAGE, slot), dst)
                set_slot(m, dst, slot)
                get_page(m, dst)
                set_slot(m, src, -1)
                put_page(m, r, src)
            r[R_PAGE] = dst
    tree_unlock(m)
    return NEXT


@step(private=True)
def if_entry_of_old_page(m: Words, r: Words) -> int:
    """remove_migration_pte: is the pte that was read a migration entry of the old page? Else to `not_mapped`."""
    ours = is_migration_entry(r[R_ENTRY]) and pte_page(m, r[R_ENTRY]) == r[R_OLD_PAGE]
    return NEXT if ours else NOT_MAPPED


@step(private=True)
def mk_migrated_pte(m: Words, r: Words) -> int:
    """remove_migration_pte: pte = mk_pte(new, prot), with what the entry remembers."""
    r[R_NEW] = mk_pte(m, r[R_PAGE], r[R_ENTRY] & KEPT_FLAGS)
    return NEXT


@step(whole="the lock of anon_vma, under which a child is looked at behind its parent")
def if_entries_left(m: Words, r: Words) -> int:
    """Whether a migration entry of the old page is left: a fork has copied it to an mm that was looked at already.

    rmap_walk() looks at a child behind its parent, so that it leaves none. Here mms are looked at by their numbers, and
    a child may have a lower one, so that they are looked at once more, from `next_mm`.
    """
    address = r[R_ADDRESS]
    for mm in range(m[NR_MMS]):
        if read_once(m, at(m, MM_USERS, mm)) == MM_FREE or address < first_page(m, mm):
            continue
        entry = read_once(m, pte_at(m, mm, address))
        if is_migration_entry(entry) and pte_page(m, entry) == r[R_OLD_PAGE]:
            r[R_SCAN] = 0
            return NEXT_MM
    return NEXT


@step
def reset_mapping(m: Words, r: Words) -> int:
    """src->mapping = NULL, of a page that has moved: from now on it is not anonymous (any more)."""
    if r[R_PAGE] != r[R_OLD_PAGE]:
        fetch_and(m, at(m, PAGE_FLAGS, r[R_OLD_PAGE]), ~PG_ANON)
    return NEXT


@step(whole="the lock of the LRU")
def putback_new_folio(m: Words, r: Words) -> int:
    """folio_add_lru(dst), folio_unlock(dst), and our reference of it goes; nothing for the old page itself."""
    if r[R_PAGE] != r[R_OLD_PAGE]:
        flags = at(m, PAGE_FLAGS, r[R_PAGE])
        fetch_or(m, flags, PG_LRU)
        fetch_and(m, flags, ~PG_LOCKED)
        put_page(m, r, r[R_PAGE])
    return NEXT


@step
def unlock_old_folio(m: Words, r: Words) -> int:
    """folio_unlock(src): who waits for the migration goes on."""
    fetch_and(m, at(m, PAGE_FLAGS, r[R_OLD_PAGE]), ~PG_LOCKED)
    return NEXT


@step(whole="the lock of the LRU")
def release_old_folio(m: Words, r: Words) -> int:
    """folio_put(src), which frees it; or, where it has not moved, folio_putback_lru(src)."""
    if r[R_PAGE] == r[R_OLD_PAGE]:
        fetch_or(m, at(m, PAGE_FLAGS, r[R_OLD_PAGE]), PG_LRU)
    put_page(m, r, r[R_OLD_PAGE])
    return NEXT
