"""N08: get_user_pages puts the counts of current aside, and readers of current's mm miss them."""

from __future__ import annotations

from stress.design import Design
from stress.designs.v12 import INC_TASK_ANON_RSS, INC_TASK_RSS
from stress.designs.v12_reviewed import own_or_mm
from stress.findings.finding import Case, Finding
from stress.kernel import spinlock
from stress.kernel.rss import mm as mm_rss
from stress.kernel.rss.saved import RESTORE, SAVE
from stress.kernel.rss.task import if_own
from stress.program import Entry, Program


def aside(restore: tuple[Entry, ...], name: str, design: Design) -> Design:
    """The design whose ptrace faults count on current, with current's own counts put aside meanwhile."""
    rss = own_or_mm(if_own, INC_TASK_RSS, mm_rss.INC_RSS, locked=False)
    anon = own_or_mm(if_own, INC_TASK_ANON_RSS, mm_rss.INC_ANON_RSS, locked=False)
    locked = own_or_mm(if_own, INC_TASK_ANON_RSS, mm_rss.INC_ANON_RSS, locked=True)

    def change(p: Program) -> Program:
        p = p.splice(rss, INC_TASK_RSS).splice(anon, INC_TASK_ANON_RSS).splice(locked, INC_TASK_ANON_RSS)
        return p.after(spinlock.down_read, SAVE).before(spinlock.up_read, restore)

    return design.edit(name, "", access_process_vm=change)


FINDING = Finding(
    id="N08",
    title="current's counts are put aside while it faults for ptrace",
    point=(
        "V13 to V15 let a fault count on current whatever the mm. Around one on another mm get_user_pages sets "
        "current's counts to 0, adds what the fault has counted to that mm, and puts them back. It holds the "
        "page_table_lock of the other mm only, and not while it faults: who sums the mm of current meanwhile finds "
        "none of what current has counted there. Mend: count on the mm itself where it is not current's own."
    ),
    edit="current's counts are 0 while it faults on another mm",
    as_posted=lambda d: aside(RESTORE, "N08 as posted", d),
    case=Case("fault 0 w; 1: fork || access_process_vm 0 w mm=1 | statm mm=0"),
    check="read_regular",
    shipped="v15_current",
)
