"""Linux 6.4: faults on an anonymous VMA take its lock and leave mmap_lock alone.

A fault finds its VMA under RCU, reads its mark and takes its lock, and looks whether it is attached still and has the
address (`stress.kernel.vma_lock`); where it cannot, and for pages of files and swapped pages, it takes mmap_lock, as
before. What changes a VMA or its page table under mmap_lock held for write marks it first, and waits for the faults
that hold its lock. fork does so since fb49c455323f (6.4.4, 6.5), which finding R03 takes back. munmap splits VMAs,
detaches those of its range, goes on with mmap_lock held for read while it zaps, and gives them back behind a grace
period.

On `tlb_batch`, whose stores go through a TLB. That only VMAs with an anon_vma are taken is left out: all have one here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stress.designs import tlb_batch
from stress.designs.parts.counter import Fragment
from stress.designs.parts.operations import FAULTS, ZAPS
from stress.kernel import exit as exit_
from stress.kernel import fork, spinlock, vma, vma_lock
from stress.kernel.rss.task import rcu_read_lock, rcu_read_unlock
from stress.labels import AGAIN, DO_SWAP_PAGE, LAST_VMA, LOCKED, MMAP_LOCK, NEXT_VMA, RETRY, UNLOCKED
from stress.machine_kind import VM_AREAS
from stress.program import At, Entry, Goto, Program, Source

IS_ATTACHED: Fragment = (vma_lock.if_detached, vma_lock.vma_end_read, Goto(AGAIN), At(LOCKED))
COVERS_ADDRESS: Fragment = (vma.if_in_range, vma_lock.vma_end_read, Goto(MMAP_LOCK), At(LOCKED))
LOCK_VMA_UNDER_RCU: Fragment = (
    rcu_read_lock,
    At(AGAIN),
    vma.mas_walk,
    vma_lock.if_vma_anon,
    vma_lock.read_vm_lock_seq,
    vma_lock.if_not_write_locked,
    vma_lock.down_read_trylock_vma,
    vma_lock.read_vm_lock_seq,
    vma_lock.if_write_locked,
    vma_lock.vma_end_read,
    Goto(MMAP_LOCK),
    At(LOCKED),
    *IS_ATTACHED,
    *COVERS_ADDRESS,
    rcu_read_unlock,
    Goto(LOCKED),
    At(MMAP_LOCK),
    rcu_read_unlock,
)

VMA_START_WRITE: Fragment = (
    vma_lock.read_mm_lock_seq,
    vma_lock.down_write_vma,
    vma_lock.set_vm_lock_seq,
    vma_lock.up_write_vma,
)

_SWAPPED = (At(DO_SWAP_PAGE), spinlock.spin_unlock)


def fault_under_vma(p: Program, lock: Fragment, end_read: Entry) -> Program:
    """Return a fault that takes its VMA by ``lock`` where it can, and gives it back by ``end_read``; else mmap_lock.

    A swapped page is tried again under mmap_lock (do_swap_page(): VM_FAULT_RETRY).
    """
    by_mmap_lock = (vma.no_vma, At(RETRY), spinlock.down_read, vma.find_vma, At(LOCKED), vma.handle_mm_fault)
    retry = (vma.if_vma_locked, end_read, Goto(RETRY), At(MMAP_LOCK))
    unlock = (vma.if_vma_locked, end_read, Goto(UNLOCKED), At(MMAP_LOCK), spinlock.up_read, At(UNLOCKED))
    p = p.splice(_SWAPPED, *_SWAPPED, *retry)
    return p.replace(spinlock.down_read, *lock, *by_mmap_lock).replace(spinlock.up_read, *unlock)


def for_each_vma(*one: Source) -> Fragment:
    """Return a loop over the VMAs of [R_ADDRESS, R_END), mmap_lock held for write: ``one`` is done with each."""
    return (At(NEXT_VMA), vma.for_each_vma_range, *one, Goto(NEXT_VMA), At(LAST_VMA))


def munmap(p: Program, detach: Fragment, free: Fragment) -> Program:
    """Return a zap as munmap and mmap: the VMAs of the range are taken out by ``detach``, and given back by ``free``.

    ``p``: a zap of page tables that holds mmap_lock for write.
    """
    gather = (*for_each_vma(*detach), vma.vma_iter_clear, vma_lock.vma_end_write_all, spinlock.downgrade_write)
    begin_write = (spinlock.down_write_queue, spinlock.down_write)
    mmap = (*begin_write, vma.mmap_region, vma_lock.vma_end_write_all, spinlock.up_write)
    return p.after(spinlock.down_write, *gather).replace(spinlock.up_write, *free, spinlock.up_read, *mmap)


def on_vmas(fault: Program, zap: Program, start_write: Fragment, exit_vma: Fragment) -> Mapping[str, Program]:
    """Return the operations of `tlb_batch` on VMAs: this ``fault`` and ``zap``, and what all designs with VMAs share.

    fork write-locks each VMA by ``start_write``; the last user of an mm gives each back by ``exit_vma``.
    """
    programs = dict(tlb_batch.DESIGN.programs)
    for name in programs.keys() & set(FAULTS):
        programs[name] = programs[name].after(spinlock.down_read, vma.find_vma)
    for name in programs.keys() & set(ZAPS) - {"zap"}:
        free = (At(NEXT_VMA), vma.mas_find, *exit_vma, vma.remove_vma, Goto(NEXT_VMA), At(LAST_VMA))
        programs[name] = programs[name].before(exit_.free_mm, *free)
    programs["fork"] = (
        programs["fork"]
        .after(spinlock.down_write, *for_each_vma(*start_write), vma.dup_mmap)
        .before(spinlock.up_write, vma_lock.vma_end_write_all)
    )
    programs["exec"] = programs["exec"].after(fork.alloc_mm, vma.mm_init_vmas)
    return {**programs, "fault": fault, "zap": zap}


_DETACH: Fragment = (*VMA_START_WRITE, vma.split_vma_new_unlocked, vma_lock.vma_mark_detached)
_FREE: Fragment = (vma_lock.call_rcu, vma.remove_mt)

DESIGN = replace(
    tlb_batch.DESIGN,
    name="vma_lock",
    year=2023,
    source="Linux 6.4.4, mm/memory.c, mm/mmap.c, arch/x86/mm/fault.c, kernel/fork.c, on tlb_batch",
    summary="faults take the lock of the VMA and not mmap_lock; fork and munmap write-lock it first",
    programs=on_vmas(
        fault_under_vma(tlb_batch.DESIGN.programs["fault"], LOCK_VMA_UNDER_RCU, vma_lock.vma_end_read),
        munmap(tlb_batch.DESIGN.programs["zap"], _DETACH, _FREE),
        VMA_START_WRITE,
        (),
    ),
    checks=(*tlb_batch.DESIGN.checks, vma.vmas_are_whole),
    machine=VM_AREAS,
)
