"""N05: a reader misses a task that leaves."""

from __future__ import annotations

from typing import Any

from stress.designs.parts.correction import everywhere
from stress.designs.v12_reviewed import SINGLE_PASS
from stress.designs.v12_sound import GET_RSS_LOCKED
from stress.findings.finding import Case, Finding


def under_rcu() -> dict[str, Any]:
    """Return edits that take the reads out of page_table_lock again."""
    return everywhere(("statm", "status", "stat"), lambda p: p.splice(tuple(GET_RSS_LOCKED), SINGLE_PASS))


FINDING = Finding(
    id="N05",
    title="a task that exits during a read is missed",
    point=(
        "A reader takes mm's counters first and walks the list afterwards. A task that folds its counts into the "
        "mm and leaves the list in between is in neither: its pages are missing from what is shown, in a single "
        "pass as much as in three. Summing under page_table_lock keeps tasks from leaving meanwhile."
    ),
    edit="the single pass runs under RCU, as the review asks for, and not under page_table_lock",
    as_posted=lambda d: d.edit("N05 as reviewed", "", **under_rcu()),
    case=Case("clone; fault 0 w || exit | status"),
    check="read_regular",
)
