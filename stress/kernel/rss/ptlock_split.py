"""Split page-table locks and split counters (2.6.15): pte_lockptr(), file_rss beside anon_rss.

The lock in the page of a page table guards its ptes. A walk over a range holds it from the first pte in that page
to the last one; register R_SCAN says which one it holds.
"""

from __future__ import annotations

from shm_layout.atomic import read_once, store, write_once
from shm_layout.registers import R_ADDRESS, R_ANON_RSS, R_CHILD, R_END, R_MM, R_RSS, R_SCAN
from shm_layout.structs import (
    CHILD_TABLES,
    MM_ANON_RSS,
    MM_FILE_RSS,
    PTL,
    PTRS_PER_PTE,
    at,
)
from shm_layout.words import Words
from stress.kernel.spinlock import spin_trylock
from stress.step import NEXT, WAIT, helper, step


@helper
def pte_lockptr(m: Words, mm: int, address: int) -> int:
    """Return the index of the lock of the page-table page with the pte of a virtual page."""
    return at(m, PTL, mm * m[CHILD_TABLES] + address // m[PTRS_PER_PTE])


@helper
def last_in_table(m: Words, r: Words) -> bool:
    """Return whether a walk leaves the page-table page after this pte."""
    following = r[R_ADDRESS] + 1
    return following >= r[R_END] or following % m[PTRS_PER_PTE] == 0


@step(waits=True)
def pte_lock(m: Words, r: Words) -> int:
    """spin_lock(pte_lockptr(mm, pmd)) for one pte."""
    return NEXT if spin_trylock(m, pte_lockptr(m, r[R_MM], r[R_ADDRESS])) else WAIT


@step
def pte_unlock(m: Words, r: Words) -> int:
    """spin_unlock(ptl) for one pte."""
    store(m, pte_lockptr(m, r[R_MM], r[R_ADDRESS]), 0)
    return NEXT


@step(waits=True)
def pte_offset_map_lock(m: Words, r: Words) -> int:
    """pte_offset_map_lock() where a walk enters a page-table page; nothing within it."""
    lock = pte_lockptr(m, r[R_MM], r[R_ADDRESS])
    if r[R_SCAN] == lock:
        return NEXT
    if not spin_trylock(m, lock):
        return WAIT
    r[R_SCAN] = lock
    return NEXT


@step
def pte_unmap_unlock(m: Words, r: Words) -> int:
    """pte_unmap_unlock() where a walk leaves a page-table page; nothing within it."""
    if last_in_table(m, r):
        store(m, pte_lockptr(m, r[R_MM], r[R_ADDRESS]), 0)
        r[R_SCAN] = 0
    return NEXT


@step(waits=True)
def pte_offset_map_lock_child(m: Words, r: Words) -> int:
    """copy_pte_range: dst_pte = pte_alloc_map_lock(dst_mm), before the parent's own lock."""
    if r[R_SCAN] == pte_lockptr(m, r[R_MM], r[R_ADDRESS]):
        return NEXT
    return NEXT if spin_trylock(m, pte_lockptr(m, r[R_CHILD], r[R_ADDRESS])) else WAIT


@step
def pte_unmap_unlock_child(m: Words, r: Words) -> int:
    """copy_pte_range: pte_unmap_unlock(dst_pte), before the parent's."""
    if last_in_table(m, r):
        store(m, pte_lockptr(m, r[R_CHILD], r[R_ADDRESS]), 0)
    return NEXT


@step
def sum_file_rss(m: Words, r: Words) -> int:
    """get_mm_rss(): rss = file_rss, its first load."""
    r[R_RSS] = read_once(m, at(m, MM_FILE_RSS, r[R_MM]))
    return NEXT


@step
def sum_file_and_anon_rss(m: Words, r: Words) -> int:
    """get_mm_rss(): rss = file_rss + anon_rss, its second load."""
    r[R_ANON_RSS] = read_once(m, at(m, MM_ANON_RSS, r[R_MM]))
    r[R_RSS] = r[R_RSS] + r[R_ANON_RSS]
    return NEXT


@step
def init_file_rss(m: Words, r: Words) -> int:
    """mm_init(): file_rss of the child, which nobody else can see yet, is 0."""
    write_once(m, at(m, MM_FILE_RSS, r[R_CHILD]), 0)
    return NEXT
