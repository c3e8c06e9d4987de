"""CPUs that go offline (kernel/cpu.c), and what percpu_counter does about it (lib/percpu_counter.c).

A CPU leaves the mask of online CPUs first. Later a callback adds its local counts to the central ones. A sum over
online CPUs alone misses them in between (Linux to 6.3-rc); one over cpu_online_mask and cpu_dying_mask does not
(8b57b11cca88).
"""

from __future__ import annotations

from shm_layout.atomic import load, read_once, store, write_once
from shm_layout.registers import R_AMOUNT, R_COUNTED_MM, R_CPU, R_LEVEL, R_MEMBER, R_MM
from shm_layout.structs import CPU_ANON_RSS, CPU_OFFLINE, CPU_RSS, MM_ANON_RSS, MM_RSS, MM_USERS, NR_CPUS, NR_MMS, at
from shm_layout.words import Words
from stress.kernel.bug import RSS_STAT, oops
from stress.kernel.mm_types import MM_FREE
from stress.kernel.rss.amount import ANON_RSS, RSS, counted, set_amount
from stress.kernel.rss.percpu import counter_lock, local
from stress.kernel.spinlock import spin_trylock
from stress.labels import AGAIN, NEXT_CPU, SKIP
from stress.step import NEXT, WAIT, helper, step

ONLINE, DYING, DEAD = 0, 1, 2


@step
def set_cpu_offline(m: Words, r: Words) -> int:
    """set_cpu_dying(cpu, true); set_cpu_online(cpu, false): what ran there goes on elsewhere."""
    set_amount(r, 0, RSS, 0)
    store(m, at(m, CPU_OFFLINE, r[R_CPU]), DYING)
    return NEXT


@step(waits=True, whole="percpu_counters_lock and fbc->lock")
def percpu_counter_cpu_dead(m: Words, r: Words) -> int:
    """percpu_counter_cpu_dead(): one counter, R_MEMBER of mm R_COUNTED_MM, takes over what the CPU counted on it."""
    if read_once(m, at(m, MM_USERS, r[R_COUNTED_MM])) == MM_FREE:
        return NEXT
    lock = counter_lock(m, r)
    if not spin_trylock(m, lock):
        return WAIT
    own = local(m, r, r[R_CPU])
    count = read_once(m, own)
    if count != 0:
        central = counted(m, r)
        write_once(m, central, read_once(m, central) + count)
        write_once(m, own, 0)
    store(m, lock, 0)
    return NEXT


@step(whole="percpu_counters_lock")
def percpu_counter_destroy(m: Words, r: Words) -> int:
    """percpu_counter_destroy_many(): the counters of mm R_MM leave the list, and their counts, whose sum is 0, go.

    Else a CPU that goes offline would add it to the counters of the mm that is made of this one next.
    """
    write_once(m, at(m, MM_RSS, r[R_MM]), 0)
    write_once(m, at(m, MM_ANON_RSS, r[R_MM]), 0)
    for cpu in range(m[NR_CPUS]):
        write_once(m, at(m, CPU_RSS, cpu * m[NR_MMS] + r[R_MM]), 0)
        write_once(m, at(m, CPU_ANON_RSS, cpu * m[NR_MMS] + r[R_MM]), 0)
    return NEXT


@step(private=True)
def next_counter(m: Words, r: Words) -> int:
    """list_for_each_entry(fbc, &percpu_counters, list): back to `again` until all have been seen."""
    if r[R_MEMBER] == RSS:
        r[R_MEMBER] = ANON_RSS
        return AGAIN
    r[R_MEMBER] = RSS
    r[R_COUNTED_MM] = r[R_COUNTED_MM] + 1
    return AGAIN if r[R_COUNTED_MM] < m[NR_MMS] else NEXT


@step
def set_cpu_dead(m: Words, r: Words) -> int:
    """set_cpu_dying(cpu, false): the CPU is down."""
    store(m, at(m, CPU_OFFLINE, r[R_CPU]), DEAD)
    return NEXT


@step
def set_cpu_online(m: Words, r: Words) -> int:
    """set_cpu_online(cpu, true): it comes back, so that the workload's CPU can go on."""
    store(m, at(m, CPU_OFFLINE, r[R_CPU]), ONLINE)
    return NEXT


@helper
def cpu_state(m: Words, r: Words) -> int:
    """Where the CPU R_LEVEL that a sum has come to is: `ONLINE`, `DYING` or `DEAD`."""
    return load(m, at(m, CPU_OFFLINE, r[R_LEVEL]))


@step
def if_cpu_online(m: Words, r: Words) -> int:
    """for_each_cpu(cpu, cpu_online_mask): any other is passed over, `skip`."""
    return NEXT if cpu_state(m, r) == ONLINE else SKIP


@step
def if_cpu_online_or_dying(m: Words, r: Words) -> int:
    """for_each_cpu_or(cpu, cpu_online_mask, cpu_dying_mask): any other is passed over, `skip`."""
    return NEXT if cpu_state(m, r) != DEAD else SKIP


@step
def add_local(m: Words, r: Words) -> int:
    """ret += *per_cpu_ptr(fbc->counters, cpu)."""
    r[R_AMOUNT] = r[R_AMOUNT] + read_once(m, local(m, r, r[R_LEVEL]))
    return NEXT


@step(private=True)
def next_cpu(m: Words, r: Words) -> int:
    """Back to `next_cpu` until all CPUs have been seen."""
    r[R_LEVEL] = r[R_LEVEL] + 1
    return NEXT_CPU if r[R_LEVEL] < m[NR_CPUS] else NEXT


@step(private=True)
def check_mm(m: Words, r: Words) -> int:
    """check_mm() when an mm ends: BUG: Bad rss-counter state, unless the precise sum is 0."""
    if r[R_AMOUNT] != 0:
        oops(r, RSS_STAT)
    return NEXT
