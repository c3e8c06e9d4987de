"""Swapping out (mm/vmscan.c, try_to_unmap of mm/rmap.c): a page off the LRU, unmapped from every mm."""

from __future__ import annotations

from shm_layout.atomic import cmpxchg, fetch_and, fetch_or, load, read_once
from shm_layout.registers import R_ADDRESS, R_ARG, R_ENTRY, R_MM, R_NEW, R_PAGE, R_SCAN, R_SLOT
from shm_layout.structs import (
    MM_USERS,
    NR_MMS,
    NR_PAGES,
    NR_PTES,
    PAGE_CONTENT,
    PAGE_COUNT,
    PAGE_FLAGS,
    PAGE_MAPCOUNT,
    SWAP_COUNT,
    at,
)
from shm_layout.words import Words
from stress.kernel.mm_types import MM_FREE
from stress.kernel.page_alloc import content_address, put_page
from stress.kernel.pgtable import DIRTY, PG_DIRTY, PG_FREE, PG_LRU, first_page, pte_page, pte_present, swp_entry
from stress.kernel.rmap import page_anon
from stress.kernel.swap_state import (
    add_to_swap,
    drop_from_cache,
    slot_of,
    swap_duplicate,
    swap_writepage,
    tree_lock,
    tree_unlock,
)
from stress.labels import LAST, NEXT_MM, NOT_MAPPED
from stress.step import DONE, NEXT, helper, step


@helper
def isolate_page(m: Words, r: Words, frame: int) -> bool:
    """Take a page off the LRU with a reference, if it is on it and another reference is held."""
    flags = at(m, PAGE_FLAGS, frame)
    if (read_once(m, flags) & (PG_LRU | PG_FREE)) != PG_LRU:
        return False
    word = at(m, PAGE_COUNT, frame)
    count = load(m, word)
    if count <= 0 or cmpxchg(m, word, count, count + 1) != count:
        return False
    if (fetch_and(m, flags, ~PG_LRU) & PG_LRU) != 0:
        return True
    put_page(m, r, frame)
    return False


@step(whole="zone->lru_lock")
def isolate_lru_page(m: Words, r: Words) -> int:
    """shrink_cache: the first page on the LRU from frame R_ARG on; the operation ends when there is none.

    At most 64 frames are looked at, so that one call is short.
    """
    frame = r[R_ARG] % m[NR_PAGES]
    for _ in range(min(64, m[NR_PAGES])):
        if frame != 0 and isolate_page(m, r, frame):
            r[R_PAGE] = frame
            r[R_ARG] = 0
            return NEXT
        frame += 1
        if frame == m[NR_PAGES]:
            frame = 0
    return DONE


@step(whole="swap_list and tree_lock")
def add_to_swap_cache(m: Words, r: Words) -> int:
    """shrink_list: an anonymous page has or gets a swap slot; `last` when there is none. page->index is the address."""
    frame = r[R_PAGE]
    r[R_ADDRESS] = content_address(load(m, at(m, PAGE_CONTENT, frame)))
    if r[R_ADDRESS] < 0 or r[R_ADDRESS] >= m[NR_PTES]:
        return LAST
    r[R_SLOT] = add_to_swap(m, frame) + 1
    return NEXT if r[R_SLOT] != 0 or not page_anon(m, frame) else LAST


@step(whole="the locks of anon_vma and of the prio tree")
def next_vma(m: Words, r: Words) -> int:
    """try_to_unmap: go to the next mm in use that has the page's address; `last` after the last one."""
    mm = r[R_SCAN]
    while mm < m[NR_MMS] and (read_once(m, at(m, MM_USERS, mm)) == MM_FREE or r[R_ADDRESS] < first_page(m, mm)):
        mm += 1
    if mm >= m[NR_MMS]:
        r[R_SCAN] = mm
        return LAST
    r[R_MM] = mm
    r[R_SCAN] = mm + 1
    return NEXT


@step(private=True)
def page_check_address(m: Words, r: Words) -> int:
    """try_to_unmap_one: does the pte that was read map the page? Else to `not_mapped`."""
    if pte_present(r[R_ENTRY]) and pte_page(m, r[R_ENTRY]) == r[R_PAGE]:
        return NEXT
    return NOT_MAPPED


@step
def mk_swap_pte(m: Words, r: Words) -> int:
    """swp_entry_to_pte(entry), or none for a page of the file.

    To `not_mapped` with a page that has become anonymous since shrink_list looked: it was not mapped then, and
    shrink_list does not try to unmap such a page.
    """
    if r[R_SLOT] == 0 and page_anon(m, r[R_PAGE]):
        return NOT_MAPPED
    r[R_NEW] = swp_entry(r[R_SLOT] - 1) if r[R_SLOT] != 0 else 0
    return NEXT


@step(whole="swap_list")
def swap_duplicate_slot(m: Words, r: Words) -> int:
    """swap_duplicate(entry): the swap entry that is about to be set."""
    if r[R_SLOT] != 0:
        swap_duplicate(m, r, r[R_SLOT] - 1)
    return NEXT


@step
def move_dirty(m: Words, r: Words) -> int:
    """if (pte_dirty(pteval)) set_page_dirty(page)."""
    if (r[R_ENTRY] & DIRTY) != 0:
        fetch_or(m, at(m, PAGE_FLAGS, r[R_PAGE]), PG_DIRTY)
    return NEXT


@step(private=True)
def next_mm(m: Words, r: Words) -> int:
    """On to the next mm that may map the page."""
    r[R_ENTRY] = 0
    r[R_NEW] = 0
    return NEXT_MM


@step(whole="the page lock, tree_lock and zone->lock")
def pageout(m: Words, r: Words) -> int:
    """shrink_list after try_to_unmap: a page that only we and the swap cache hold is written out and freed.

    Any other goes back to the LRU; one that is mapped and no longer swapped out anywhere gives back its slot.
    Under tree_lock, so that nobody finds the page in the meantime.
    """
    frame = r[R_PAGE]
    tree_lock(m)
    slot = slot_of(m, frame)
    mappings = load(m, at(m, PAGE_MAPCOUNT, frame))
    unpinned = load(m, at(m, PAGE_COUNT, frame)) == 2 + mappings
    if slot >= 0 and unpinned and mappings == 0:
        swap_writepage(m, slot, frame)
        drop_from_cache(m, r, slot)
    else:
        fetch_or(m, at(m, PAGE_FLAGS, frame), PG_LRU)
        if slot >= 0 and unpinned and read_once(m, at(m, SWAP_COUNT, slot)) == 1:
            drop_from_cache(m, r, slot)
    put_page(m, r, frame)
    tree_unlock(m)
    return NEXT
