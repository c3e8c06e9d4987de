"""N02: exec takes the old mm's counts along."""

from __future__ import annotations

from stress.findings.finding import Case, Finding
from stress.kernel.exit import zero_task_anon_rss, zero_task_rss

FINDING = Finding(
    id="N02",
    title="exec counts a task's pages in the old mm and in the new one",
    point=(
        "mm_remove_thread adds the task's counts to the old mm and leaves them in the task; mm_add_thread puts "
        "the task on the new mm's list, and they are summed there too. V12 breaks rss_exact before that: the fault "
        "that prepares the exec is enough, as a read leaves out what the task still holds (F06)."
    ),
    edit="the task's counts are not set to 0 between the two",
    as_posted=lambda d: d.edit("N02 as posted", "", exec=lambda p: p.drop(zero_task_rss).drop(zero_task_anon_rss)),
    case=Case("fault 0 w; exec"),
    check="rss_exact",
)
