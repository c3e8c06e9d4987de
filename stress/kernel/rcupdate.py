"""RCU grace periods (kernel/rcupdate.c): who still reads, and has said so by `rcu_read_lock` of `rss/task.py`."""

from __future__ import annotations

from shm_layout.atomic import load
from shm_layout.registers import R_CPU
from shm_layout.structs import CPU_RCU, NR_CPUS, at
from shm_layout.words import Words
from stress.step import helper

BEGUN = 1 << 62
"""A grace period has begun, and waits for the CPUs whose bits stand below this one."""
BITS = 62
"""CPUs that differ by a multiple of this share a bit: they are waited for together, for longer than is needed."""


@helper
def still_reading(m: Words, r: Words, waited: int) -> int:
    """Return what a grace period waits for, 0 once it has ended: `BEGUN`, and a bit for each CPU that reads still.

    ``waited``: what was returned before, 0 as the period begins. It waits for those alone that were inside
    rcu_read_lock as it began, in whatever order they leave; one that has come in again is not waited for.
    """
    reading = 0
    for cpu in range(m[NR_CPUS]):
        bit = 1 << (cpu % BITS)
        asked = cpu != r[R_CPU] and (waited == 0 or (waited & bit) != 0)
        if asked and load(m, at(m, CPU_RCU, cpu)) != 0:
            reading |= bit
    return 0 if reading == 0 else BEGUN | reading
