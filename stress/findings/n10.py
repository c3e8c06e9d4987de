"""N10: V15 as posted counts on the mm, plainly and without a lock."""

from __future__ import annotations

from stress.design import Design
from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import FAULTS
from stress.designs.v12 import INC_TASK_ANON_RSS, INC_TASK_RSS
from stress.designs.v12_reviewed import own_or_mm
from stress.findings.finding import Case, Finding
from stress.kernel.rss import mm as mm_rss
from stress.kernel.rss.task import if_own
from stress.program import Program


def _on_mm(p: Program) -> Program:
    rss = own_or_mm(if_own, INC_TASK_RSS, mm_rss.INC_RSS, locked=False)
    anon = own_or_mm(if_own, INC_TASK_ANON_RSS, mm_rss.INC_ANON_RSS, locked=False)
    return p.splice(rss, mm_rss.INC_RSS).splice(anon, mm_rss.INC_ANON_RSS)


def _as_posted(d: Design) -> Design:
    return d.edit("N10 as posted", "", **everywhere(FAULTS, _on_mm))


FINDING = Finding(
    id="N10",
    title="do_anonymous_page of V15 loses counts of the mm",
    point=(
        "The change log of V15 says that current->rss is incremented instead of mm->rss; the patch increments "
        "mm->rss and mm->anon_rss, plainly and, in do_anonymous_page, without a lock. Two faults that meet lose one "
        "of their counts. So do the first six patches of V14. Mend: what the change log says."
    ),
    edit="do_anonymous_page counts on the mm without a lock",
    as_posted=_as_posted,
    case=Case("fault 0 w | fault 1 w"),
    check="rss_exact",
    shipped="v15",
)
