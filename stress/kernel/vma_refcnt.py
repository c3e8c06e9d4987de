"""The count of a VMA in the place of its lock, and VMAs that are used again at once (mm/mmap_lock.c of Linux 6.15).

vm_refcnt is 0 for a VMA that is detached, 1 for one that is attached, and more for each reader; a writer sets a bit in
it and waits until the readers are gone. VMAs are given back without a grace period (SLAB_TYPESAFE_BY_RCU), so that a
reader may meet one that belongs to another mm, or maps another range, by the time it has counted itself. R_SCRATCH is
the VMA that an operation has found, + 1 (`vma.py`); the marks are those of `vma_lock.py`.
"""

from __future__ import annotations

from shm_layout.atomic import cmpxchg, fetch_add, load, read_once
from shm_layout.registers import R_MM, R_SCRATCH
from shm_layout.structs import AREA_MM, AREA_REFCNT, at
from shm_layout.words import Words
from stress.kernel.vma import ATTACHED
from stress.labels import AGAIN, LOCKED, MMAP_LOCK
from stress.step import NEXT, WAIT, step

VMA_LOCK_OFFSET = 1 << 30
"""In vm_refcnt: a writer holds the VMA, or waits for its readers (0x40000000)."""


# lock_vma_under_rcu


@step
def refcount_inc_not_zero(m: Words, r: Words) -> int:
    """__refcount_inc_not_zero_limited_acquire(&vma->vm_refcnt): a VMA that has a writer goes to `mmap_lock`.

    One that is detached has been replaced: it is looked up anew, `again`.
    """
    word = at(m, AREA_REFCNT, r[R_SCRATCH] - 1)
    count = load(m, word)
    while 0 < count < VMA_LOCK_OFFSET:
        found = cmpxchg(m, word, count, count + 1)
        if found == count:
            return NEXT
        count = found
    return AGAIN if count == 0 else MMAP_LOCK


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


# writers


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
def refcount_sub_offset(m: Words, r: Words) -> int:
    """__vma_exit_locked(): refcount_sub_and_test(VMA_LOCK_OFFSET, &vma->vm_refcnt)."""
    fetch_add(m, at(m, AREA_REFCNT, r[R_SCRATCH] - 1), -VMA_LOCK_OFFSET)
    return NEXT


@step(waits=True)
def vma_mark_detached(m: Words, r: Words) -> int:
    """vma_mark_detached(vma): from 1 to 0; readers that came in see it write-locked, and are waited for."""
    word = at(m, AREA_REFCNT, r[R_SCRATCH] - 1)
    return NEXT if load(m, word) == ATTACHED and cmpxchg(m, word, ATTACHED, 0) == ATTACHED else WAIT
