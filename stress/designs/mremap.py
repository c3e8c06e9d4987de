"""Linux 4.20 with mremap, and the reverse map that finds pages where they were moved to.

mremap holds mmap_lock for write, takes the pte from its old place, sets it at the new one, and flushes the old
translation before it drops the lock of the page table (4.20, eb66ae030829): truncation and reclaim, which find the page
at its new place, free it only when no CPU reaches it at the old one. Where reclaim may still have flushes to do it
flushes first, as munmap does (4.13, 3ea277194daa).

mprotect takes the right to store away, and flushes before it returns; what reclaim has left it flushes first. Where it
gives the right back ptes stay as they are: the next store faults, and finds its page or makes a copy as any other.

On `tlb_batch`, whose stores go through a TLB. One page moves at a time, to a higher address in a mapping of the same
kind; page_table_lock stands for the locks of both page tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stress.designs import tlb_batch
from stress.designs.parts.counter import Fragment
from stress.designs.parts.operations import FAULTS, Accesses
from stress.kernel import fork, memory, mprotect, mremap, pte_access, spinlock, tlb, vmscan
from stress.labels import LAST, NEXT_PTE, NOT_PRESENT, OUT, OUT_UNLOCK, SKIP, WP_PAGE_SHARED
from stress.machine_kind import MOVABLE
from stress.program import At, Program

FLUSH_OLD: Fragment = (mremap.to_old_place, tlb.flush_tlb_page)
"""The translation of the old place goes; at the end mremap has promised that nobody reaches the page there."""

_TAKEN = tlb_batch.DESIGN.programs["zap"]
_BEGINS, _ENDS = _TAKEN.index(spinlock.spin_lock), _TAKEN.index(spinlock.up_write)
UNMAP_TARGET: Fragment = tuple(_TAKEN[_BEGINS:_ENDS])
"""munmap of one page, of which mmap_lock is held: what is mapped at the new place."""

MREMAP = Program(
    mremap.mremap_to,
    memory.mmap_current,
    spinlock.down_write_queue,
    spinlock.down_write,
    UNMAP_TARGET,
    mremap.copy_vma,
    spinlock.spin_lock,
    tlb_batch.FLUSH_PENDING,
    Accesses().get_and_clear,
    mremap.to_new_place,
    pte_access.SET_PTE,
    FLUSH_OLD,
    At(NOT_PRESENT),
    spinlock.spin_unlock,
    mremap.unmap_old_vma,
    tlb.is_unreachable,
    At(LAST),
    spinlock.up_write,
)


MPROTECT = Program(
    memory.mmap_current,
    spinlock.down_write_queue,
    spinlock.down_write,
    mprotect.set_vm_flags,
    mprotect.if_taken_away,
    spinlock.spin_lock,
    tlb_batch.FLUSH_PENDING,
    At(NEXT_PTE),
    pte_access.READ_PTE,
    mprotect.if_pte_present,
    Accesses().get_and_clear,
    mprotect.pte_wrprotect,
    pte_access.SET_PTE,
    At(SKIP),
    memory.next_pte,
    spinlock.spin_unlock,
    mprotect.if_pages_changed,
    tlb.flush_tlb_mm,
    At(SKIP),
    mprotect.is_unwritable,
    At(OUT),
    spinlock.up_write,
)
"""The range can only be read from then on, until it is given back, unmapped or moved over."""

WP_SHARED: Fragment = (
    At(WP_PAGE_SHARED),
    memory.mk_reused_pte,
    pte_access.SET_PTE,
    tlb.update_mmu_cache,
)
"""wp_page_shared: the pte allows the store, as its VMA does."""


def _walk(p: Program) -> Program:
    return p.replace(vmscan.next_vma, mremap.vma_interval_tree_foreach)


def _programs() -> Mapping[str, Program]:
    programs = dict(tlb_batch.DESIGN.programs)
    for name in programs.keys() & set(FAULTS):
        p = programs[name].after(spinlock.down_read, mremap.find_vma, mprotect.if_vma_allows)
        p = p.replace(memory.mk_file_pte, mprotect.mk_file_pte_of_vma).before(At(OUT_UNLOCK), WP_SHARED)
        programs[name] = p.after(memory.wp_pfn_valid, mprotect.if_vma_shared)
    programs["zap"] = programs["zap"].after(spinlock.down_write, mremap.mmap_anew)
    programs["fork"] = programs["fork"].after(spinlock.down_write, mremap.dup_mmap)
    programs["exec"] = programs["exec"].after(fork.alloc_mm, mremap.mm_init_vmas)
    programs["swap_out"] = _walk(programs["swap_out"]).after(vmscan.add_to_swap_cache, mremap.page_index)
    truncate = programs["truncate"]
    programs["truncate"] = _walk(Program(truncate[0], mremap.page_index, *truncate[1:]))
    return {**programs, "mremap": MREMAP, "mprotect": MPROTECT}


DESIGN = replace(
    tlb_batch.DESIGN,
    name="mremap",
    year=2018,
    source="Linux 4.20, mm/mremap.c, mm/rmap.c, on tlb_batch",
    summary="mremap, whose old translation is flushed before the lock goes, the way to pages that moved, and mprotect",
    programs=_programs(),
    checks=(*tlb_batch.DESIGN.checks, mprotect.read_only_ptes),
    machine=MOVABLE,
)
