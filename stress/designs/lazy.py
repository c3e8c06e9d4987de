"""Counters that become per-CPU with the second task (RFC of 2025), on the fault path of v12_sound.

A read adds two counts. While the mm is single they are exact at rest, but others may change both between the two
loads of a read, which can then show what was never true (as in finding N07): its bound is that of an mm with tasks.
"""

from __future__ import annotations

from stress.design import Bound
from stress.designs.parts import counter_checks
from stress.designs.parts.counter import Fragment, counter_that
from stress.designs.percpu import below_batch
from stress.designs.v12_sound import on_sound_path
from stress.kernel import fork, proc
from stress.kernel.rss import amount, lazy, percpu
from stress.kernel.rss.atomic import atomic_add
from stress.labels import COUNTED, IN_BATCH, NEXT_CPU, NOT_OWNER, PERCPU
from stress.program import At, Goto


def _pages(cpus: int, threads: int, batch: int) -> int:
    return 0 if threads == 1 else below_batch(cpus, threads, batch)


ADD: Fragment = (
    lazy.if_single,
    lazy.count_local,
    Goto(COUNTED),
    At(NOT_OWNER),
    atomic_add,
    Goto(COUNTED),
    At(PERCPU),
    percpu.percpu_counter_add,
    percpu.spin_lock_counter,
    lazy.fold_count_atomic,
    percpu.spin_unlock_counter,
    At(IN_BATCH),
    At(COUNTED),
)
_RSS: Fragment = (lazy.sum_local_rss, lazy.add_shared_rss)
_ANON_RSS: Fragment = (lazy.sum_local_anon_rss, lazy.add_shared_anon_rss)
_SUM: Fragment = (
    percpu.spin_lock_counter,
    percpu.sum_central,
    At(NEXT_CPU),
    percpu.sum_local,
    percpu.spin_unlock_counter,
    lazy.add_single_count,
)

LAZY = counter_that(
    ADD,
    statm=(*_RSS, *_ANON_RSS, proc.show_statm_positive),
    status=(*_RSS, proc.show_rss_positive),
    stat=(*_RSS, proc.show_rss_positive),
    precise=(
        amount.read_rss,
        *_SUM,
        amount.read_anon_rss,
        *_SUM,
        amount.both_read,
        proc.show_statm_positive,
    ),
    mm_init=(percpu.percpu_counter_init, lazy.init_single),
    bound=Bound("0 with one task, else (batch - 1) * CPUs", _pages),
    checks=(counter_checks.exact_while_single,),
)

DESIGN = on_sound_path(
    "lazy",
    2025,
    "lazy per-CPU rss counters, RFC of 2025",
    "plain while the mm has one task, per CPU from the second one on",
    LAZY,
).edit(
    "upgrade",
    "before a second task starts, the one that starts it makes the counters per-CPU",
    clone=lambda p: p.before(fork.mm_users_inc, lazy.upgrade),
)
