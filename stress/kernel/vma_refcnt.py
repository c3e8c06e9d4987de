"""The count of a VMA in the place of its lock, and VMAs that are used again at once (mm/mmap_lock.c of Linux 6.15).

A VMA is an object of a pool: it belongs to an mm, or is free. vm_refcnt is 0 for one that is detached, 1 for one that
is attached, and more for each reader; a writer sets a bit in it and waits until the readers are gone. VMAs are given
back without a grace period (SLAB_TYPESAFE_BY_RCU), so that a reader may meet one that belongs to another mm by the time
it has counted itself. An mm has one VMA here; munmap puts a new one in its place. R_SCRATCH is the VMA that an
operation has found, + 1.
"""

from __future__ import annotations

from shm_layout.atomic import cmpxchg, fetch_add, load, read_once, store, write_once
from shm_layout.registers import R_CHILD, R_MM, R_SCRATCH, R_VALUE
from shm_layout.structs import AREA_LOCK_SEQ, AREA_MM, AREA_REFCNT, MM_LOCK_SEQ, NR_AREAS, at
from shm_layout.words import Words
from stress.kernel.bug import OWNER, oops
from stress.labels import LOCKED, MMAP_LOCK
from stress.step import NEXT, WAIT, helper, step

VMA_LOCK_OFFSET = 1 << 30
"""In vm_refcnt: a writer holds the VMA, or waits for its readers (0x40000000)."""
ATTACHED = 1


@helper
def area_of(m: Words, mm: int) -> int:
    """Return the VMA of an mm, which it has but while munmap puts a new one in its place; else -1."""
    for area in range(m[NR_AREAS]):
        if read_once(m, at(m, AREA_MM, area)) == mm + 1:
            return area
    return -1


@helper
def take_area(m: Words, mm: int, seq: int) -> None:
    """vm_area_alloc(), vma_mark_attached(): a free VMA for an mm, with this vm_lock_seq."""
    for area in range(m[NR_AREAS]):
        word = at(m, AREA_MM, area)
        if read_once(m, word) == 0 and cmpxchg(m, word, 0, mm + 1) == 0:
            write_once(m, at(m, AREA_LOCK_SEQ, area), seq)
            store(m, at(m, AREA_REFCNT, area), ATTACHED)
            return


# lock_vma_under_rcu


@step(whole="RCU: the tree of VMAs is looked through")
def mas_walk(m: Words, r: Words) -> int:
    """lock_vma_under_rcu(): vma = mas_walk(&mas); to `mmap_lock` where there is none."""
    r[R_SCRATCH] = area_of(m, r[R_MM]) + 1
    return NEXT if r[R_SCRATCH] != 0 else MMAP_LOCK


@step
def read_area_lock_seq(m: Words, r: Words) -> int:
    """vma_start_read(): READ_ONCE(vma->vm_lock_seq)."""
    r[R_VALUE] = read_once(m, at(m, AREA_LOCK_SEQ, r[R_SCRATCH] - 1))
    return NEXT


@step
def if_not_write_locked(m: Words, r: Words) -> int:
    """vma_start_read(): ... == READ_ONCE(mm->mm_lock_seq)? Then it is write-locked: to `mmap_lock`."""
    if read_once(m, at(m, MM_LOCK_SEQ, r[R_MM])) + 1 != r[R_VALUE]:
        return NEXT
    r[R_SCRATCH] = 0
    return MMAP_LOCK


@step
def refcount_inc_not_zero(m: Words, r: Words) -> int:
    """__refcount_inc_not_zero_limited_acquire(&vma->vm_refcnt): not of one that is detached or has a writer."""
    word = at(m, AREA_REFCNT, r[R_SCRATCH] - 1)
    count = load(m, word)
    while 0 < count < VMA_LOCK_OFFSET:
        found = cmpxchg(m, word, count, count + 1)
        if found == count:
            return NEXT
        count = found
    r[R_SCRATCH] = 0
    return MMAP_LOCK


@step
def if_other_mm(m: Words, r: Words) -> int:
    """vma_start_read(): if (vma->vm_mm != mm), it was used again: what follows gives it back; else to `locked`."""
    return LOCKED if read_once(m, at(m, AREA_MM, r[R_SCRATCH] - 1)) == r[R_MM] + 1 else NEXT


