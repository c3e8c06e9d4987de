"""Counters that are atomic until a second task starts, then per CPU (2024, carried by two distributions).

While the mm has one task its count is one atomic word. The start of the second moves it, under a lock, to a per-CPU
counter, and sets the flag that says so. A task that found the flag unset before adds to the atomic word.
"""

from __future__ import annotations

from shm_layout.atomic import fetch_add, load, read_once, store, write_once
from shm_layout.registers import R_AMOUNT, R_COUNTED_MM, R_MM, R_VALUE
from shm_layout.structs import MM_SINGLE, at
from shm_layout.words import Words
from stress.kernel.rss.amount import counted
from stress.kernel.rss.lazy import single_count
from stress.labels import PERCPU
from stress.step import NEXT, step


@step
def if_atomic(m: Words, r: Words) -> int:
    """Has the mm no per-CPU counter yet? Else to `percpu`."""
    return PERCPU if load(m, at(m, MM_SINGLE, r[R_COUNTED_MM])) == 0 else NEXT


@step
def atomic_add_single(m: Words, r: Words) -> int:
    """atomic_long_add(amount, &fbc->count_atomic)."""
    fetch_add(m, single_count(m, r), r[R_AMOUNT])
    return NEXT


@step
def read_single(m: Words, r: Words) -> int:
    """The atomic count, the read of its move."""
    r[R_VALUE] = read_once(m, single_count(m, r))
    return NEXT


@step
def move_single(m: Words, r: Words) -> int:
    """The central count of the per-CPU counter, its write: nobody adds to it before the flag is set."""
    write_once(m, counted(m, r), r[R_VALUE])
    return NEXT


@step
def set_percpu(m: Words, r: Words) -> int:
    """The flag: per CPU from now on."""
    store(m, at(m, MM_SINGLE, r[R_MM]), 0)
    return NEXT
