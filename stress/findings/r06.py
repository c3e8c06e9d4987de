"""R06: mremap flushes its old translation when others can free the page already."""

from __future__ import annotations

from stress import designs
from stress.design import Design
from stress.designs.mremap import FLUSH_OLD
from stress.findings.finding import Case, Finding
from stress.kernel.spinlock import spin_unlock
from stress.labels import NOT_PRESENT
from stress.program import At, Program


def _flush_late(p: Program) -> Program:
    in_time = tuple(Program(FLUSH_OLD, At(NOT_PRESENT), spin_unlock))
    return p.splice(in_time, At(NOT_PRESENT), spin_unlock, FLUSH_OLD)


def _as_shipped(d: Design) -> Design:
    return d.edit("R06 as shipped", "", mremap=_flush_late)


_FILE = {"anon": 0, "shared_file": 2}

FINDING = Finding(
    id="R06",
    title="mremap flushes its old translation when others can free the page already",
    point=(
        "mremap takes a pte from its old place and sets it at the new one under the locks of the page tables, and "
        "flushes the translation of the old place after it has dropped them. Truncation finds the page at the new "
        "place in between, flushes the translation there, and frees the page, while another CPU still stores to it "
        "through the translation of the old place. Shipped until 4.19 (2018); eb66ae030829 flushes before the lock "
        "is dropped."
    ),
    edit="the old translation is flushed when the lock of the page table has been dropped",
    as_posted=_as_shipped,
    case=Case("1: fault 0 w; 1: user_write 0 || mremap 0-1 | truncate 0", {**_FILE, "mmu": True}),
    check="tlb",
    harmless=(
        ("no CPU keeps translations", Case("fault 0 w || mremap 0-1 | truncate 0", {**_FILE, "mmu": False})),
        (
            "reclaim flushes all translations before it frees a page",
            Case("1: fault 0 w; 1: user_write 0 || mremap 0-1 | swap_out", {"mmu": True}),
        ),
    ),
    sound=lambda: designs.get("mremap"),
    shipped=None,
)
