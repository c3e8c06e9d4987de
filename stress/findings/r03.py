"""R03: fork copies a page table while faults under the lock of a VMA go on."""

from __future__ import annotations

from stress import designs
from stress.design import Design
from stress.designs.vma_lock import VMA_START_WRITE
from stress.findings.finding import Case, Finding
from stress.program import Program


def _as_shipped(d: Design) -> Design:
    return d.edit("R03 as shipped", "", fork=lambda p: p.splice(tuple(Program(*VMA_START_WRITE))))


FINDING = Finding(
    id="R03",
    title="fork copies while a fault under the VMA's lock copies the page, too",
    point=(
        "fork holds mmap_lock for write, which keeps no fault out that takes the lock of its VMA alone. It "
        "write-protects the parent's ptes and flushes the TLB at its end only. In between a thread's write fault finds "
        "the pte read-only, copies the page for the parent and leaves the old one to the child, while another thread "
        "still stores to the old one through its TLB: what it stores is lost to the parent. Shipped in 6.4; since "
        "fb49c455323f (6.4.4) fork write-locks each VMA before it copies it."
    ),
    edit="fork does not write-lock the VMA",
    as_posted=_as_shipped,
    case=Case("1: fault 0 w; 1: user_write 0 || fork | user_write 0 | fault 0 w", {"mmu": True}),
    check="data_kept",
    harmless=(("no CPU keeps translations", Case("fault 0 w || fork | user_write 0 | fault 0 w", {"mmu": False})),),
    sound=lambda: designs.get("vma_lock"),
    shipped=None,
)
