"""Linux 6.8 with a TLB for each CPU that stores of the user go through, and reclaim that leaves its flushes for later.

try_to_unmap clears the pte under the lock of the page table and notes that a flush is due (4.3, 72b252aed506);
try_to_unmap_flush does it for all pages of the batch, before any of them is written out or freed. Until then a CPU that
has the translation goes on storing. munmap and MADV_DONTNEED, which find the pte cleared and so have nothing to flush,
flush the mm where reclaim may still have to (4.13, 3ea277194daa).

A batch is one page here, and munmap flushes each page as it goes. mprotect and mremap are not modelled.
"""

from __future__ import annotations

from dataclasses import replace

from stress.designs import linux_6_8
from stress.designs.parts.correction import everywhere
from stress.designs.parts.counter import Fragment
from stress.designs.parts.operations import ZAPS, Accesses
from stress.kernel import memory, processor, tlb, vmscan
from stress.labels import AGAIN, NEXT_PTE, SKIP
from stress.program import At, Program

FLUSH_PENDING: Fragment = (tlb.if_flush_batched, tlb.flush_tlb_mm, tlb.clear_flush_batched, At(SKIP))
"""flush_tlb_batched_pending(mm), under the lock of the page table."""

USER_WRITE = Program(memory.mmap_current, At(AGAIN), processor.walk_page_table, processor.user_store)


_FIRST = (At(NEXT_PTE), Accesses().get_and_clear)


def _zap(p: Program) -> Program:
    return p.splice(_FIRST, FLUSH_PENDING, *_FIRST)


DESIGN = replace(
    linux_6_8.DESIGN.edit(
        swap_out=lambda p: p.replace(tlb.flush_tlb_page, tlb.set_tlb_ubc_flush_pending).before(
            vmscan.pageout, tlb.try_to_unmap_flush
        ),
        **everywhere((*ZAPS, "madvise_dontneed"), _zap),
    )
    .edit(**everywhere(("zap", "madvise_dontneed"), lambda p: p.before(memory.next_pte, tlb.is_unreachable)))
    .with_programs(user_write=USER_WRITE),
    name="tlb_batch",
    year=2017,
    source="Linux 4.13, mm/rmap.c, mm/memory.c, on the fault path of linux_6_8",
    summary="stores of the user go through a TLB; reclaim leaves its flushes for later, and zaps see to it",
)
