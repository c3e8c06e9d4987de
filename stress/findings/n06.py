"""N06: a reader walks from one mm's list into another's."""

from __future__ import annotations

from stress.findings.finding import Case, Finding
from stress.findings.n05 import under_rcu

FINDING = Finding(
    id="N06",
    title="exec takes the task that a reader stands on to another mm's list",
    point=(
        "RCU keeps a task's memory, and not its place: exec moves the task at once from the old mm's list to the new "
        "one's, where its next is another. A reader that stands on it then goes on in the new mm's list and misses "
        "all tasks after it in the old one, those too that have done nothing meanwhile. Summing under "
        "page_table_lock keeps tasks in their place; so would a grace period between the two lists."
    ),
    edit="the single pass runs under RCU, as the review asks for, and not under page_table_lock",
    as_posted=lambda d: d.edit("N06 as reviewed", "", **under_rcu()),
    case=Case("1: fault 0 w || exec | status"),
    check="read_regular",
)
