"""Swap-in from a fast device without the swap cache (do_swap_page of mm/memory.c, since 4.15, SWP_SYNCHRONOUS_IO).

A page table alone names the slot, so its page is read into a page of the fault's own. swapcache_prepare takes the
slot's place in the swap cache first (Linux 6.8, 13ddaf26be32): who does not get it tries again. Without it two faults
read the slot at the same time, and the slot may be freed and used again before the second looks at the pte.
"""

from __future__ import annotations

from shm_layout.atomic import read_once, write_once
from shm_layout.registers import R_ENTRY, R_NEW, R_PAGE, R_WRITE
from shm_layout.structs import NR_SWAP, SWAP_CONTENT, SWAP_COUNT, SWAP_PAGE, at
from shm_layout.words import Words
from stress.kernel.page_alloc import alloc_page
from stress.kernel.pgtable import DIRTY, WRITABLE, YOUNG, mk_pte, pte_to_slot
from stress.kernel.swap_state import SWAP_HAS_CACHE, put_slot, tree_lock, tree_unlock
from stress.labels import OUT, STALE, SWAP_CACHED
from stress.step import NEXT, helper, step


@helper
def fast_swap(m: Words, slot: int) -> int:
    """How a slot is read in: by the fault itself (NEXT), `swap_cached`, or `out`: it is free or being read. Locked."""
    count = read_once(m, at(m, SWAP_COUNT, slot))
    if count <= 0 or count >= SWAP_HAS_CACHE:
        return OUT
    return NEXT if count == 1 and read_once(m, at(m, SWAP_PAGE, slot)) == 0 else SWAP_CACHED


@helper
def look_at_slot(m: Words, r: Words, prepare: bool) -> int:
    """`fast_swap` of the slot that the entry names; ``prepare``: take its place in the swap cache if it is fast."""
    slot = pte_to_slot(r[R_ENTRY])
    if slot < 0 or slot >= m[NR_SWAP]:
        return OUT
    tree_lock(m)
    how = fast_swap(m, slot)
    if prepare and how == NEXT:
        write_once(m, at(m, SWAP_COUNT, slot), 1 + SWAP_HAS_CACHE)
    tree_unlock(m)
    return how


@step(whole="swap_list")
def if_swap_is_fast(m: Words, r: Words) -> int:
    """if (data_race(si->flags & SWP_SYNCHRONOUS_IO) && __swap_count(entry) == 1), else to `swap_cached`."""
    how = look_at_slot(m, r, False)
    if how == SWAP_CACHED:
        return SWAP_CACHED
    return NEXT if how == NEXT else OUT


@step(whole="swap_list")
def swapcache_prepare(m: Words, r: Words) -> int:
    """The same, and swapcache_prepare(entry): the place in the swap cache is ours; else to `out`, to try again."""
    how = look_at_slot(m, r, True)
    if how == SWAP_CACHED:
        return SWAP_CACHED
    return NEXT if how == NEXT else OUT


@step(whole="swap_list: the count of the slot")
def swapcache_clear(m: Words, r: Words) -> int:
    """swapcache_clear(entry): the place is given back; with it the slot, if nothing names it any more."""
    slot = pte_to_slot(r[R_ENTRY])
    tree_lock(m)
    word = at(m, SWAP_COUNT, slot)
    write_once(m, word, read_once(m, word) - SWAP_HAS_CACHE + 1)
    put_slot(m, r, slot)
    tree_unlock(m)
    return NEXT


@step(whole="zone->lock")
def swap_read_folio(m: Words, r: Words) -> int:
    """vma_alloc_folio(), swap_read_folio(): the slot's content in a page of our own; `stale` without memory."""
    content = read_once(m, at(m, SWAP_CONTENT, pte_to_slot(r[R_ENTRY])))
    r[R_PAGE] = alloc_page(m, r, content, 1)
    return NEXT if r[R_PAGE] >= 0 else STALE


@step(private=True)
def mk_exclusive_pte(m: Words, r: Words) -> int:
    """The entry for a page that is ours alone: writable and dirty at once on a write access."""
    r[R_NEW] = mk_pte(m, r[R_PAGE], YOUNG | (WRITABLE | DIRTY if r[R_WRITE] != 0 else 0))
    return NEXT
