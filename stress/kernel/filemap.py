"""The mapped file: its page cache and truncation (mm/filemap.c, mm/truncate.c)."""

from __future__ import annotations

from shm_layout.atomic import fetch_or, read_once, store, write_once
from shm_layout.registers import R_ADDRESS, R_MM, R_OLD_PAGE, R_PAGE, R_WRITE
from shm_layout.structs import ANON_END, FILE_PAGE, NR_PTES, PAGE_FLAGS, PRIVATE_END, at
from shm_layout.words import Words
from stress.kernel.bug import PAGE_TABLES, oops
from stress.kernel.page_alloc import alloc_page, fresh_content, get_page, put_page
from stress.kernel.pgalloc import mk_pmd, pmd_at
from stress.kernel.pgtable import PG_FILE, PG_LRU, PG_SWAPBACKED, linear_page_index
from stress.kernel.swap_state import tree_lock, tree_unlock
from stress.labels import NOT_CACHED, OUT, PMD_PRESENT, SKIP
from stress.step import DONE, NEXT, helper, step


@helper
def file_word(m: Words, address: int) -> int:
    """Return the index of the page cache's word for the file page that is mapped at a virtual page at first."""
    return at(m, FILE_PAGE, address - m[ANON_END])


@helper
def lookup_page(m: Words, index: int) -> int:
    """Return the frame that the page cache has for a page of the file, with a reference; 0 for none."""
    tree_lock(m)
    frame = read_once(m, file_word(m, index))
    if frame != 0:
        get_page(m, frame)
    tree_unlock(m)
    return frame


@step(whole="tree_lock and zone->lock")
def filemap_nopage(m: Words, r: Words) -> int:
    """new_page = vma->vm_ops->nopage(): find the page or read it, with a reference; `out` without memory."""
    tree_lock(m)
    index = linear_page_index(m, r[R_MM], r[R_ADDRESS])
    word = file_word(m, index)
    frame = read_once(m, word)
    if frame != 0:
        get_page(m, frame)
    else:
        frame = alloc_page(m, r, fresh_content(index), 2)
        if frame >= 0:
            shmem = PG_SWAPBACKED if index >= m[PRIVATE_END] else 0
            fetch_or(m, at(m, PAGE_FLAGS, frame), PG_FILE | PG_LRU | shmem)
            write_once(m, word, frame)
    tree_unlock(m)
    r[R_PAGE] = frame
    return NEXT if frame >= 0 else OUT


@step(private=True)
def if_fault_around(m: Words, r: Words) -> int:
    """do_read_fault(): pages of the file that are there are mapped around the fault; for any other to `skip`."""
    return NEXT if r[R_WRITE] == 0 and r[R_ADDRESS] >= m[ANON_END] else SKIP


@step(whole="tree_lock")
def next_uptodate_page(m: Words, r: Words) -> int:
    """filemap_map_pages(): the page, with a reference, if the page cache has it; else to `not_cached`."""
    r[R_PAGE] = lookup_page(m, linear_page_index(m, r[R_MM], r[R_ADDRESS]))
    return NEXT if r[R_PAGE] != 0 else NOT_CACHED


@step(private=True)
def if_prealloc_pte(m: Words, r: Words) -> int:
    """filemap_map_pmd(): ... && vmf->prealloc_pte, since 9aa1345d66b8 (6.5); without one, on to `pmd_present`."""
    return NEXT if r[R_OLD_PAGE] != 0 else PMD_PRESENT


@step
def pmd_install(m: Words, r: Words) -> int:
    """pmd_install(mm, pmd, &vmf->prealloc_pte): the preallocated page table R_OLD_PAGE takes its place.

    Where none was allocated (0) the kernel follows a null pointer: check `page_tables`.
    """
    if r[R_OLD_PAGE] == 0:
        oops(r, PAGE_TABLES)
        return NEXT
    store(m, pmd_at(m, r[R_MM], r[R_ADDRESS]), mk_pmd(r[R_OLD_PAGE], 0))
    r[R_OLD_PAGE] = 0
    return NEXT


@step(whole="tree_lock")
def find_get_page(m: Words, r: Words) -> int:
    """Truncate finds the page that it is to remove; the operation ends when there is none, or no file at all."""
    if r[R_ADDRESS] < m[ANON_END] or r[R_ADDRESS] >= m[NR_PTES]:
        return DONE
    r[R_PAGE] = lookup_page(m, r[R_ADDRESS])
    return NEXT if r[R_PAGE] != 0 else DONE


@step(whole="the page lock, tree_lock and zone->lock")
def truncate_complete_page(m: Words, r: Words) -> int:
    """remove_from_page_cache: the cache's reference is dropped, unless another CPU truncated it already."""
    tree_lock(m)
    word = file_word(m, r[R_ADDRESS])
    if read_once(m, word) == r[R_PAGE]:
        write_once(m, word, 0)
        put_page(m, r, r[R_PAGE])
    tree_unlock(m)
    return NEXT
