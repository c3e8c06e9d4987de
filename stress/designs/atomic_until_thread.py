"""An atomic count until the second task starts, then a percpu_counter (2024), on the fault path of v12_sound."""

from __future__ import annotations

from stress.design import Bound, Design
from stress.designs.parts import counter_checks
from stress.designs.parts.counter import Fragment, counter_that
from stress.designs.percpu import below_batch
from stress.designs.v12_sound import on_sound_path
from stress.kernel import fork, proc
from stress.kernel.rss import amount, lazy, percpu, until_thread
from stress.labels import COUNTED, IN_BATCH, NEXT_CPU, PERCPU
from stress.program import At, Goto


def _pages(cpus: int, threads: int, batch: int) -> int:
    return 0 if threads == 1 else below_batch(cpus, threads, batch)


ADD: Fragment = (
    until_thread.if_atomic,
    until_thread.atomic_add_single,
    Goto(COUNTED),
    At(PERCPU),
    percpu.percpu_counter_add,
    percpu.spin_lock_counter,
    percpu.fold_count,
    percpu.spin_unlock_counter,
    At(IN_BATCH),
    At(COUNTED),
)
_SUM_CPUS: Fragment = (
    percpu.spin_lock_counter,
    percpu.sum_central,
    At(NEXT_CPU),
    percpu.sum_local,
    percpu.spin_unlock_counter,
)


def _reads(one: Fragment) -> dict[str, Fragment]:
    """The reads of /proc, from what reads one counter."""
    both = (amount.read_rss, *one, amount.read_anon_rss)
    statm = (*both, *one, amount.both_read, proc.show_statm_positive)
    return {
        "statm": statm,
        "status": (*both, proc.show_rss_positive),
        "stat": (*both, proc.show_rss_positive),
    }


def _one_of(central: Fragment) -> Fragment:
    """The atomic count where there is no per-CPU counter yet, else what ``central`` sums."""
    return (
        until_thread.if_atomic,
        lazy.add_single_count,
        Goto(COUNTED),
        At(PERCPU),
        *central,
        At(COUNTED),
    )


def _counter(read: Fragment, precise: Fragment) -> Design:
    return on_sound_path(
        "atomic_until_thread",
        2024,
        "percpu_counter with an atomic mode, 2024, carried by two distributions",
        "atomic on the mm while it has one task; moved to per-CPU counts when the second starts",
        counter_that(
            ADD,
            **_reads(read),
            precise=(*_reads(precise)["statm"],),
            mm_init=(percpu.percpu_counter_init, lazy.init_single),
            bound=Bound("0 with one task, else (batch - 1) * CPUs", _pages),
            checks=(counter_checks.exact_while_single,),
        ),
    )


_MOVE_ONE: Fragment = (
    percpu.spin_lock_counter,
    until_thread.read_single,
    until_thread.move_single,
    percpu.spin_unlock_counter,
)
MOVE: Fragment = (
    amount.read_rss,
    until_thread.if_atomic,
    *_MOVE_ONE,
    amount.read_anon_rss,
    *_MOVE_ONE,
    until_thread.set_percpu,
    At(PERCPU),
)
"""What the start of a second task does, on the mm of the one that starts it; later ones find it done."""

DESIGN = _counter(_one_of((percpu.sum_central,)), _one_of(_SUM_CPUS)).edit(
    "move",
    "the start of a second task moves the count to a per-CPU counter",
    clone=lambda p: p.before(fork.mm_users_inc, MOVE),
)

LEFT = _counter((percpu.sum_central, lazy.add_single_count), (*_SUM_CPUS, lazy.add_single_count)).edit(
    "stay",
    "the atomic count stays where it is, and every sum adds it",
    clone=lambda p: p.before(fork.mm_users_inc, until_thread.set_percpu),
)
"""The mend: who found no per-CPU counter may add to the atomic count for ever."""
