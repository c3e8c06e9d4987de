"""percpu_counter of Linux 6.2, on the fault path of v12_sound."""

from __future__ import annotations

from stress.design import Bound
from stress.designs.atomic import READ_POSITIVE, STATM_POSITIVE
from stress.designs.parts.counter import Fragment, counter_that
from stress.designs.v12_sound import on_sound_path
from stress.kernel import proc
from stress.kernel.rss import amount, percpu
from stress.labels import IN_BATCH, NEXT_CPU
from stress.program import At


def below_batch(cpus: int, threads: int, batch: int) -> int:
    """Return the pages that the CPUs may hold: each less than a batch."""
    return (batch - 1) * cpus


ADD: Fragment = (
    percpu.percpu_counter_add,
    percpu.spin_lock_counter,
    percpu.fold_count,
    percpu.spin_unlock_counter,
    At(IN_BATCH),
)
_SUM: Fragment = (
    percpu.spin_lock_counter,
    percpu.sum_central,
    At(NEXT_CPU),
    percpu.sum_local,
    percpu.spin_unlock_counter,
)
PRECISE: Fragment = (
    amount.read_rss,
    *_SUM,
    amount.read_anon_rss,
    *_SUM,
    amount.both_read,
    proc.show_statm_positive,
)
"""percpu_counter_sum of both counters."""

PERCPU = counter_that(
    ADD,
    statm=STATM_POSITIVE,
    status=READ_POSITIVE,
    stat=READ_POSITIVE,
    precise=PRECISE,
    mm_init=(percpu.percpu_counter_init,),
    bound=Bound("(batch - 1) * CPUs", below_batch),
)

DESIGN = on_sound_path(
    "percpu",
    2022,
    "Linux 6.2, rss_stat as percpu_counter",
    "each CPU counts on its own and moves a batch to the central count",
    PERCPU,
)
