"""What /proc shows (fs/proc/task_mmu.c, fs/proc/array.c): statm, status and stat."""

from __future__ import annotations

from shm_layout.registers import R_ANON_RSS, R_RESIDENT, R_RSS, R_SHARED
from shm_layout.words import Words
from stress.step import NEXT, step

NOT_SHOWN = -(1 << 62)
"""R_RESIDENT or R_SHARED: this read does not show it."""


def shows_nothing(name: str) -> str:
    """Say that the reads of a name gave nothing that could be compared with the truth."""
    return f"{name} shows no value: nothing was compared"


@step(private=True)
def show_rss(m: Words, r: Words) -> int:
    """VmRSS of status, rss of stat: as it was read."""
    r[R_RESIDENT] = r[R_RSS]
    r[R_SHARED] = NOT_SHOWN
    return NEXT


@step(private=True)
def show_rss_positive(m: Words, r: Words) -> int:
    """The same, 0 instead of a negative sum."""
    r[R_RESIDENT] = max(r[R_RSS], 0)
    r[R_SHARED] = NOT_SHOWN
    return NEXT


@step(private=True)
def show_statm(m: Words, r: Words) -> int:
    """statm: resident and shared from one reading of both counters."""
    r[R_RESIDENT] = r[R_RSS]
    r[R_SHARED] = r[R_RSS] - r[R_ANON_RSS]
    return NEXT


@step(private=True)
def show_statm_positive(m: Words, r: Words) -> int:
    """The same, 0 instead of a negative number."""
    r[R_RESIDENT] = max(r[R_RSS], 0)
    r[R_SHARED] = max(r[R_RSS] - r[R_ANON_RSS], 0)
    return NEXT


@step(private=True)
def show_shared_positive(m: Words, r: Words) -> int:
    """V12's statm, first half: shared = get_shared, 0 instead of a negative sum."""
    r[R_SHARED] = max(r[R_RSS] - r[R_ANON_RSS], 0)
    return NEXT


@step(private=True)
def show_resident(m: Words, r: Words) -> int:
    """V12's statm, second half: resident = mm's own rss."""
    r[R_RESIDENT] = r[R_RSS]
    return NEXT
