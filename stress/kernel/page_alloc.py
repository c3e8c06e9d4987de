"""Frames: found, referenced, given back (mm/page_alloc.c, mm/swap.c).

The allocator's own locking is not in question: taking a frame is one step. In workers a frame is claimed by
one cmpxchg of its flags, from the CPU's own range first; in the explorer it is the lowest free frame, so
that a frame is used again as soon as can be.
"""

from __future__ import annotations

from shm_layout.atomic import cmpxchg, fetch_add, fetch_and, load, read_once, write_once, xchg
from shm_layout.registers import (
    R_ADDRESS,
    R_FRAME_END,
    R_FRAME_FIRST,
    R_FRAME_HAND,
    R_MM,
    R_OLD_PAGE,
    R_PAGE,
)
from shm_layout.structs import (
    NR_PAGES,
    PAGE_CONTENT,
    PAGE_COUNT,
    PAGE_FLAGS,
    PAGE_MAPCOUNT,
    at,
)
from shm_layout.words import Words
from stress.kernel.bug import PAGE_REFS, TLB, oops
from stress.kernel.pgtable import PG_ACTIVE, PG_FREE, PG_LOCKED, PG_LRU, ZERO_PAGE, linear_page_index
from stress.kernel.tlb import tlb_maps
from stress.labels import OUT
from stress.step import NEXT, helper, step

CONTENT_SHIFT = 16
"""In `PAGE_CONTENT`: the virtual page + 1 from this bit on, the version of what the user wrote below."""


@helper
def fresh_content(address: int) -> int:
    """Content of a page that was cleared or read for this virtual page: version 0, see `PAGE_CONTENT`."""
    return (address + 1) << CONTENT_SHIFT


@helper
def content_address(content: int) -> int:
    """Return the virtual page that a content belongs to (page->index), -1 for no content."""
    return (content >> CONTENT_SHIFT) - 1


@helper
def claim_frame(m: Words, frame: int) -> bool:
    """Take this frame if it is free."""
    flags = at(m, PAGE_FLAGS, frame)
    return read_once(m, flags) == PG_FREE and cmpxchg(m, flags, PG_FREE, 0) == PG_FREE


@helper
def find_frame(m: Words, r: Words) -> int:
    """Return a frame that was free and is ours now, or -1 when there is none."""
    hand = r[R_FRAME_HAND]
    for _ in range(r[R_FRAME_END] - r[R_FRAME_FIRST]):
        frame = hand
        hand += 1
        if hand == r[R_FRAME_END]:
            hand = r[R_FRAME_FIRST]
        if claim_frame(m, frame):
            r[R_FRAME_HAND] = hand
            return frame
    for frame in range(1, m[NR_PAGES]):
        if claim_frame(m, frame):
            return frame
    return -1


@helper
def alloc_page(m: Words, r: Words, content: int, references: int) -> int:
    """Return a frame with this content and count, or -1: nobody else can see it yet."""
    frame = find_frame(m, r)
    if frame >= 0:
        prepare_page(m, r, frame, content, references)
    return frame


@helper
def prepare_page(m: Words, r: Words, frame: int, content: int, references: int) -> None:
    """Give a frame that was free its content and count; `alloc_page` and `alloc_pages` have claimed it."""
    if read_once(m, at(m, PAGE_COUNT, frame)) != 0:
        oops(r, PAGE_REFS)
    if tlb_maps(m, frame):
        oops(r, TLB)
    write_once(m, at(m, PAGE_COUNT, frame), references)
    write_once(m, at(m, PAGE_MAPCOUNT, frame), 0)
    write_once(m, at(m, PAGE_CONTENT, frame), content)


@helper
def alloc_pages(m: Words, r: Words, address: int, pages: int) -> int:
    """Return the first of so many frames in a row, cleared for the virtual pages from ``address`` on; or -1.

    From the CPU's own range first, as `find_frame` does, and its hand goes on behind them.
    """
    begin = max(r[R_FRAME_HAND], 1)
    places = m[NR_PAGES] - pages
    for number in range(places):
        first = 1 + (begin - 1 + number) % places
        claimed = 0
        while claimed < pages and claim_frame(m, first + claimed):
            claimed += 1
        if claimed == pages:
            for page in range(pages):
                prepare_page(m, r, first + page, fresh_content(address + page), 1)
            if r[R_FRAME_FIRST] <= first and first + pages < r[R_FRAME_END]:
                r[R_FRAME_HAND] = first + pages
            return first
        for page in range(claimed):
            write_once(m, at(m, PAGE_FLAGS, first + page), PG_FREE)
    return -1


@helper
def get_page(m: Words, frame: int) -> None:
    """page_cache_get: the zero page is reserved and not counted."""
    if frame != ZERO_PAGE:
        fetch_add(m, at(m, PAGE_COUNT, frame), 1)


@helper
def put_page(m: Words, r: Words, frame: int) -> None:
    """page_cache_release: the last reference takes the page off the LRU and frees it."""
    if frame == ZERO_PAGE:
        return
    count = fetch_add(m, at(m, PAGE_COUNT, frame), -1) - 1
    if count < 0:
        oops(r, PAGE_REFS)
    if count == 0:
        if load(m, at(m, PAGE_MAPCOUNT, frame)) != 0:
            oops(r, PAGE_REFS)
        if tlb_maps(m, frame):
            oops(r, TLB)
        flags = at(m, PAGE_FLAGS, frame)
        fetch_and(m, flags, ~(PG_LRU | PG_ACTIVE))
        write_once(m, at(m, PAGE_CONTENT, frame), 0)
        if (xchg(m, flags, PG_FREE) & (PG_FREE | PG_LRU | PG_LOCKED)) != 0:  # bad page state
            oops(r, PAGE_REFS)


@step(whole="zone->lock")
def alloc_zeroed_page(m: Words, r: Words) -> int:
    """page = alloc_zeroed_user_highpage(): a cleared page for R_ADDRESS; to `out` when there is none."""
    r[R_PAGE] = alloc_page(m, r, fresh_content(linear_page_index(m, r[R_MM], r[R_ADDRESS])), 1)
    return NEXT if r[R_PAGE] >= 0 else OUT


@step(whole="zone->lock")
def alloc_copy(m: Words, r: Words) -> int:
    """new_page = alloc_page(); copy_cow_page(): a copy of R_OLD_PAGE; to `out` when there is none.

    A copy of the zero page is a cleared page.
    """
    content = fresh_content(linear_page_index(m, r[R_MM], r[R_ADDRESS]))
    if r[R_OLD_PAGE] != ZERO_PAGE:
        content = load(m, at(m, PAGE_CONTENT, r[R_OLD_PAGE]))
    r[R_PAGE] = alloc_page(m, r, content, 1)
    if r[R_PAGE] >= 0:
        return NEXT
    put_page(m, r, r[R_OLD_PAGE])
    return OUT


@step
def page_cache_get(m: Words, r: Words) -> int:
    """page_cache_get(old_page): a reference for the time of the copy."""
    get_page(m, r[R_OLD_PAGE])
    return NEXT


@step(whole="zone->lock")
def page_cache_release(m: Words, r: Words) -> int:
    """page_cache_release(page)."""
    put_page(m, r, r[R_PAGE])
    return NEXT


@step(whole="zone->lock")
def page_cache_release_old(m: Words, r: Words) -> int:
    """page_cache_release(old_page)."""
    put_page(m, r, r[R_OLD_PAGE])
    return NEXT
