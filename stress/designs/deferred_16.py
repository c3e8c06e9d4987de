"""Deferred counting, the variant that folds under page_table_lock when a task's count passes 16."""

from __future__ import annotations

from stress.design import Bound
from stress.designs.deferred import FOLD, deferred_counter
from stress.designs.parts import counter_checks
from stress.designs.v12_sound import on_sound_path
from stress.kernel import spinlock
from stress.kernel.rss import deferred
from stress.kernel.rss.deferred import MOST
from stress.labels import IN_BATCH
from stress.program import At


def _most(cpus: int, threads: int, batch: int) -> int:
    return MOST * threads


DEFERRED_16 = deferred_counter(
    Bound("16 * threads", _most),
    (
        deferred.count_rss_or_fold,
        spinlock.spin_lock,
        *FOLD,
        spinlock.spin_unlock,
        At(IN_BATCH),
    ),
    {},
    (counter_checks.nothing_lost, counter_checks.at_most_16_a_task),
)

DESIGN = on_sound_path(
    "deferred_16",
    2004,
    "deferred rss, posted on linux-kernel in December 2004",
    "current counts on itself, folded under page_table_lock when it has counted more than 16 pages",
    DEFERRED_16,
)
