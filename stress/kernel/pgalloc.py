"""Page tables that come and go: pmd entries (asm/pgalloc.h; __pte_alloc and free_pgtables of mm/memory.c).

A machine with pmd=True has an entry for each page table of each mm. It is none at first; a table that is allocated
takes a frame, and mm->nr_ptes counts it. The ptes of a table lie where they lie on other machines, table or no table:
below an entry that is none they must all be none, see check `page_tables`. Two levels stand for the four of V14.
"""

from __future__ import annotations

from shm_layout.atomic import cmpxchg, fetch_add, load, read_once, store, write_once
from shm_layout.registers import (
    R_ADDRESS,
    R_CHILD,
    R_END,
    R_ENTRY,
    R_LEVEL,
    R_MM,
    R_OLD_PAGE,
    R_PAGE,
    R_VALUE,
)
from shm_layout.structs import (
    CHILD_TABLES,
    MM_NR_PTES,
    NR_PTES,
    PAGE_CONTENT,
    PAGE_FLAGS,
    PMD,
    PTRS_PER_PTE,
    at,
)
from shm_layout.words import Words
from stress.kernel.bug import PAGE_TABLES, oops
from stress.kernel.page_alloc import alloc_page, put_page
from stress.kernel.pgtable import PG_FREE, first_page, pte_at
from stress.kernel.rcupdate import still_reading
from stress.labels import OUT, PMD_PRESENT, RACED, SKIP
from stress.step import NEXT, WAIT, helper, step

PMD_TABLE = 1
"""Flag of a pmd entry: it names a page table."""
PMD_FLAGS = 0xFFF
"""Mask of the flags."""


