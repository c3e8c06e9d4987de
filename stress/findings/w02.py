"""W02: list_add_rcu makes a task the first of the list before the task names its next."""

from __future__ import annotations

from stress import designs
from stress.design import Design
from stress.designs.parts.correction import everywhere
from stress.designs.v12_sound import START
from stress.findings.finding import Case, Finding
from stress.kernel.rss.task import list_add_rcu, list_add_unordered


def _sound() -> Design:
    """Return v12_reviewed, whose reads walk the list under RCU alone, and whose tasks start with no counts."""
    return START.apply(designs.get("v12_reviewed"))


FINDING = Finding(
    id="W02",
    title="a walker of the task list meets a task that does not yet name its next",
    point=(
        "mm_add_thread puts a task in front of the list that /proc walks under RCU. The head must be stored after a "
        "write barrier, as rcu_assign_pointer has it: else the walker finds the new task, whose next is still what it "
        "was, and the counts of all other tasks are missing from the sum. A walk under page_table_lock never meets it."
    ),
    edit="the head of the list is stored without a write barrier before it",
    as_posted=lambda d: d.edit(
        "W02 as posted", "", **everywhere(("clone", "fork"), lambda p: p.replace(list_add_rcu, list_add_unordered))
    ),
    case=Case("fault 0 w || clone | statm mm=0"),
    check="read_regular",
    memory="pso",
    sound=_sound,
)
