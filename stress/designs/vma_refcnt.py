"""Linux 6.15: faults count themselves in their VMA, and VMAs are used again without a grace period.

A fault finds the VMA under RCU, increments vm_refcnt unless the VMA is detached or has a writer, and then compares
vma->vm_mm: the VMA may have been given back and be another mm's. munmap write-locks the VMA, detaches it, and gives it
back when it has zapped; a new one takes its place at once, as if mmap followed.

On `tlb_batch`, as `vma_lock` is, whose fallback to mmap_lock it shares. Faults on files take the VMA, too (6.6, 6.7).
Ranges are not compared: the mm has one VMA, which covers all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stress.designs import tlb_batch
from stress.designs.parts.counter import Fragment
from stress.designs.parts.operations import ZAPS
from stress.designs.vma_lock import fault_under_vma
from stress.kernel import exit as exit_
from stress.kernel import fork, spinlock, vma_lock, vma_refcnt
from stress.labels import LOCKED, MMAP_LOCK, RETRY
from stress.machine_kind import VM_AREAS
from stress.program import At, Goto, Program

LOCK_VMA_UNDER_RCU: Fragment = (
    vma_refcnt.mas_walk,
    vma_refcnt.read_area_lock_seq,
    vma_refcnt.if_not_write_locked,
    vma_refcnt.refcount_inc_not_zero,
    vma_refcnt.if_other_mm,
    vma_refcnt.vma_refcount_put,
    Goto(MMAP_LOCK),
    At(LOCKED),
    vma_refcnt.read_area_lock_seq,
    vma_refcnt.if_area_unlocked,
    vma_refcnt.vma_refcount_put,
    At(MMAP_LOCK),
    At(RETRY),
    spinlock.down_read,
    At(LOCKED),
    vma_refcnt.handle_mm_fault,
)
"""do_user_addr_fault(): the VMA, or mmap_lock."""

VMA_START_WRITE: Fragment = (
    vma_refcnt.find_own_vma,
    vma_lock.read_mm_lock_seq,
    vma_refcnt.refcount_add_offset,
    vma_refcnt.wait_for_readers,
    vma_refcnt.set_area_lock_seq,
    vma_refcnt.refcount_sub_offset,
)

FREE_VMA: Fragment = (vma_refcnt.find_own_vma, vma_refcnt.vma_mark_detached, vma_refcnt.vm_area_free)
"""exit_mmap: the last user's mm loses its VMA."""


def _fault(p: Program) -> Program:
    return fault_under_vma(p, LOCK_VMA_UNDER_RCU, vma_refcnt.if_area_locked, vma_refcnt.vma_refcount_put)


def _zap(p: Program) -> Program:
    p = p.after(spinlock.down_write, *VMA_START_WRITE, vma_refcnt.vma_mark_detached)
    return p.before(spinlock.up_write, vma_refcnt.vm_area_free, vma_refcnt.vma_link, vma_lock.vma_end_write_all)


def _programs() -> Mapping[str, Program]:
    programs = dict(tlb_batch.DESIGN.programs)
    for name in programs.keys() & set(ZAPS) - {"zap"}:
        programs[name] = programs[name].before(exit_.free_mm, *FREE_VMA)
    programs["fault"] = _fault(programs["fault"])
    programs["zap"] = _zap(programs["zap"])
    programs["fork"] = (
        programs["fork"]
        .after(fork.alloc_mm, vma_refcnt.vm_area_dup)
        .after(spinlock.down_write, *VMA_START_WRITE)
        .before(spinlock.up_write, vma_lock.vma_end_write_all)
    )
    programs["exec"] = programs["exec"].after(fork.alloc_mm, vma_refcnt.vm_area_dup)
    return programs


DESIGN = replace(
    tlb_batch.DESIGN,
    name="vma_refcnt",
    year=2025,
    source="Linux 6.15, mm/mmap_lock.c, include/linux/mmap_lock.h, on tlb_batch",
    summary="vm_refcnt in the place of a VMA's lock, and VMAs that are used again without a grace period",
    programs=_programs(),
    machine=VM_AREAS,
)
