"""N01: a started task inherits anon_rss."""

from __future__ import annotations

from stress.designs.parts.correction import everywhere
from stress.findings.finding import Case, Finding
from stress.kernel.fork import dup_task_struct, dup_task_struct_zeroed

FINDING = Finding(
    id="N01",
    title="a started task keeps a copy of anon_rss",
    point=(
        "Starting a task copies all fields of the task that starts it and sets rss of the copy to 0, but not "
        "anon_rss: what the parent counted is summed twice for a thread, and appears in the mm of a forked child "
        "that lacks it."
    ),
    edit="only rss of the copy is set to 0",
    as_posted=lambda d: d.edit(
        "N01 as posted",
        "",
        **everywhere(("clone", "fork"), lambda p: p.replace(dup_task_struct_zeroed, dup_task_struct)),
    ),
    case=Case("fault 0 w; clone"),
    check="anon_rss_exact",
)
