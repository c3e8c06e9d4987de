"""RCU grace periods (kernel/rcupdate.c): who still reads, and has said so by `rcu_read_lock` of `rss/task.py`."""

from __future__ import annotations

from shm_layout.atomic import load
from shm_layout.registers import R_CPU
from shm_layout.structs import CPU_RCU, NR_CPUS, at
from shm_layout.words import Words
from stress.step import helper


@helper
def next_reader(m: Words, r: Words, cpu: int) -> int:
    """Return the first CPU from ``cpu`` on, but this one, that is inside rcu_read_lock: a grace period waits for it.

    The number of CPUs where there is none.
    """
    while cpu < m[NR_CPUS] and (cpu == r[R_CPU] or load(m, at(m, CPU_RCU, cpu)) == 0):
        cpu += 1
    return cpu