@step
def vma_refcount_put(m: Words, r: Words) -> int:
    """vma_refcount_put(vma)."""
    fetch_add(m, at(m, AREA_REFCNT, r[R_SCRATCH] - 1), -1)
    r[R_SCRATCH] = 0
    return NEXT


@step
def if_area_unlocked(m: Words, r: Words) -> int:
    """vma_start_read(), once more: is it write-locked by now? What follows gives it back; else to `locked`."""
    return NEXT if read_once(m, at(m, MM_LOCK_SEQ, r[R_MM])) + 1 == r[R_VALUE] else LOCKED


@step(private=True)
def if_area_locked(m: Words, r: Words) -> int:
    """if (vmf->flags & FAULT_FLAG_VMA_LOCK), else to `mmap_lock`."""
    return NEXT if r[R_SCRATCH] != 0 else MMAP_LOCK


@step
def handle_mm_fault(m: Words, r: Words) -> int:
    """handle_mm_fault(vma): it acts on vma->vm_mm, which is the faulting task's mm, or counts go astray: check `owner`.

    A fault that holds mmap_lock looks its VMA up anew, and that is the mm's own.
    """
    if r[R_SCRATCH] != 0 and read_once(m, at(m, AREA_MM, r[R_SCRATCH] - 1)) != r[R_MM] + 1:
        oops(r, OWNER)
    return NEXT


# writers


@step(whole="mmap_lock, held for write")
def find_own_vma(m: Words, r: Words) -> int:
    """for_each_vma(vmi, vma), with mmap_lock held for write: the mm's VMA."""
    r[R_SCRATCH] = area_of(m, r[R_MM]) + 1
    return NEXT


@step
def refcount_add_offset(m: Words, r: Words) -> int:
    """__vma_enter_locked(): refcount_add_not_zero(VMA_LOCK_OFFSET, &vma->vm_refcnt): no reader comes in any more."""
    fetch_add(m, at(m, AREA_REFCNT, r[R_SCRATCH] - 1), VMA_LOCK_OFFSET)
    return NEXT


@step(waits=True)
def wait_for_readers(m: Words, r: Words) -> int:
    """__vma_enter_locked(): rcuwait_wait_event(vm_refcnt == VMA_LOCK_OFFSET + 1): the readers have ended."""
    return NEXT if load(m, at(m, AREA_REFCNT, r[R_SCRATCH] - 1)) == VMA_LOCK_OFFSET + ATTACHED else WAIT


@step
def set_area_lock_seq(m: Words, r: Words) -> int:
    """__vma_start_write(): WRITE_ONCE(vma->vm_lock_seq, mm_lock_seq)."""
    write_once(m, at(m, AREA_LOCK_SEQ, r[R_SCRATCH] - 1), r[R_VALUE])
    return NEXT


@step
def refcount_sub_offset(m: Words, r: Words) -> int:
    """__vma_exit_locked(): refcount_sub_and_test(VMA_LOCK_OFFSET, &vma->vm_refcnt)."""
    fetch_add(m, at(m, AREA_REFCNT, r[R_SCRATCH] - 1), -VMA_LOCK_OFFSET)
    return NEXT


@step(waits=True)
def vma_mark_detached(m: Words, r: Words) -> int:
    """vma_mark_detached(vma): from 1 to 0; readers that came in see it write-locked, and are waited for."""
    word = at(m, AREA_REFCNT, r[R_SCRATCH] - 1)
    return NEXT if load(m, word) == ATTACHED and cmpxchg(m, word, ATTACHED, 0) == ATTACHED else WAIT


@step
def vm_area_free(m: Words, r: Words) -> int:
    """vm_area_free(vma): it can be used again at once."""
    write_once(m, at(m, AREA_MM, r[R_SCRATCH] - 1), 0)
    r[R_SCRATCH] = 0
    return NEXT


@step(whole="mmap_lock, held for write: a VMA that nobody knows")
def vma_link(m: Words, r: Words) -> int:
    """mmap behind munmap: a VMA for the mm, write-locked until mmap_lock is given up."""
    take_area(m, r[R_MM], read_once(m, at(m, MM_LOCK_SEQ, r[R_MM])) + 1)
    return NEXT


@step(whole="nobody knows the mm before it is published")
def vm_area_dup(m: Words, r: Words) -> int:
    """vm_area_dup(), of fork and exec: a VMA for the new mm R_CHILD, not write-locked."""
    take_area(m, r[R_CHILD], 0)
    return NEXT
