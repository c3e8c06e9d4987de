"""A counter of one's own: each CPU counts for itself, and the timer tick moves its count to the mm.

A read adds up the mm's count and those of all CPUs. DOUBLE shows a page twice while a tick has added the CPU's count to
the mm and not taken it off the CPU yet. ONCE moves a count under the lock that the read holds.

    $ pte-stress explore fold.py:DOUBLE "fault 0 w || tick | statm"
    ...
    read_regular: what a read shows lies between the least and the greatest true value during it: broken by the last step
    ...
    complete: every state that can be reached was visited
    $ pte-stress explore fold.py:ONCE "fault 0 w || tick | statm"
    ...
    complete: every state that can be reached was visited
"""

from shm_layout.atomic import fetch_add, read_once, write_once
from shm_layout.registers import R_AMOUNT, R_CPU, R_VALUE
from stress import NEXT, Program, step
from stress.designs.parts.counter import counter_that
from stress.designs.percpu import PRECISE
from stress.designs.v12_sound import on_sound_path
from stress.kernel import memory
from stress.kernel.rss import amount, percpu


@step
def this_cpu_add(m, r):
    """this_cpu_add(count, amount): no other CPU writes there."""
    mine = percpu.local(m, r, r[R_CPU])
    write_once(m, mine, m[mine] + r[R_AMOUNT])
    return NEXT


@step
def take(m, r):
    """Read this CPU's count."""
    r[R_VALUE] = read_once(m, percpu.local(m, r, r[R_CPU]))
    return NEXT


@step
def give(m, r):
    """Add it to the mm's count, atomically."""
    fetch_add(m, amount.counted(m, r), r[R_VALUE])
    return NEXT


@step
def forget(m, r):
    """This CPU's count is 0."""
    write_once(m, percpu.local(m, r, r[R_CPU]), 0)
    return NEXT


FOLD = (take, give, forget)
LOCKED = (percpu.spin_lock_counter, *FOLD, percpu.spin_unlock_counter)


def folding(name, summary, fold, **reads):
    """Return the design whose tick moves rss and anon_rss by these steps; by default every read adds up all."""
    reads = {"statm": PRECISE, "status": PRECISE, "stat": PRECISE, **reads}
    tick = Program(memory.mmap_current, amount.rss_up, *fold, amount.anon_rss_up, *fold)
    counter = counter_that((this_cpu_add,), mm_init=(percpu.percpu_counter_init,), more={"tick": tick}, **reads)
    return on_sound_path(name, 2026, "an example", summary, counter)


DOUBLE = folding("fold", "CPUs count, the tick folds without a lock", FOLD)
ONCE = folding("fold_locked", "CPUs count, the tick folds under the lock that reads hold", LOCKED)
