"""The page lock (PG_locked; mm/filemap.c), and do_wp_page under it (mm/memory.c of Linux 5.9).

Elsewhere the page lock is held within one step, which says so. Here it is taken and released by steps of its own.
"""

from __future__ import annotations

from shm_layout.atomic import fetch_and, fetch_or, load
from shm_layout.registers import R_OLD_PAGE
from shm_layout.structs import PAGE_COUNT, PAGE_FLAGS, at
from shm_layout.words import Words
from stress.kernel.bug import PAGE_REFS, oops
from stress.kernel.pgtable import PG_LOCKED, ZERO_PAGE
from stress.kernel.rmap import page_anon
from stress.labels import COPY, NOT_ALONE
from stress.step import NEXT, step


@step
def if_wp_anon(m: Words, r: Words) -> int:
    """do_wp_page: if (!PageAnon(page)) goto copy. The zero page is none."""
    return NEXT if r[R_OLD_PAGE] != ZERO_PAGE and page_anon(m, r[R_OLD_PAGE]) else COPY


@step
def trylock_old_page(m: Words, r: Words) -> int:
    """do_wp_page: if (!trylock_page(page)) goto copy."""
    return COPY if (fetch_or(m, at(m, PAGE_FLAGS, r[R_OLD_PAGE]), PG_LOCKED) & PG_LOCKED) != 0 else NEXT


@step
def if_only_user(m: Words, r: Words) -> int:
    """do_wp_page: page_count(page) == 1, the page is reused; else to `not_alone`."""
    return NEXT if load(m, at(m, PAGE_COUNT, r[R_OLD_PAGE])) == 1 else NOT_ALONE


@step
def unlock_old_page(m: Words, r: Words) -> int:
    """unlock_page(page), and its VM_BUG_ON_PAGE(!PageLocked(page))."""
    if (fetch_and(m, at(m, PAGE_FLAGS, r[R_OLD_PAGE]), ~PG_LOCKED) & PG_LOCKED) == 0:
        oops(r, PAGE_REFS)
    return NEXT
