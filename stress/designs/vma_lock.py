"""Linux 6.4: faults on an anonymous VMA take its lock and leave mmap_lock alone.

A fault reads the VMA's mark and takes the lock of the VMA (`stress.kernel.vma_lock`); where it cannot, and for pages
of files and swapped pages, it takes mmap_lock, as before. What changes the VMA or its page table under mmap_lock held
for write marks it first, and waits for the faults that hold its lock. fork does so since fb49c455323f (6.4.4, 6.5),
which finding R03 takes back.

On `tlb_batch`, whose stores go through a TLB. The mm has one VMA; VMAs are neither split nor freed.
"""

from __future__ import annotations

from dataclasses import replace

from stress.designs import tlb_batch
from stress.designs.parts.correction import everywhere
from stress.designs.parts.counter import Fragment
from stress.kernel import spinlock, vma_lock
from stress.labels import DO_SWAP_PAGE, LOCKED, MMAP_LOCK, RETRY, UNLOCKED
from stress.program import At, Entry, Goto, Program

LOCK_VMA_UNDER_RCU: Fragment = (
    vma_lock.if_vma_anon,
    vma_lock.read_vm_lock_seq,
    vma_lock.if_not_write_locked,
    vma_lock.down_read_trylock_vma,
    vma_lock.read_vm_lock_seq,
    vma_lock.if_write_locked,
    vma_lock.vma_end_read,
    At(MMAP_LOCK),
    At(RETRY),
    spinlock.down_read,
    At(LOCKED),
)
"""do_user_addr_fault(): the lock of the VMA, or mmap_lock."""

VMA_START_WRITE: Fragment = (
    vma_lock.read_mm_lock_seq,
    vma_lock.down_write_vma,
    vma_lock.set_vm_lock_seq,
    vma_lock.up_write_vma,
)

_SWAPPED = (At(DO_SWAP_PAGE), spinlock.spin_unlock)


def fault_under_vma(p: Program, lock: Fragment, if_locked: Entry, end_read: Entry) -> Program:
    """Return a fault that takes its VMA by ``lock`` where it can, and gives it back by ``end_read``.

    ``if_locked``: whether it has the VMA; else to `mmap_lock`. A swapped page is tried again under mmap_lock
    (do_swap_page(): VM_FAULT_RETRY).
    """
    retry = (if_locked, end_read, Goto(RETRY), At(MMAP_LOCK))
    unlock = (if_locked, end_read, Goto(UNLOCKED), At(MMAP_LOCK), spinlock.up_read, At(UNLOCKED))
    p = p.splice(_SWAPPED, *_SWAPPED, *retry)
    return p.replace(spinlock.down_read, *lock).replace(spinlock.up_read, *unlock)


def _fault(p: Program) -> Program:
    return fault_under_vma(p, LOCK_VMA_UNDER_RCU, vma_lock.if_vma_locked, vma_lock.vma_end_read)


def _write(p: Program) -> Program:
    return p.after(spinlock.down_write, *VMA_START_WRITE).before(spinlock.up_write, vma_lock.vma_end_write_all)


DESIGN = replace(
    tlb_batch.DESIGN.edit(fault=_fault, **everywhere(("fork", "zap"), _write)),
    name="vma_lock",
    year=2023,
    source="Linux 6.4.4, mm/memory.c, arch/x86/mm/fault.c, kernel/fork.c, on tlb_batch",
    summary="faults take the lock of the VMA and not mmap_lock; fork and munmap write-lock it first",
)
