"""F08: current is not always a task of the mm whose page is counted."""

from __future__ import annotations

from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import FAULTS
from stress.findings.finding import Case, Finding
from stress.kernel.rss.task import if_own, if_own_task

FINDING = Finding(
    id="F08",
    title="access_process_vm counts another mm's page on current",
    point=(
        "ptrace faults pages into the mm of the process that it looks at, and the fault counts on current, which "
        "belongs to the debugger: its process shows pages that it does not have, and the other one lacks them. "
        "current->mm has to be compared with the mm, and the mm counted on, under page_table_lock, where they "
        "differ."
    ),
    edit="the count goes to current without a look at current->mm",
    as_posted=lambda d: d.edit(
        "F08 as posted", "", **everywhere(FAULTS, lambda p: p.replace(if_own, if_own_task))
    ),
    case=Case("1: fork || fault 0 w | access_process_vm 0 w mm=0"),
    check="owner",
)
