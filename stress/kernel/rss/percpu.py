"""percpu_counter (6.2; lib/percpu_counter.c): a local count for each CPU, moved to the central one in batches.

A CPU's local count is written by that CPU alone, with preemption off: what this_cpu operations do is one step,
because nobody can come between the read and the write.
"""

from __future__ import annotations

from shm_layout.atomic import read_once, store, write_once
from shm_layout.registers import R_AMOUNT, R_CHILD, R_COUNTED_MM, R_CPU, R_LEVEL, R_VALUE
from shm_layout.structs import (
    BATCH,
    CPU_ANON_RSS,
    CPU_FILE_RSS,
    CPU_RSS,
    CPU_SHMEM_RSS,
    MM_ANON_RSS_LOCK,
    MM_FILE_RSS_LOCK,
    MM_RSS_LOCK,
    MM_SHMEM_RSS_LOCK,
    NR_CPUS,
    NR_MMS,
    at,
)
from shm_layout.words import Words
from stress.kernel.rss.amount import counted, of_member
from stress.kernel.spinlock import spin_trylock
from stress.labels import IN_BATCH, NEXT_CPU
from stress.step import NEXT, WAIT, helper, step


@helper
def local(m: Words, r: Words, cpu: int) -> int:
    """Return the index of what a CPU counted: per_cpu_ptr(fbc->counters, cpu)."""
    field = of_member(r, CPU_RSS, CPU_ANON_RSS, CPU_FILE_RSS, CPU_SHMEM_RSS)
    return at(m, field, cpu * m[NR_MMS] + r[R_COUNTED_MM])


@helper
def counter_lock(m: Words, r: Words) -> int:
    """Return the index of fbc->lock."""
    return at(m, of_member(r, MM_RSS_LOCK, MM_ANON_RSS_LOCK, MM_FILE_RSS_LOCK, MM_SHMEM_RSS_LOCK), r[R_COUNTED_MM])


@step
def percpu_counter_add(m: Words, r: Words) -> int:
    """percpu_counter_add_batch(): on this CPU's count, `in_batch`, or on to the central one with all of it."""
    word = local(m, r, r[R_CPU])
    count = m[word] + r[R_AMOUNT]
    if abs(count) < m[BATCH]:
        write_once(m, word, count)
        return IN_BATCH
    r[R_VALUE] = count
    return NEXT


@step(waits=True)
def spin_lock_counter(m: Words, r: Words) -> int:
    """raw_spin_lock(&fbc->lock)."""
    return NEXT if spin_trylock(m, counter_lock(m, r)) else WAIT


@step
def fold_count(m: Words, r: Words) -> int:
    """fbc->count += count; the CPU's own is 0.

    One step: only holders of fbc->lock write the central count or look at the local ones of others.
    """
    word = counted(m, r)
    write_once(m, word, read_once(m, word) + r[R_VALUE])
    write_once(m, local(m, r, r[R_CPU]), 0)
    return NEXT


@step
def spin_unlock_counter(m: Words, r: Words) -> int:
    """raw_spin_unlock(&fbc->lock)."""
    store(m, counter_lock(m, r), 0)
    return NEXT


@step
def percpu_counter_init(m: Words, r: Words) -> int:
    """percpu_counter_init(): no CPU has counted anything on the child, which nobody else can see yet."""
    store(m, at(m, MM_RSS_LOCK, r[R_CHILD]), 0)
    store(m, at(m, MM_ANON_RSS_LOCK, r[R_CHILD]), 0)
    for cpu in range(m[NR_CPUS]):
        write_once(m, at(m, CPU_RSS, cpu * m[NR_MMS] + r[R_CHILD]), 0)
        write_once(m, at(m, CPU_ANON_RSS, cpu * m[NR_MMS] + r[R_CHILD]), 0)
    return NEXT


# percpu_counter_sum: under fbc->lock, the central count and every CPU's


@step
def sum_central(m: Words, r: Words) -> int:
    """ret = fbc->count."""
    r[R_AMOUNT] = read_once(m, counted(m, r))
    r[R_LEVEL] = 0
    return NEXT


@step
def sum_local(m: Words, r: Words) -> int:
    """ret += *per_cpu_ptr(fbc->counters, cpu): back to `next_cpu` until all are added."""
    r[R_AMOUNT] = r[R_AMOUNT] + read_once(m, local(m, r, r[R_LEVEL]))
    r[R_LEVEL] = r[R_LEVEL] + 1
    return NEXT_CPU if r[R_LEVEL] < m[NR_CPUS] else NEXT
