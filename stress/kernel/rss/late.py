"""Counting just before mmap_sem is released, in the place of at once (finding F05)."""

from __future__ import annotations

from shm_layout.registers import R_LATE
from shm_layout.words import Words
from stress.labels import COUNTED_LATE
from stress.step import NEXT, step


@step(private=True)
def count_late(m: Words, r: Words) -> int:
    """The fault has mapped an anonymous page that is to be counted at its end."""
    r[R_LATE] = 1
    return NEXT


@step(private=True)
def if_late(m: Words, r: Words) -> int:
    """Has the fault a page to count? Else to `counted_late`."""
    return NEXT if r[R_LATE] != 0 else COUNTED_LATE