@helper
def pmd_at(m: Words, mm: int, address: int) -> int:
    """Return the index of the pmd entry that a virtual page of an mm lies under."""
    return at(m, PMD, mm * m[CHILD_TABLES] + address // m[PTRS_PER_PTE])


@helper
def mk_pmd(frame: int, flags: int) -> int:
    """Return the entry for the page table in a frame."""
    return (frame << 12) | PMD_TABLE | flags


@helper
def is_table(entry: int) -> bool:
    """Whether a pmd entry names a page table, and maps no huge page: that flag and no other."""
    return (entry & PMD_FLAGS) == PMD_TABLE


@helper
def pmd_page(entry: int) -> int:
    """Frame of the page table that an entry names."""
    return entry >> 12


@helper
def table_begins(m: Words, mm: int, address: int) -> int:
    """First virtual page of an mm that lies in the same page table as this one."""
    return max(first_page(m, mm), address // m[PTRS_PER_PTE] * m[PTRS_PER_PTE])


@helper
def table_ends(m: Words, address: int) -> int:
    """One past the last virtual page in the same page table as this one."""
    return min(m[NR_PTES], (address // m[PTRS_PER_PTE] + 1) * m[PTRS_PER_PTE])


@helper
def table_is_empty(m: Words, mm: int, address: int) -> bool:
    """Whether all ptes in the page table of a virtual page are none."""
    for page in range(table_begins(m, mm, address), table_ends(m, address)):
        if read_once(m, pte_at(m, mm, page)) != 0:
            return False
    return True


@helper
def count_table(m: Words, mm: int, tables: int) -> None:
    """Add to mm->nr_ptes, under page_table_lock."""
    count = at(m, MM_NR_PTES, mm)
    write_once(m, count, read_once(m, count) + tables)


@helper
def take_empty_table(m: Words, mm: int, address: int) -> int:
    """Let the pmd entry of a virtual page be none where all ptes of its table are; return the table's frame, or -1.

    Under page_table_lock.
    """
    pmd = pmd_at(m, mm, address)
    entry = read_once(m, pmd)
    if entry == 0 or not table_is_empty(m, mm, address):
        return -1
    store(m, pmd, 0)
    count_table(m, mm, -1)
    return pmd_page(entry)


# pte_alloc_map(), in a fault


@step
def if_pmd_none(m: Words, r: Words) -> int:
    """if (!pmd_present(*pmd)), a page table is needed; else to `pmd_present`."""
    return NEXT if load(m, pmd_at(m, r[R_MM], r[R_ADDRESS])) == 0 else PMD_PRESENT


@step(whole="zone->lock")
def pte_alloc_one(m: Words, r: Words) -> int:
    """new = pte_alloc_one(mm, address): a frame for an empty page table; to `out` without memory."""
    r[R_PAGE] = alloc_page(m, r, 0, 1)
    return NEXT if r[R_PAGE] >= 0 else OUT


@step
def pmd_test_and_populate(m: Words, r: Words) -> int:
    """pmd_test_and_populate(mm, pmd, new): one compare and exchange against none; to `raced` where it is not (V13)."""
    pmd = pmd_at(m, r[R_MM], r[R_ADDRESS])
    return NEXT if cmpxchg(m, pmd, 0, mk_pmd(r[R_PAGE], 0)) == 0 else RACED


@step
def read_nr_ptes(m: Words, r: Words) -> int:
    """mm->nr_ptes += 1, plainly: its read."""
    r[R_VALUE] = read_once(m, at(m, MM_NR_PTES, r[R_MM]))
    return NEXT


@step
def inc_nr_ptes(m: Words, r: Words) -> int:
    """mm->nr_ptes += 1, plainly: its write."""
    write_once(m, at(m, MM_NR_PTES, r[R_MM]), r[R_VALUE] + 1)
    return NEXT


@step
def mm_inc_nr_ptes(m: Words, r: Words) -> int:
    """atomic_long_inc(&mm->nr_ptes), as kernels count since 3.13 (e1f56c89b040)."""
    fetch_add(m, at(m, MM_NR_PTES, r[R_MM]), 1)
    return NEXT


@step
def pmd_populate(m: Words, r: Words) -> int:
    """pmd_populate(mm, pmd, new), with the lock held."""
    store(m, pmd_at(m, r[R_MM], r[R_ADDRESS]), mk_pmd(r[R_PAGE], 0))
    return NEXT


@step(whole="zone->lock")
def pte_free(m: Words, r: Words) -> int:
    """pte_free(new): the page table is given back."""
    put_page(m, r, r[R_PAGE])
    return NEXT


@step(whole="zone->lock")
def pte_alloc_prealloc(m: Words, r: Words) -> int:
    """vmf->prealloc_pte = pte_alloc_one(): a page table for later, in R_OLD_PAGE; to `out` without memory."""
    frame = alloc_page(m, r, 0, 1)
    r[R_OLD_PAGE] = max(frame, 0)
    return NEXT if frame >= 0 else OUT


@step(whole="zone->lock")
def pte_free_prealloc(m: Words, r: Words) -> int:
    """if (vmf->prealloc_pte) pte_free(mm, vmf->prealloc_pte)."""
    put_page(m, r, r[R_OLD_PAGE])
    r[R_OLD_PAGE] = 0
    return NEXT


@step
def if_page_table(m: Words, r: Words) -> int:
    """pte_offset_map_lock(), the lock held: is there a page table (still)? Else to `raced`, to try again."""
    return NEXT if is_table(load(m, pmd_at(m, r[R_MM], r[R_ADDRESS]))) else RACED


@step
def pte_offset_map_nolock(m: Words, r: Words) -> int:
    """pte = pte_offset_map_nolock(mm, pmd, address), under rcu_read_lock (6.5): the page table, in R_OLD_PAGE.

    To `skip` where the entry is none or maps a huge page.
    """
    entry = load(m, pmd_at(m, r[R_MM], r[R_ADDRESS]))
    r[R_OLD_PAGE] = pmd_page(entry)
    return NEXT if is_table(entry) else SKIP


@step(whole="a look at what is promised: whether the page table is one still")
def ptep_get_lockless(m: Words, r: Words) -> int:
    """orig_pte = ptep_get_lockless(pte): without the lock; in a table that was freed since, check `page_tables`.

    What is decided is decided by the pte that is read again under the lock.
    """
    table = r[R_OLD_PAGE]
    read_once(m, pte_at(m, r[R_MM], r[R_ADDRESS]))
    freed = (read_once(m, at(m, PAGE_FLAGS, table)) & PG_FREE) != 0
    if freed or read_once(m, at(m, PAGE_CONTENT, table)) != 0:
        oops(r, PAGE_TABLES)
    return NEXT


@step(private=True)
def pte_unmap(m: Words, r: Words) -> int:
    """pte_unmap(pte): what was read without the lock is not used any more."""
    r[R_OLD_PAGE] = 0
    return NEXT


@step(waits=True, whole="the RCU grace period")
def pte_free_defer(m: Words, r: Words) -> int:
    """pte_free_defer(mm, pgtable): behind a grace period no fault that found the table looks at it any more."""
    r[R_LEVEL] = still_reading(m, r, r[R_LEVEL])
    return NEXT if r[R_LEVEL] == 0 else WAIT


@step(private=True)
def pte_offset_map(m: Words, r: Words) -> int:
    """pte = pte_offset_map(pmd, address): the fault goes on at the pte, and has no page in its hands."""
    r[R_PAGE] = 0
    r[R_ENTRY] = 0
    r[R_VALUE] = 0
    return NEXT


# the other ways in which a table comes and goes


@step(whole="both page_table_locks: no fault is under way, and nobody else knows the child's table")
def pte_alloc_map_child(m: Words, r: Words) -> int:
    """copy_page_range: a page table for the child where the parent has one, else to `skip`.

    Without memory the page is left out, as if it were marked by madvise(MADV_DONTFORK); a kernel ends the fork.
    """
    if load(m, pmd_at(m, r[R_MM], r[R_ADDRESS])) == 0:
        return SKIP
    pmd = pmd_at(m, r[R_CHILD], r[R_ADDRESS])
    if load(m, pmd) == 0:
        frame = alloc_page(m, r, 0, 1)
        if frame < 0:
            return SKIP
        store(m, pmd, mk_pmd(frame, 0))
        count_table(m, r[R_CHILD], 1)
    return NEXT


@step(whole="page_table_lock, with mmap_sem held for write, or by the last user of the mm")
def free_pte_range(m: Words, r: Words) -> int:
    """free_pgtables(): at the last page of a table, or of the range, a table in which nothing is mapped is freed.

    A kernel asks whether a VMA is left there. The pages of this machine can all be faulted in at any time, so what is
    asked is whether a pte is left.
    """
    following = r[R_ADDRESS] + 1
    if following != r[R_END] and following != table_ends(m, r[R_ADDRESS]):
        return NEXT
    table = take_empty_table(m, r[R_MM], r[R_ADDRESS])
    if table >= 0:
        put_page(m, r, table)
    return NEXT
