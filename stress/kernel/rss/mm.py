"""Counters of the mm itself: mm->rss and mm->anon_rss, changed by a read and then a write.

Exact under page_table_lock, the way of Linux 2.6.9; sloppy without it (V11, see `stress.kernel.rss.sloppy`).
"""

from __future__ import annotations

from shm_layout.atomic import read_once, write_once
from shm_layout.registers import R_ANON_RSS, R_CHILD, R_FREED, R_MM, R_RSS, R_SCRATCH, R_VALUE
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
def note_read(m: Words, r: Words, mended: int) -> None:
    """Note that a counter is read: keep in R_SCRATCH how much of it readers have added (`stress.kernel.rss.sloppy`)."""
    if m[GHOST] != 0:
        r[R_SCRATCH] = m[at(m, mended, r[R_MM])]


@helper
def note_write(m: Words, r: Words, mended: int) -> None:
    """Note that a counter is written that was read before: what readers have added since then is lost."""
    if m[GHOST] != 0:
        write_once(m, at(m, mended, r[R_MM]), r[R_SCRATCH])


@step
def read_mm_rss(m: Words, r: Words) -> int:
    """mm->rss, the read of a change."""
    note_read(m, r, MENDED_RSS)
    r[R_VALUE] = read_once(m, at(m, MM_RSS, r[R_MM]))
    return NEXT


@step
def inc_mm_rss(m: Words, r: Words) -> int:
    """mm->rss++, its write."""
    note_write(m, r, MENDED_RSS)
    write_once(m, at(m, MM_RSS, r[R_MM]), r[R_VALUE] + 1)
    return NEXT


@step
def dec_mm_rss(m: Words, r: Words) -> int:
    """mm->rss--, its write."""
    note_write(m, r, MENDED_RSS)
    write_once(m, at(m, MM_RSS, r[R_MM]), r[R_VALUE] - 1)
    return NEXT


@step
def sub_mm_rss(m: Words, r: Words) -> int:
    """mm->rss -= freed, its write."""
    note_write(m, r, MENDED_RSS)
    write_once(m, at(m, MM_RSS, r[R_MM]), r[R_VALUE] - r[R_FREED])
    return NEXT


@step
def read_mm_anon_rss(m: Words, r: Words) -> int:
    """mm->anon_rss, the read of a change."""
    note_read(m, r, MENDED_ANON_RSS)
    r[R_VALUE] = read_once(m, at(m, MM_ANON_RSS, r[R_MM]))
    return NEXT


@step
def inc_mm_anon_rss(m: Words, r: Words) -> int:
    """mm->anon_rss++, its write."""
    note_write(m, r, MENDED_ANON_RSS)
    write_once(m, at(m, MM_ANON_RSS, r[R_MM]), r[R_VALUE] + 1)
    return NEXT


@step
def dec_mm_anon_rss(m: Words, r: Words) -> int:
    """mm->anon_rss--, its write."""
    note_write(m, r, MENDED_ANON_RSS)
    write_once(m, at(m, MM_ANON_RSS, r[R_MM]), r[R_VALUE] - 1)
    return NEXT


@step
def read_child_rss(m: Words, r: Words) -> int:
    """dst->rss, the read of a change: under the locks of copy_page_range nobody else counts on the child."""
    r[R_VALUE] = read_once(m, at(m, MM_RSS, r[R_CHILD]))
    return NEXT


@step
def inc_child_rss(m: Words, r: Words) -> int:
    """dst->rss++, its write."""
    write_once(m, at(m, MM_RSS, r[R_CHILD]), r[R_VALUE] + 1)
    return NEXT


@step
def read_child_anon_rss(m: Words, r: Words) -> int:
    """dst->anon_rss, the read of a change."""
    r[R_VALUE] = read_once(m, at(m, MM_ANON_RSS, r[R_CHILD]))
    return NEXT


@step
def inc_child_anon_rss(m: Words, r: Words) -> int:
    """dst->anon_rss++, its write."""
    write_once(m, at(m, MM_ANON_RSS, r[R_CHILD]), r[R_VALUE] + 1)
    return NEXT


@step
def sum_mm_rss(m: Words, r: Words) -> int:
    """rss = mm->rss: where a reader starts."""
    note_read(m, r, MENDED_RSS)
    r[R_RSS] = read_once(m, at(m, MM_RSS, r[R_MM]))
    return NEXT


@step
def sum_mm_anon_rss(m: Words, r: Words) -> int:
    """anon_rss = mm->anon_rss: where a reader starts."""
    note_read(m, r, MENDED_ANON_RSS)
    r[R_ANON_RSS] = read_once(m, at(m, MM_ANON_RSS, r[R_MM]))
    return NEXT


INC_RSS = (read_mm_rss, inc_mm_rss)
DEC_RSS = (read_mm_rss, dec_mm_rss)
SUB_FREED = (read_mm_rss, sub_mm_rss)
INC_ANON_RSS = (read_mm_anon_rss, inc_mm_anon_rss)
DEC_ANON_RSS = (read_mm_anon_rss, dec_mm_anon_rss)
INC_CHILD_RSS = (read_child_rss, inc_child_rss)
INC_CHILD_ANON_RSS = (read_child_anon_rss, inc_child_anon_rss)
