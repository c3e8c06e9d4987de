"""R04: a huge page is none for a moment, and MADV_DONTNEED passes it over."""

from __future__ import annotations

from stress import designs
from stress.design import Design
from stress.findings.finding import Case, Finding
from stress.kernel.huge_memory import pmdp_huge_get_and_clear, pmdp_invalidate


def thp() -> Design:
    """Return the kernel with huge pages that the mends of R04 and R08 are in."""
    return designs.get("thp")


def _as_shipped(d: Design) -> Design:
    return d.edit("R04 as shipped", "", change_prot_numa=lambda p: p.replace(pmdp_invalidate, pmdp_huge_get_and_clear))


FINDING = Finding(
    id="R04",
    title="a huge page is none for a moment, and MADV_DONTNEED passes it over",
    point=(
        "NUMA balancing makes a huge page inaccessible: under the lock of the pmd entry it takes the entry out, and "
        "puts it back changed. MADV_DONTNEED, which holds mmap_lock for read like it, looks at the entry without that "
        "lock, sees none, and returns with the page still mapped: what it was told to drop is there. Shipped until "
        "4.11 (2017); ced108037c2a (4.12) changes the entry without letting it become none. Page tables have not got "
        "the fault, for their entries are looked at under the lock alone."
    ),
    edit="change_huge_pmd takes the entry out before it sets the new one",
    as_posted=_as_shipped,
    case=Case("fault 0 w || change_prot_numa 0 | madvise_dontneed 0-1"),
    check="dropped",
    harmless=(
        ("munmap holds mmap_lock for write", Case("fault 0 w || change_prot_numa 0 | zap 0-1")),
        ("the pages lie in a page table", Case("fault 0; fault 0 w || change_prot_numa 0 | madvise_dontneed 0-1")),
    ),
    sound=thp,
    shipped=None,
)
