"""The swap area and the swap cache (mm/swapfile.c, mm/swap_state.c), and the page cache (mm/filemap.c).

Their locks (swap_list, tree_lock) are not in question: each access is one step, which takes `tree_lock` for
itself, so that it is whole in workers too. A page leaves the swap cache when its slot's last swap entry is
gone (as with a swap area that is more than half full), unless another holds the page: its reference does
what the kernel's page lock does, so that vmscan and a fault at work on the page keep its slot.
"""

from __future__ import annotations

from shm_layout.atomic import cpu_relax, fetch_add, fetch_and, load, read_once, sched_yield, store, write_once
from shm_layout.structs import (
    NR_SWAP,
    PAGE_CONTENT,
    PAGE_COUNT,
    PAGE_FLAGS,
    STOP,
    SWAP_CONTENT,
    SWAP_COUNT,
    SWAP_PAGE,
    TREE_LOCK,
    at,
)
from shm_layout.words import Words
from stress.kernel.bug import SWAP_REFS, oops
from stress.kernel.page_alloc import alloc_page, get_page, put_page
from stress.kernel.pgtable import PG_DIRTY, PG_LRU, PG_SWAPCACHE, SLOT_SHIFT
from stress.kernel.rmap import page_anon
from stress.kernel.spinlock import spin_trylock
from stress.step import helper

SWAP_HAS_CACHE = 1 << 16
"""In the count of a slot: a task reads it in without the swap cache, and has taken its place there."""
SPINS = 100
"""Tries to take tree_lock before the CPU is given to the task that may hold it."""


@helper
def tree_lock(m: Words) -> None:
    """spin_lock_irq(&mapping->tree_lock), within a step; given up when the run is stopped."""
    spins = 0
    while not spin_trylock(m, m[TREE_LOCK]) and read_once(m, STOP) == 0:
        cpu_relax()
        spins += 1
        if spins % SPINS == 0:
            sched_yield()


@helper
def tree_unlock(m: Words) -> None:
    """spin_unlock_irq(&mapping->tree_lock)."""
    store(m, m[TREE_LOCK], 0)


@helper
def slot_of(m: Words, frame: int) -> int:
    """Swap slot of a page in the swap cache, -1 for none."""
    return (load(m, at(m, PAGE_FLAGS, frame)) >> SLOT_SHIFT) - 1


@helper
def set_slot(m: Words, frame: int, slot: int) -> None:
    """Note in the page that it lies in the swap cache for that slot; -1: no more."""
    fetch_add(
        m,
        at(m, PAGE_FLAGS, frame),
        (slot - slot_of(m, frame)) * (1 << SLOT_SHIFT) + (PG_SWAPCACHE if slot >= 0 else -PG_SWAPCACHE),
    )


@helper
def drop_from_cache(m: Words, r: Words, slot: int) -> None:
    """delete_from_swap_cache: the slot is free, the cache's reference to the page is dropped. Locked."""
    frame = read_once(m, at(m, SWAP_PAGE, slot))
    write_once(m, at(m, SWAP_PAGE, slot), 0)
    set_slot(m, frame, -1)
    put_slot(m, r, slot)
    put_page(m, r, frame)


@helper
def put_slot(m: Words, r: Words, slot: int) -> None:
    """Drop one reference of a slot. Locked."""
    word = at(m, SWAP_COUNT, slot)
    count = read_once(m, word) - 1
    if count < 0:
        oops(r, SWAP_REFS)
    write_once(m, word, count)
    if count == 0:
        write_once(m, at(m, SWAP_CONTENT, slot), 0)


@helper
def swap_free(m: Words, r: Words, slot: int, own: int) -> None:
    """swap_free(entry), and remove_exclusive_swap_page: nobody but the swap cache and the caller holds the page.

    ``own``: references of the page that the caller has.
    """
    if slot < 0 or slot >= m[NR_SWAP]:
        oops(r, SWAP_REFS)
        return
    tree_lock(m)
    put_slot(m, r, slot)
    frame = read_once(m, at(m, SWAP_PAGE, slot))
    if frame != 0 and read_once(m, at(m, SWAP_COUNT, slot)) == 1 and load(m, at(m, PAGE_COUNT, frame)) == 1 + own:
        drop_from_cache(m, r, slot)
    tree_unlock(m)


@helper
def swap_duplicate(m: Words, r: Words, slot: int) -> None:
    """swap_duplicate(entry): one more swap entry names the slot."""
    if slot < 0 or slot >= m[NR_SWAP]:
        oops(r, SWAP_REFS)
        return
    tree_lock(m)
    word = at(m, SWAP_COUNT, slot)
    if read_once(m, word) <= 0:
        oops(r, SWAP_REFS)
    write_once(m, word, read_once(m, word) + 1)
    tree_unlock(m)


@helper
def add_to_swap(m: Words, frame: int) -> int:
    """Slot of a page in the swap cache; add_to_swap(page) puts an anonymous one there. -1: not anonymous, none free.

    A page that was just read from swap is in the cache already, and anonymous only once it is mapped.
    """
    tree_lock(m)
    found = slot_of(m, frame)
    if found < 0 and page_anon(m, frame):
        for slot in range(m[NR_SWAP]):
            if read_once(m, at(m, SWAP_COUNT, slot)) == 0:
                write_once(m, at(m, SWAP_COUNT, slot), 1)
                write_once(m, at(m, SWAP_PAGE, slot), frame)
                content = load(m, at(m, PAGE_CONTENT, frame))
                write_once(m, at(m, SWAP_CONTENT, slot), content)
                set_slot(m, frame, slot)
                get_page(m, frame)
                found = slot
                break
    tree_unlock(m)
    return found


@helper
def read_swap_page(m: Words, r: Words, slot: int) -> int:
    """lookup_swap_cache, else read_swap_cache_async: the slot's page with a reference; -1: free slot, no memory."""
    if slot < 0 or slot >= m[NR_SWAP]:
        return -1
    tree_lock(m)
    frame = -1
    if 0 < read_once(m, at(m, SWAP_COUNT, slot)) < SWAP_HAS_CACHE:
        frame = read_once(m, at(m, SWAP_PAGE, slot))
        if frame != 0:
            get_page(m, frame)
        else:
            frame = alloc_page(m, r, read_once(m, at(m, SWAP_CONTENT, slot)), 2)
            if frame >= 0:
                count = at(m, SWAP_COUNT, slot)
                write_once(m, count, read_once(m, count) + 1)
                write_once(m, at(m, SWAP_PAGE, slot), frame)
                set_slot(m, frame, slot)
                fetch_add(m, at(m, PAGE_FLAGS, frame), PG_LRU)
    tree_unlock(m)
    return frame


@helper
def swap_writepage(m: Words, slot: int, frame: int) -> None:
    """Write the page out if it is dirty: its content was noted when it got the slot. Locked."""
    flags = at(m, PAGE_FLAGS, frame)
    if (load(m, flags) & PG_DIRTY) != 0:
        fetch_and(m, flags, ~PG_DIRTY)
        content = load(m, at(m, PAGE_CONTENT, frame))
        write_once(m, at(m, SWAP_CONTENT, slot), content)
