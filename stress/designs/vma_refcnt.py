"""Linux 6.15: faults count themselves in their VMA, and VMAs are used again without a grace period.

A fault finds the VMA under RCU, increments vm_refcnt unless the VMA is detached or has a writer, and then compares
vma->vm_mm and the range: the VMA may have been given back, and be another mm's or map other pages. munmap write-locks
the VMAs of its range, splits and detaches them, and gives them back when it has zapped.

On `tlb_batch`, as `vma_lock` is, with which it shares munmap, fork and the fallback to mmap_lock. Faults on files take
the VMA, too (6.6, 6.7). The memory of VMAs stays, so that rcu_read_lock has nothing to guard and is left out.
"""

from __future__ import annotations

from dataclasses import replace

from stress.designs import tlb_batch
from stress.designs.parts.counter import Fragment
from stress.designs.vma_lock import fault_under_vma, munmap, on_vmas
from stress.kernel import vma, vma_lock, vma_refcnt
from stress.labels import AGAIN, LOCKED, MMAP_LOCK
from stress.machine_kind import VM_AREAS
from stress.program import At, Goto

_GIVE_UP: Fragment = (vma_refcnt.vma_refcount_put, Goto(MMAP_LOCK), At(LOCKED))
SAME_MM: Fragment = (vma_refcnt.if_other_mm, *_GIVE_UP)
SECOND_LOOK: Fragment = (vma_lock.read_vm_lock_seq, vma_lock.if_write_locked, *_GIVE_UP)
COVERS_ADDRESS: Fragment = (vma.if_in_range, *_GIVE_UP)
LOCK_VMA_UNDER_RCU: Fragment = (
    At(AGAIN),
    vma.mas_walk,
    vma_lock.read_vm_lock_seq,
    vma_lock.if_not_write_locked,
    vma_refcnt.refcount_inc_not_zero,
    *SAME_MM,
    *SECOND_LOOK,
    *COVERS_ADDRESS,
    Goto(LOCKED),
    At(MMAP_LOCK),
)

VMA_START_WRITE: Fragment = (
    vma_lock.read_mm_lock_seq,
    vma_refcnt.refcount_add_offset,
    vma_refcnt.wait_for_readers,
    vma_lock.set_vm_lock_seq,
    vma_refcnt.refcount_sub_offset,
)

_DETACH: Fragment = (*VMA_START_WRITE, vma.split_vma_new_locked, vma_refcnt.vma_mark_detached)

DESIGN = replace(
    tlb_batch.DESIGN,
    name="vma_refcnt",
    year=2025,
    source="Linux 6.15, mm/mmap_lock.c, mm/vma.c, include/linux/mmap_lock.h, on tlb_batch",
    summary="vm_refcnt in the place of a VMA's lock, and VMAs that are used again without a grace period",
    programs=on_vmas(
        fault_under_vma(tlb_batch.DESIGN.programs["fault"], LOCK_VMA_UNDER_RCU, vma_refcnt.vma_refcount_put),
        munmap(tlb_batch.DESIGN.programs["zap"], _DETACH, (vma.remove_mt,)),
        VMA_START_WRITE,
        (vma_refcnt.vma_mark_detached,),
    ),
    checks=(*tlb_batch.DESIGN.checks, vma.vmas_are_whole),
    machine=VM_AREAS,
)
