"""Which ptes map a page (mm/rmap.c): its mapcount. Counting in rss is in `stress.kernel.rss`."""

from __future__ import annotations

from shm_layout.atomic import fetch_add, fetch_or, load
from shm_layout.registers import R_OLD_PAGE, R_PAGE
from shm_layout.structs import PAGE_FLAGS, PAGE_MAPCOUNT, at
from shm_layout.words import Words
from stress.kernel.bug import MAPCOUNT, oops
from stress.kernel.pgtable import PG_ANON
from stress.labels import NOT_ANON
from stress.step import NEXT, helper, step


@helper
def page_anon(m: Words, frame: int) -> bool:
    """PageAnon(page)."""
    return (load(m, at(m, PAGE_FLAGS, frame)) & PG_ANON) != 0


@helper
def remove_rmap(m: Words, r: Words, frame: int) -> None:
    """atomic_add_negative(-1, &page->_mapcount), and the BUG_ON after it."""
    if fetch_add(m, at(m, PAGE_MAPCOUNT, frame), -1) <= 0:
        oops(r, MAPCOUNT)


@step(whole="PG_anon is set for good before others can find the page")
def page_add_anon_rmap(m: Words, r: Words) -> int:
    """page_add_anon_rmap(page): anonymous from now on, and mapped once more."""
    fetch_or(m, at(m, PAGE_FLAGS, r[R_PAGE]), PG_ANON)
    fetch_add(m, at(m, PAGE_MAPCOUNT, r[R_PAGE]), 1)
    return NEXT


@step
def page_add_file_rmap(m: Words, r: Words) -> int:
    """page_add_file_rmap(page)."""
    fetch_add(m, at(m, PAGE_MAPCOUNT, r[R_PAGE]), 1)
    return NEXT


@step
def page_dup_rmap(m: Words, r: Words) -> int:
    """page_dup_rmap(page): fork maps it once more."""
    fetch_add(m, at(m, PAGE_MAPCOUNT, r[R_PAGE]), 1)
    return NEXT


@step
def page_remove_rmap(m: Words, r: Words) -> int:
    """page_remove_rmap(page): BUG_ON(page_mapcount(page) < 0)."""
    remove_rmap(m, r, r[R_PAGE])
    return NEXT


@step
def page_remove_rmap_old(m: Words, r: Words) -> int:
    """page_remove_rmap(old_page) of do_wp_page."""
    remove_rmap(m, r, r[R_OLD_PAGE])
    return NEXT


@step
def if_page_anon(m: Words, r: Words) -> int:
    """if (PageAnon(page)), else to `not_anon`."""
    return NEXT if page_anon(m, r[R_PAGE]) else NOT_ANON


@step
def if_old_page_anon(m: Words, r: Words) -> int:
    """if (PageAnon(old_page)), else to `not_anon`."""
    return NEXT if page_anon(m, r[R_OLD_PAGE]) else NOT_ANON
