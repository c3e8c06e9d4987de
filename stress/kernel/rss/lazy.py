"""Counters that become per-CPU when a second task starts (RFC of 2025, "lazy per-CPU counters").

While the mm has one task, that task counts plainly on mm->local_rss, which no other task writes; any other that counts
adds atomically to mm->rss. From the second task on mm->rss is the central count of a percpu_counter, and what was
counted locally stays where it is: moving it would show to a reader, and a CPU that just found the mm single could
still be adding to mm->rss. For its sake the central count is changed by atomic add, under the lock too.
"""

from __future__ import annotations

from shm_layout.atomic import fetch_add, load, read_once, store, write_once
from shm_layout.registers import R_AMOUNT, R_ANON_RSS, R_CHILD, R_COUNTED_MM, R_CPU, R_MEMBER, R_MM, R_RSS, R_VALUE
from shm_layout.structs import (
    MM_ANON_RSS,
    MM_LOCAL_ANON_RSS,
    MM_LOCAL_RSS,
    MM_RSS,
    MM_SINGLE,
    MM_STRIDE,
    at,
)
from shm_layout.words import Words
from stress.kernel.rss.amount import RSS, counted
from stress.kernel.rss.percpu import local
from stress.kernel.rss.task import own
from stress.labels import NOT_OWNER, PERCPU
from stress.step import NEXT, helper, step


@helper
def single_count(m: Words, r: Words) -> int:
    """Return the index of what the mm's only task counted."""
    field = m[MM_LOCAL_RSS] if r[R_MEMBER] == RSS else m[MM_LOCAL_ANON_RSS]
    return field + r[R_COUNTED_MM] * m[MM_STRIDE]


@step
def if_single(m: Words, r: Words) -> int:
    """Is the mm single? Its owner goes on, another task to `not_owner`; `percpu` once it is not."""
    if load(m, at(m, MM_SINGLE, r[R_COUNTED_MM])) == 0:
        return PERCPU
    return NEXT if r[R_COUNTED_MM] == r[R_MM] and own(m, r) else NOT_OWNER


@step
def count_local(m: Words, r: Words) -> int:
    """The owner's plain count. One step: nobody else writes it, and the owner starts no task in between."""
    word = single_count(m, r)
    write_once(m, word, m[word] + r[R_AMOUNT])
    return NEXT


@step
def fold_count_atomic(m: Words, r: Words) -> int:
    """atomic_long_add(count, &central); the CPU's own is 0. One step, see `stress.kernel.rss.percpu.fold_count`."""
    fetch_add(m, counted(m, r), r[R_VALUE])
    write_once(m, local(m, r, r[R_CPU]), 0)
    return NEXT


@step
def upgrade(m: Words, r: Words) -> int:
    """A second task is about to start: per CPU from now on. The task that starts it is the owner itself."""
    store(m, at(m, MM_SINGLE, r[R_MM]), 0)
    return NEXT


@step
def init_single(m: Words, r: Words) -> int:
    """A new mm has one task, which has counted nothing; nobody else can see it yet."""
    write_once(m, at(m, MM_SINGLE, r[R_CHILD]), 1)
    write_once(m, at(m, MM_LOCAL_RSS, r[R_CHILD]), 0)
    write_once(m, at(m, MM_LOCAL_ANON_RSS, r[R_CHILD]), 0)
    return NEXT


# reads: the local count and the shared one


@step
def sum_local_rss(m: Words, r: Words) -> int:
    """rss = what the only task counted."""
    r[R_RSS] = read_once(m, at(m, MM_LOCAL_RSS, r[R_MM]))
    return NEXT


@step
def add_shared_rss(m: Words, r: Words) -> int:
    """rss += what others counted, or the central count."""
    r[R_RSS] = r[R_RSS] + read_once(m, at(m, MM_RSS, r[R_MM]))
    return NEXT


@step
def sum_local_anon_rss(m: Words, r: Words) -> int:
    """anon_rss = what the only task counted."""
    r[R_ANON_RSS] = read_once(m, at(m, MM_LOCAL_ANON_RSS, r[R_MM]))
    return NEXT


@step
def add_shared_anon_rss(m: Words, r: Words) -> int:
    """anon_rss += what others counted, or the central count."""
    r[R_ANON_RSS] = r[R_ANON_RSS] + read_once(m, at(m, MM_ANON_RSS, r[R_MM]))
    return NEXT


@step
def add_single_count(m: Words, r: Words) -> int:
    """The precise sum, too, begins with what the only task counted."""
    r[R_AMOUNT] = r[R_AMOUNT] + read_once(m, single_count(m, r))
    return NEXT
