"""V15 as its change log has it: "increment current->rss instead of mm->rss"."""

from __future__ import annotations

from dataclasses import replace

from stress.design import Design
from stress.designs.v12 import INC_TASK_ANON_RSS, INC_TASK_RSS
from stress.designs.v15 import COUNTER, operations_of_v15
from stress.machine_kind import TWO_LEVELS

COUNTER_ON_CURRENT = replace(
    COUNTER,
    fault_rss=INC_TASK_RSS,
    fault_anon_rss=INC_TASK_ANON_RSS,
    inc_rss=INC_TASK_RSS,
    inc_anon_rss=INC_TASK_ANON_RSS,
)

DESIGN = Design(
    name="v15_current",
    year=2005,
    source="page fault scalability patch V15, the counter patch by its change log, 11 January 2005",
    summary="V15 whose fault paths all count on current, as the change log says",
    programs=operations_of_v15(COUNTER_ON_CURRENT),
    machine=TWO_LEVELS,
)
