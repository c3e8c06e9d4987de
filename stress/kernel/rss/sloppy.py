"""V11's sloppy counters: those of `stress.kernel.rss.mm` without any lock, and readers that mend what is negative."""

from __future__ import annotations

from shm_layout.atomic import write_once
from shm_layout.registers import R_ANON_RSS, R_MM, R_RSS, R_SCRATCH
from shm_layout.structs import (
    GHOST,
    MENDED_ANON_RSS,
    MENDED_RSS,
    MM_ANON_RSS,
    MM_RSS,
    at,
)
from shm_layout.words import Words
from stress.step import NEXT, helper, step


@helper
def note_mended(m: Words, r: Words, read: int, mended: int) -> None:
    """Note that a reader sets a counter of the mm, which it has ``read``, to 0; only where `GHOST` is set."""
    if m[GHOST] != 0:
        write_once(m, at(m, mended, r[R_MM]), r[R_SCRATCH] - read)


@step
def correct_mm_rss(m: Words, r: Words) -> int:
    """V11's get_rss: a negative mm->rss is set to 0 by the reader."""
    if r[R_RSS] < 0:
        note_mended(m, r, r[R_RSS], MENDED_RSS)
        write_once(m, at(m, MM_RSS, r[R_MM]), 0)
        r[R_RSS] = 0
    return NEXT


@step
def correct_mm_anon_rss(m: Words, r: Words) -> int:
    """V11's get_rss: a negative mm->anon_rss is set to 0 by the reader."""
    if r[R_ANON_RSS] < 0:
        note_mended(m, r, r[R_ANON_RSS], MENDED_ANON_RSS)
        write_once(m, at(m, MM_ANON_RSS, r[R_MM]), 0)
        r[R_ANON_RSS] = 0
    return NEXT
