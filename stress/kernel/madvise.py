"""What MADV_DONTNEED promises (mm/madvise.c), and whether it has kept it when it returns."""

from __future__ import annotations

from shm_layout.atomic import read_once, write_once
from shm_layout.registers import R_ADDRESS, R_CPU, R_END, R_MM, R_SCRATCH
from shm_layout.structs import GHOST, PRIVATE_END
from shm_layout.words import Words
from stress.kernel.bug import DROPPED, oops
from stress.kernel.memory import content_behind, written_at
from stress.kernel.page_alloc import fresh_content
from stress.kernel.pgtable import linear_page_index, pte_at
from stress.step import NEXT, helper, step


@helper
def mark_of(r: Words) -> int:
    """What stands for "expected no longer, and neither taken away nor stored to since": this CPU's, below 0."""
    return -1 - r[R_CPU]


@step(private=True)
def madvise_begins(m: Words, r: Words) -> int:
    """The user expects the data of the range no longer; what is stored from now on may stay or go."""
    r[R_SCRATCH] = r[R_ADDRESS]
    if m[GHOST] != 0:
        for page in range(r[R_ADDRESS], r[R_END]):
            write_once(m, written_at(m, r[R_MM], page), mark_of(r))
    return NEXT


@step(whole="a look at what is promised: no kernel does it")
def is_dropped(m: Words, r: Words) -> int:
    """What MADV_DONTNEED promises: data from before it is mapped no more, check `dropped`.

    Where something was stored meanwhile, either may be there.
    """
    if m[GHOST] != 0:
        for page in range(r[R_SCRATCH], r[R_END]):
            if m[written_at(m, r[R_MM], page)] != mark_of(r):
                continue
            write_once(m, written_at(m, r[R_MM], page), 0)
            found = content_behind(m, read_once(m, pte_at(m, r[R_MM], page)))
            if page < m[PRIVATE_END] and found not in (0, fresh_content(linear_page_index(m, r[R_MM], page))):
                oops(r, DROPPED)
    r[R_SCRATCH] = 0
    return NEXT
