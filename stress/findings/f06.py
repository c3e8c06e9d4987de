"""F06: statm sums the tasks for shared, but takes mm's rss as it is."""

from __future__ import annotations

from stress.designs.v12 import STATM_OF_V12
from stress.designs.v12_sound import GET_RSS_LOCKED
from stress.findings.finding import Case, Finding
from stress.kernel.proc import show_statm_positive
from stress.program import Program

FINDING = Finding(
    id="F06",
    title="statm shows mm->rss without the tasks' share beside a shared that has it",
    point=(
        "resident is mm->rss alone, which most pages never reach before their task exits, while shared sums rss -"
        " anon_rss over the tasks. One get_rss that sums both in a single pass gives two numbers that belong "
        "together."
    ),
    edit="statm has get_shared and mm->rss again, in the place of one get_rss",
    as_posted=lambda d: d.edit(
        "F06 as posted",
        "",
        statm=lambda p: p.splice(tuple(Program(GET_RSS_LOCKED, show_statm_positive)), STATM_OF_V12),
    ),
    case=Case("fault 0 w; statm"),
    check="read_regular",
)
