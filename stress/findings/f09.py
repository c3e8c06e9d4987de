"""F09: a kernel thread that borrows an mm is on nobody's list."""

from __future__ import annotations

from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import FAULTS
from stress.findings.finding import Case, Finding
from stress.kernel.rss.task import if_own, if_own_mm

FINDING = Finding(
    id="F09",
    title="a fault under use_mm counts on a kernel thread that is on no list",
    point=(
        "A kernel thread that has borrowed the mm has current->mm == mm, yet it is not on the mm's list of tasks,"
        " so what it counts on itself is never summed. PF_BORROWED_MM tells it."
    ),
    edit="the count goes to current whenever current->mm is the mm, borrowed or not",
    as_posted=lambda d: d.edit(
        "F09 as posted", "", **everywhere(FAULTS, lambda p: p.replace(if_own, if_own_mm))
    ),
    case=Case("fault 0 w | use_mm 0 w mm=0"),
    check="owner",
)
