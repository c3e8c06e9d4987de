"""Counters of the mm changed by one atomic operation: atomic_long_add(value, &mm->counter)."""

from __future__ import annotations

from shm_layout.atomic import fetch_add
from shm_layout.registers import R_AMOUNT
from shm_layout.words import Words
from stress.kernel.rss.amount import counted
from stress.step import NEXT, step


@step
def atomic_add(m: Words, r: Words) -> int:
    """atomic_long_add(value, &mm->rss_stat.count[member])."""
    fetch_add(m, counted(m, r), r[R_AMOUNT])
    return NEXT
