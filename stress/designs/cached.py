"""Counts cached per task, 2.6.34 to 6.1, on the fault path of v12_sound."""

from __future__ import annotations

from stress.design import Bound
from stress.designs.atomic import READ_POSITIVE, STATM_POSITIVE
from stress.designs.parts import counter_checks
from stress.designs.parts.correction import Correction, everywhere
from stress.designs.parts.counter import Fragment, counter_that
from stress.designs.parts.operations import FAULTS
from stress.designs.v12_sound import on_sound_path
from stress.kernel import exit as exit_
from stress.kernel import spinlock
from stress.kernel.rss import amount, cached, task
from stress.kernel.rss.atomic import atomic_add
from stress.kernel.rss.cached import TASK_RSS_EVENTS_THRESH
from stress.labels import COUNTED, IN_BATCH, OTHER_MM
from stress.program import At, Goto


def _events(cpus: int, threads: int, batch: int) -> int:
    return TASK_RSS_EVENTS_THRESH * threads


FAST: Fragment = (
    task.if_own_mm,
    cached.add_mm_counter_fast,
    Goto(COUNTED),
    At(OTHER_MM),
    atomic_add,
    At(COUNTED),
)
"""add_mm_counter_fast: on current if current->mm is the mm, else by atomic add."""

SYNC: Fragment = (cached.sync_rss, cached.sync_anon_rss)
SYNC_ALL: Fragment = (*SYNC, cached.no_events)
CHECK_SYNC: Fragment = (cached.check_sync_rss_stat, *SYNC, At(IN_BATCH))

CACHED = counter_that(
    (atomic_add,),
    fault_rss=(amount.rss_up, *FAST),
    fault_anon_rss=(amount.anon_rss_up, *FAST),
    inc_rss=(amount.rss_up, *FAST),
    inc_anon_rss=(amount.anon_rss_up, *FAST),
    statm=STATM_POSITIVE,
    status=READ_POSITIVE,
    stat=READ_POSITIVE,
    remove_thread=SYNC_ALL,
    bound=Bound("64 * threads", _events),
    checks=(counter_checks.nothing_lost, counter_checks.at_most_64_a_task),
)
"""Faults count on current; zap, fork and swap-out, which nobody does as often, by atomic add on the mm."""

CHECK_AT_FAULT = Correction(
    "check_sync",
    "a fault first folds what current has cached, once 64 faults have passed",
    everywhere(FAULTS, lambda p: p.after(spinlock.down_read, CHECK_SYNC)),
)
SYNC_UNUSE_MM = Correction(
    "sync_unuse_mm",
    "a kernel thread folds before it gives back the mm that it borrowed",
    {"use_mm": lambda p: p.before(exit_.unuse_mm, SYNC_ALL)},
)

_DESIGN = on_sound_path(
    "cached",
    2010,
    "Linux 2.6.34 to 6.1, SPLIT_RSS_COUNTING",
    "current caches its counts and folds them into the mm after 64 faults, at exit and at exec",
    CACHED,
)
DESIGN = SYNC_UNUSE_MM.apply(CHECK_AT_FAULT.apply(_DESIGN))
