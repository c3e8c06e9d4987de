"""V11's sloppy counters: those of `stress.kernel.rss.mm` without any lock, and readers that mend what is negative."""

from __future__ import annotations

from shm_layout.atomic import write_once
from shm_layout.registers import R_ANON_RSS, R_MM, R_RSS
from shm_layout.structs import MM_ANON_RSS, MM_RSS, MM_STRIDE, at
from shm_layout.words import Words
from stress.step import NEXT, step


@step
def correct_mm_rss(m: Words, r: Words) -> int:
    """V11's get_rss: a negative mm->rss is set to 0 by the reader."""
    if r[R_RSS] < 0:
        write_once(m, at(m, MM_RSS, MM_STRIDE, r[R_MM]), 0)
        r[R_RSS] = 0
    return NEXT


@step
def correct_mm_anon_rss(m: Words, r: Words) -> int:
    """V11's get_rss: a negative mm->anon_rss is set to 0 by the reader."""
    if r[R_ANON_RSS] < 0:
        write_once(m, at(m, MM_ANON_RSS, MM_STRIDE, r[R_MM]), 0)
        r[R_ANON_RSS] = 0
    return NEXT
