"""The lock of a VMA, and faults without mmap_lock (include/linux/mm.h and mm/memory.c of Linux 6.4).

A fault finds its VMA under RCU (`vma.py`), takes the VMA's lock for read, and looks whether what it has is still its
own. A writer, who holds mmap_lock, marks a VMA by the present number of the mm (`vma_start_write`); giving up mmap_lock
makes the number another one, and so unmarks all VMAs at once. A fault that finds its VMA marked, or the lock taken,
falls back to mmap_lock. munmap gives a VMA back behind a grace period, so that who found it may still look at it.
"""

from __future__ import annotations

from shm_layout.atomic import cmpxchg, fetch_add, load, read_once, store, write_once
from shm_layout.registers import R_ADDRESS, R_LEVEL, R_MM, R_SCRATCH, R_VALUE
from shm_layout.structs import ANON_END, AREA_LOCK, AREA_LOCK_SEQ, AREA_REFCNT, MM_LOCK_SEQ, at
from shm_layout.words import Words
from stress.kernel.rcupdate import still_reading
from stress.kernel.spinlock import WRITER
from stress.kernel.vma import locked_seq
from stress.labels import LOCKED, MMAP_LOCK
from stress.step import NEXT, WAIT, step

# lock_vma_under_rcu


@step(private=True)
def if_vma_anon(m: Words, r: Words) -> int:
    """lock_vma_under_rcu(): only anonymous VMAs are supported for now, others go to `mmap_lock`."""
    return NEXT if r[R_ADDRESS] < m[ANON_END] else MMAP_LOCK


@step
def read_vm_lock_seq(m: Words, r: Words) -> int:
    """vma_start_read(): READ_ONCE(vma->vm_lock_seq)."""
    r[R_VALUE] = read_once(m, at(m, AREA_LOCK_SEQ, r[R_SCRATCH] - 1))
    return NEXT


@step
def if_not_write_locked(m: Words, r: Words) -> int:
    """vma_start_read(): ... == READ_ONCE(mm->mm_lock_seq)? Then it is write-locked: to `mmap_lock`."""
    return MMAP_LOCK if locked_seq(m, r[R_MM]) == r[R_VALUE] else NEXT


@step
def down_read_trylock_vma(m: Words, r: Words) -> int:
    """vma_start_read(): down_read_trylock(&vma->vm_lock->lock), else to `mmap_lock`."""
    word = at(m, AREA_LOCK, r[R_SCRATCH] - 1)
    readers = load(m, word)
    if readers >= WRITER or cmpxchg(m, word, readers, readers + 1) != readers:
        return MMAP_LOCK
    return NEXT


@step
def if_write_locked(m: Words, r: Words) -> int:
    """vma_start_read(), once more with the lock held: is it write-locked by now? Else the fault goes on at `locked`."""
    return NEXT if locked_seq(m, r[R_MM]) == r[R_VALUE] else LOCKED


@step
def if_detached(m: Words, r: Words) -> int:
    """lock_vma_under_rcu(): if (vma->detached), it is given back and looked up anew; else to `locked`."""
    return NEXT if read_once(m, at(m, AREA_REFCNT, r[R_SCRATCH] - 1)) == 0 else LOCKED


@step
def vma_end_read(m: Words, r: Words) -> int:
    """vma_end_read(vma): up_read(&vma->vm_lock->lock)."""
    fetch_add(m, at(m, AREA_LOCK, r[R_SCRATCH] - 1), -1)
    r[R_SCRATCH] = 0
    return NEXT


# writers


@step
def read_mm_lock_seq(m: Words, r: Words) -> int:
    """vma_start_write(vma): mm->mm_lock_seq, which stays as long as mmap_lock is held for write."""
    r[R_VALUE] = locked_seq(m, r[R_MM])
    return NEXT


@step(waits=True)
def down_write_vma(m: Words, r: Words) -> int:
    """vma_start_write(vma): down_write(&vma->vm_lock->lock): the faults that hold it have ended."""
    word = at(m, AREA_LOCK, r[R_SCRATCH] - 1)
    return NEXT if load(m, word) == 0 and cmpxchg(m, word, 0, WRITER) == 0 else WAIT


@step
def set_vm_lock_seq(m: Words, r: Words) -> int:
    """vma_start_write(vma): vma->vm_lock_seq = mm->mm_lock_seq."""
    write_once(m, at(m, AREA_LOCK_SEQ, r[R_SCRATCH] - 1), r[R_VALUE])
    return NEXT


@step
def up_write_vma(m: Words, r: Words) -> int:
    """vma_start_write(vma): up_write(&vma->vm_lock->lock)."""
    store(m, at(m, AREA_LOCK, r[R_SCRATCH] - 1), 0)
    return NEXT


@step
def vma_mark_detached(m: Words, r: Words) -> int:
    """vma_mark_detached(vma, true): vma->detached = true, of a VMA that is write-locked."""
    write_once(m, at(m, AREA_REFCNT, r[R_SCRATCH] - 1), 0)
    return NEXT


@step
def vma_end_write_all(m: Words, r: Words) -> int:
    """vma_end_write_all(mm), as mmap_lock is given up: mm->mm_lock_seq + 1, so that no VMA is write-locked any more."""
    word = at(m, MM_LOCK_SEQ, r[R_MM])
    store(m, word, read_once(m, word) + 1)
    return NEXT


@step(waits=True, whole="the RCU grace period")
def call_rcu(m: Words, r: Words) -> int:
    """call_rcu(&vma->vm_rcu, vm_area_free_rcu_cb): behind a grace period nobody looks at a VMA that it found before."""
    r[R_LEVEL] = still_reading(m, r, r[R_LEVEL])
    return NEXT if r[R_LEVEL] == 0 else WAIT
