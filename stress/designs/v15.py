"""V15 of 11 January 2005, its counter patch as posted: the fault path counts on the mm, plainly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stress.design import Design
from stress.designs.parts.counter import Counter, Fragment
from stress.designs.parts.operations import FAULTS
from stress.designs.v12 import LIST_RSS
from stress.designs.v12_reviewed import STATM_SINGLE_PASS, STATUS_SINGLE_PASS
from stress.designs.v13 import operations_of_v13
from stress.kernel import exit as exit_
from stress.kernel import spinlock, swap
from stress.kernel.rss import mm as mm_rss
from stress.kernel.rss import task as task_rss
from stress.kernel.rss.saved import borrowed_on_list
from stress.labels import DO_ANONYMOUS_PAGE
from stress.machine_kind import TWO_LEVELS
from stress.program import Program

MM_ADD_THREAD: Fragment = (
    spinlock.spin_lock,
    task_rss.zero_thread_rss,
    task_rss.list_add_rcu,
    spinlock.spin_unlock,
)

COUNTER = replace(
    LIST_RSS,
    fault_rss=mm_rss.INC_RSS,
    fault_anon_rss=mm_rss.INC_ANON_RSS,
    inc_anon_rss=mm_rss.INC_ANON_RSS,
    add_thread=MM_ADD_THREAD,
    statm=STATM_SINGLE_PASS,
    status=STATUS_SINGLE_PASS,
    stat=STATUS_SINGLE_PASS,
)
"""All fault paths count on the mm. A single get_rss sums both counters in one pass over the tasks."""


def operations_of_v15(counter: Counter) -> Mapping[str, Program]:
    """V14's operations; a kernel thread that borrows an mm is on its list for that time.

    page_add_anon_rmap counts no more: do_anonymous_page counts behind the rmap and the LRU.
    """
    behind = (swap.lru_cache_add_active, *counter.fault_rss, *counter.fault_anon_rss)
    posted = Program(counter.fault_anon_rss, swap.lru_cache_add_active, counter.fault_rss)
    programs = dict(operations_of_v13(counter))
    for name in FAULTS:
        programs[name] = programs[name].splice(tuple(posted), behind, within=DO_ANONYMOUS_PAGE)
    borrowed = (
        programs["use_mm"]
        .after(exit_.use_mm, counter.add_thread, borrowed_on_list)
        .before(exit_.unuse_mm, counter.remove_thread)
    )
    return {**programs, "use_mm": borrowed}


DESIGN = Design(
    name="v15",
    year=2005,
    source="page fault scalability patch V15, the counter patch, 11 January 2005",
    summary="V14 with a task list in use_mm and one get_rss; the fault counts on the mm without a lock; as posted",
    programs=operations_of_v15(COUNTER),
    machine=TWO_LEVELS,
)
