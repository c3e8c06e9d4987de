"""N07: a reader adds counts that were never true together."""

from __future__ import annotations

from stress.findings.finding import Case, Finding
from stress.findings.n05 import under_rcu

FINDING = Finding(
    id="N07",
    title="the sum of a read joins counts from before a zap and from after it",
    point=(
        "A zap counts down in the mm what faults had counted up in the tasks. A reader that takes the mm's counter "
        "before the zap, and the task's after the task has faulted anew, shows more pages than there were at any "
        "time, with one thread alone and no task that leaves. Summing under page_table_lock keeps the mm's counter "
        "as it is; a single pass on its own does not."
    ),
    edit="the single pass runs under RCU, as the review asks for, and not under page_table_lock",
    as_posted=lambda d: d.edit("N07 as reviewed", "", **under_rcu()),
    case=Case("fault 0 w; fault 1 w || zap 0-1; fault 0 w | status"),
    check="read_regular",
)
