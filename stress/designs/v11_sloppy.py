"""V11's counters under V12's fault path: mm->rss and mm->anon_rss changed without any lock, from everywhere."""

from __future__ import annotations

from dataclasses import replace

from stress.design import NO_BOUND, Design
from stress.designs.page_table_lock import MM_COUNTER
from stress.designs.parts import counter_checks
from stress.designs.parts.operations import operations
from stress.designs.v12 import ACCESSES_OF_V12, lockfree_fault
from stress.kernel import proc
from stress.kernel.rss import mm as mm_rss
from stress.kernel.rss import sloppy

_GET_RSS = (mm_rss.sum_mm_rss, sloppy.correct_mm_rss)

SLOPPY = replace(
    MM_COUNTER,
    statm=(*_GET_RSS, mm_rss.sum_mm_anon_rss, sloppy.correct_mm_anon_rss, proc.show_statm),
    status=(*_GET_RSS, proc.show_rss),
    stat=(*_GET_RSS, proc.show_rss),
    bound=NO_BOUND,
    checks=(counter_checks.harmed_by_a_read,),
)
"""No bound: two changes that meet lose one of them, and nothing ever finds it again. What no two operations have met
over is exact, and whatever the lost changes: what a reader sets to 0 is none of its business.
"""

DESIGN = Design(
    name="v11_sloppy",
    year=2004,
    source="page fault scalability patch V11, November 2004",
    summary="V12's fault path as posted, rss and anon_rss of the mm changed plainly and without a lock",
    programs=operations(lockfree_fault(SLOPPY), SLOPPY, ACCESSES_OF_V12),
    bound=SLOPPY.bound,
    checks=SLOPPY.checks,
)
