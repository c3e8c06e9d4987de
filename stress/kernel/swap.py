"""Pages on the LRU (mm/swap.c)."""

from __future__ import annotations

from shm_layout.atomic import fetch_or, load
from shm_layout.registers import R_PAGE
from shm_layout.structs import PAGE_FLAGS, at
from shm_layout.words import Words
from stress.kernel.pgtable import PG_ACTIVE, PG_LRU, PG_REFERENCED
from stress.step import NEXT, step


@step
def lru_cache_add_active(m: Words, r: Words) -> int:
    """lru_cache_add_active(page): from now on vmscan can find the page. The LRU's own lock is not in question."""
    fetch_or(m, at(m, PAGE_FLAGS, r[R_PAGE]), PG_LRU | PG_ACTIVE)
    return NEXT


@step
def mark_page_accessed(m: Words, r: Words) -> int:
    """mark_page_accessed(page): inactive, referenced and on the LRU becomes active; else it is referenced."""
    word = at(m, PAGE_FLAGS, r[R_PAGE])
    flags = load(m, word)
    if (flags & (PG_ACTIVE | PG_REFERENCED | PG_LRU)) == (PG_REFERENCED | PG_LRU):
        fetch_or(m, word, PG_ACTIVE)
    elif (flags & PG_REFERENCED) == 0:
        fetch_or(m, word, PG_REFERENCED)
    return NEXT
