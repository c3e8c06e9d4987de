"""F12: mark_page_accessed was moved, and why is it called at all?"""

from __future__ import annotations

from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import FAULTS
from stress.findings.finding import Case, Finding
from stress.kernel.swap import lru_cache_add_active, mark_page_accessed
from stress.labels import DO_ANONYMOUS_PAGE
from stress.program import Program


def _after_lru(p: Program) -> Program:
    p = p.drop(mark_page_accessed, within=DO_ANONYMOUS_PAGE)
    return p.after(lru_cache_add_active, mark_page_accessed, within=DO_ANONYMOUS_PAGE)


FINDING = Finding(
    id="F12",
    title="mark_page_accessed before the page is mapped, or after it is on the LRU: the same final states",
    point=(
        "V12 marks the page accessed before ptep_cmpxchg, the kernel before it did so after "
        "lru_cache_add_active. Either way the page ends active and referenced, whatever runs beside it: the order"
        " makes no difference."
    ),
    edit="mark_page_accessed follows lru_cache_add_active, as before V12",
    as_posted=lambda d: d.edit("F12 the other order", "", **everywhere(FAULTS, _after_lru)),
    case=Case("fault 0 w | fault 0 w; fault 1 w"),
    check="",
    equivalence=True,
)
