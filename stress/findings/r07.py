"""R07: do_wp_page unlocks a page that may be freed already."""

from __future__ import annotations

from stress.design import Design
from stress.designs.linux_6_8 import UNLOCK_IN_TIME
from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import FAULTS
from stress.findings.finding import Case, Finding
from stress.findings.r01 import linux_6_8
from stress.kernel.page_lock import unlock_old_page
from stress.kernel.spinlock import spin_unlock
from stress.labels import OUT
from stress.program import Goto, Program

UNLOCK_LATE = (spin_unlock, unlock_old_page, Goto(OUT))


def _as_shipped(d: Design) -> Design:
    in_time = tuple(Program(UNLOCK_IN_TIME))
    return d.edit("R07 as shipped", "", **everywhere(FAULTS, lambda p: p.splice(in_time, UNLOCK_LATE)))


FINDING = Finding(
    id="R07",
    title="do_wp_page holds the page lock when it no longer holds the page",
    point=(
        "do_wp_page reuses a page that nobody else has, drops the lock of the page table, and then unlocks the page. "
        "The page table's reference is the only one, and MADV_DONTNEED, which holds mmap_lock for read like the "
        "fault, frees the page in between: it is freed while it is locked. Shipped in 5.9-rc, mended by be068f29034f: "
        "the page is unlocked before the lock of the page table is dropped."
    ),
    edit="the page is unlocked behind the lock of the page table",
    as_posted=_as_shipped,
    case=Case("fault 0 w; fork; exit || fault 0 w | madvise_dontneed 0"),
    check="page_refs",
    harmless=(("munmap holds mmap_lock for write", Case("fault 0 w; fork; exit || fault 0 w | zap 0")),),
    sound=linux_6_8,
    shipped=None,
)
