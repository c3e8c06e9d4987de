"""R05: reclaim leaves the flush for later, and munmap returns before it."""

from __future__ import annotations

from stress import designs
from stress.design import Design
from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import ZAPS
from stress.designs.tlb_batch import FLUSH_PENDING
from stress.findings.finding import Case, Finding
from stress.program import Program


def _without_flush(p: Program) -> Program:
    return p.splice(tuple(Program(*FLUSH_PENDING)))


def _as_shipped(d: Design) -> Design:
    return d.edit("R05 as shipped", "", **everywhere((*ZAPS, "madvise_dontneed"), _without_flush))


FINDING = Finding(
    id="R05",
    title="munmap returns while another CPU still writes through its TLB",
    point=(
        "Reclaim clears a pte under the lock of the page table and leaves the flush for later, for many pages at once "
        "(4.3, 72b252aed506). munmap, MADV_DONTNEED or mprotect find the pte cleared under that lock, have nothing to "
        "flush, and return, while another CPU still stores through the translation that it has. What it stores to the "
        "page that comes next in that place is lost. Shipped up to 4.12; since 3ea277194daa (4.13) they flush the mm "
        "where reclaim may still have to."
    ),
    edit="zaps flush what they have cleared themselves, and not what reclaim has",
    as_posted=_as_shipped,
    case=Case("fault 0 w || swap_out | zap 0", {"mmu": True}),
    check="tlb",
    harmless=(("no CPU keeps translations", Case("fault 0 w || swap_out | zap 0", {"mmu": False})),),
    sound=lambda: designs.get("tlb_batch"),
    shipped=None,
)
