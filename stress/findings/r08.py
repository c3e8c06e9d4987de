"""R08: a page table is installed that nobody allocated."""

from __future__ import annotations

from stress.design import Design
from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import FAULTS
from stress.findings.finding import Case, Finding
from stress.findings.r04 import thp
from stress.kernel.filemap import if_prealloc_pte


def _as_shipped(d: Design) -> Design:
    return d.edit("R08 as shipped", "", **everywhere(FAULTS, lambda p: p.drop(if_prealloc_pte)))


_ON_FILE = {"anon": 0, "shared_file": 1}

FINDING = Finding(
    id="R08",
    title="a fault installs a page table that it has not allocated",
    point=(
        "A fault that maps pages of the file around it allocates a page table beforehand where the pmd entry is none. "
        "It looks again when it has found a page, and where the entry is none then it installs the table. In between "
        "khugepaged may have taken away the table that was there, and none was allocated: a null pointer. Shipped from "
        "5.12 (f9ce0be71d1f, 2021), mended by 9aa1345d66b8 (6.5): the entry stays none where there is no table to "
        "install, and the fault is tried again."
    ),
    edit="filemap_map_pmd takes it for granted that a page table was allocated",
    as_posted=_as_shipped,
    case=Case("fault 0; madvise_dontneed 0 || fault 0 | collapse_file 0", _ON_FILE),
    check="page_tables",
    harmless=(
        ("a page is still mapped, and keeps its table", Case("fault 0 || fault 0 | collapse_file 0", _ON_FILE)),
        (
            "a write allocates the table where it needs it",
            Case("fault 0; madvise_dontneed 0 || fault 0 w | collapse_file 0", _ON_FILE),
        ),
    ),
    sound=thp,
    shipped=None,
)
