"""Locks: page_table_lock of an mm, and mmap_sem (kernel/spinlock.c, lib/rwsem.c).

A lock that is held makes the step wait: it is not enabled in the explorer and spins in a worker.
"""

from __future__ import annotations

from shm_layout.atomic import cmpxchg, fetch_add, fetch_and, load, store
from shm_layout.registers import R_CHILD, R_MM
from shm_layout.structs import MM_MMAP_SEM, MM_PAGE_TABLE_LOCK, MM_STRIDE, at
from shm_layout.words import Words
from stress.step import NEXT, WAIT, helper, step

WRITER_WAITS = 1 << 40
"""In mmap_sem: a writer is next, so that readers do not starve it."""
WRITER = 1 << 41
"""In mmap_sem: a writer holds it."""


@helper
def spin_trylock(m: Words, word: int) -> bool:
    """Take the spinlock in this word if it is free."""
    return load(m, word) == 0 and cmpxchg(m, word, 0, 1) == 0


@step(waits=True)
def spin_lock(m: Words, r: Words) -> int:
    """spin_lock(&mm->page_table_lock)."""
    return NEXT if spin_trylock(m, at(m, MM_PAGE_TABLE_LOCK, MM_STRIDE, r[R_MM])) else WAIT


@step
def spin_unlock(m: Words, r: Words) -> int:
    """spin_unlock(&mm->page_table_lock)."""
    store(m, at(m, MM_PAGE_TABLE_LOCK, MM_STRIDE, r[R_MM]), 0)
    return NEXT


@step(waits=True)
def spin_lock_child(m: Words, r: Words) -> int:
    """spin_lock(&dst->page_table_lock) of copy_page_range."""
    return NEXT if spin_trylock(m, at(m, MM_PAGE_TABLE_LOCK, MM_STRIDE, r[R_CHILD])) else WAIT


@step
def spin_unlock_child(m: Words, r: Words) -> int:
    """spin_unlock(&dst->page_table_lock)."""
    store(m, at(m, MM_PAGE_TABLE_LOCK, MM_STRIDE, r[R_CHILD]), 0)
    return NEXT


@step(waits=True)
def down_read(m: Words, r: Words) -> int:
    """down_read(&mm->mmap_sem): behind a writer that waits already."""
    sem = at(m, MM_MMAP_SEM, MM_STRIDE, r[R_MM])
    if load(m, sem) >= WRITER_WAITS:
        return WAIT
    if fetch_add(m, sem, 1) < WRITER_WAITS:
        return NEXT
    fetch_add(m, sem, -1)
    return WAIT


@step
def up_read(m: Words, r: Words) -> int:
    """up_read(&mm->mmap_sem)."""
    fetch_add(m, at(m, MM_MMAP_SEM, MM_STRIDE, r[R_MM]), -1)
    return NEXT


@step(waits=True)
def down_write_queue(m: Words, r: Words) -> int:
    """down_write(&mm->mmap_sem), first half: become the writer that is next; new readers wait."""
    sem = at(m, MM_MMAP_SEM, MM_STRIDE, r[R_MM])
    readers = load(m, sem)
    if readers >= WRITER_WAITS:
        return WAIT
    # not fetch_or: behind a writer that came first it would leave a bit that is nobody's
    return NEXT if cmpxchg(m, sem, readers, readers | WRITER_WAITS) == readers else WAIT


@step(waits=True)
def down_write(m: Words, r: Words) -> int:
    """down_write(&mm->mmap_sem), second half: the readers have left."""
    sem = at(m, MM_MMAP_SEM, MM_STRIDE, r[R_MM])
    if load(m, sem) != WRITER_WAITS:
        return WAIT
    return NEXT if cmpxchg(m, sem, WRITER_WAITS, WRITER) == WRITER_WAITS else WAIT


@step
def up_write(m: Words, r: Words) -> int:
    """up_write(&mm->mmap_sem)."""
    fetch_and(m, at(m, MM_MMAP_SEM, MM_STRIDE, r[R_MM]), ~WRITER)
    return NEXT
