"""Locks: page_table_lock of an mm, and mmap_sem (kernel/spinlock.c, lib/rwsem.c).

A lock that is held makes the step wait: it is not enabled in the explorer and spins in a worker.
"""

from __future__ import annotations

from shm_layout.atomic import cmpxchg, fetch_add, fetch_and, fetch_or, load, read_once, store, write_once
from shm_layout.registers import R_CHILD, R_CPU, R_MM
from shm_layout.structs import (
    MM_MMAP_SEM,
    MM_PAGE_TABLE_LOCK,
    NR_MMS,
    NR_SEM_READERS,
    SEM_READERS,
    at,
)
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
    return NEXT if spin_trylock(m, at(m, MM_PAGE_TABLE_LOCK, r[R_MM])) else WAIT


@step
def spin_unlock(m: Words, r: Words) -> int:
    """spin_unlock(&mm->page_table_lock)."""
    store(m, at(m, MM_PAGE_TABLE_LOCK, r[R_MM]), 0)
    return NEXT


@step
def spin_unlock_plain(m: Words, r: Words) -> int:
    """spin_unlock by a store that is no release: what was stored under the lock may be seen later (finding W04)."""
    write_once(m, at(m, MM_PAGE_TABLE_LOCK, r[R_MM]), 0)
    return NEXT


@step(waits=True)
def spin_lock_child(m: Words, r: Words) -> int:
    """spin_lock(&dst->page_table_lock) of copy_page_range."""
    return NEXT if spin_trylock(m, at(m, MM_PAGE_TABLE_LOCK, r[R_CHILD])) else WAIT


@step
def spin_unlock_child(m: Words, r: Words) -> int:
    """spin_unlock(&dst->page_table_lock)."""
    store(m, at(m, MM_PAGE_TABLE_LOCK, r[R_CHILD]), 0)
    return NEXT


@helper
def sem_readers(m: Words, cpu: int, mm: int) -> int:
    """Return the index of the word in which a CPU counts the readers of an mm's mmap_sem, where each CPU has one."""
    return at(m, SEM_READERS, cpu * m[NR_MMS] + mm)


@helper
def sem_cpus(m: Words) -> int:
    """Return CPUs that count their readers of mmap_sem in words of their own: all or none."""
    return m[NR_SEM_READERS] // m[NR_MMS]


@helper
def sem_of_reader(m: Words, cpu: int, mm: int) -> int:
    """Return the index of the word in which a reader of mmap_sem counts itself: the one of the mm, or its CPU's."""
    return at(m, MM_MMAP_SEM, mm) if m[NR_SEM_READERS] == 0 else sem_readers(m, cpu, mm)


@step(waits=True, whole="the semaphore's own")
def down_read(m: Words, r: Words) -> int:
    """down_read(&mm->mmap_sem): after a writer that waits already."""
    sem = sem_of_reader(m, r[R_CPU], r[R_MM])
    if load(m, sem) >= WRITER_WAITS:
        return WAIT
    if fetch_add(m, sem, 1) < WRITER_WAITS:
        return NEXT
    fetch_add(m, sem, -1)
    return WAIT


@step
def up_read(m: Words, r: Words) -> int:
    """up_read(&mm->mmap_sem)."""
    fetch_add(m, sem_of_reader(m, r[R_CPU], r[R_MM]), -1)
    return NEXT


@helper
def stop_readers(m: Words, mm: int) -> bool:
    """Make the readers of all CPUs wait, where each CPU counts its own. Whether none is left that came before."""
    none = True
    for cpu in range(sem_cpus(m)):
        if fetch_or(m, sem_readers(m, cpu, mm), WRITER_WAITS) != 0:
            none = False
    return none


@helper
def admit_readers(m: Words, mm: int) -> None:
    """Undo `stop_readers`."""
    for cpu in range(sem_cpus(m)):
        fetch_and(m, sem_readers(m, cpu, mm), ~WRITER_WAITS)


@step(waits=True)
def down_write_queue(m: Words, r: Words) -> int:
    """down_write(&mm->mmap_sem), first half: become the writer that is next; new readers wait.

    The word of the mm decides between writers; only who has won there touches the bits in the words of the CPUs.
    """
    sem = at(m, MM_MMAP_SEM, r[R_MM])
    readers = load(m, sem)
    if readers >= WRITER_WAITS:
        return WAIT
    # not fetch_or: after a writer that came first it would leave a bit that is nobody's
    if cmpxchg(m, sem, readers, readers | WRITER_WAITS) != readers:
        return WAIT
    stop_readers(m, r[R_MM])
    return NEXT


@step(waits=True)
def down_write(m: Words, r: Words) -> int:
    """down_write(&mm->mmap_sem), second half: the readers have left."""
    for cpu in range(sem_cpus(m)):
        if load(m, sem_readers(m, cpu, r[R_MM])) != WRITER_WAITS:
            return WAIT
    sem = at(m, MM_MMAP_SEM, r[R_MM])
    if load(m, sem) != WRITER_WAITS:
        return WAIT
    return NEXT if cmpxchg(m, sem, WRITER_WAITS, WRITER) == WRITER_WAITS else WAIT


@step
def up_write(m: Words, r: Words) -> int:
    """up_write(&mm->mmap_sem)."""
    admit_readers(m, r[R_MM])
    fetch_and(m, at(m, MM_MMAP_SEM, r[R_MM]), ~WRITER)
    return NEXT


@step
def downgrade_write(m: Words, r: Words) -> int:
    """downgrade_write(&mm->mmap_sem): the writer is a reader from now on, and no other writer comes in between."""
    sem = at(m, MM_MMAP_SEM, r[R_MM])
    if sem_cpus(m) == 0:
        fetch_add(m, sem, 1 - WRITER)
        return NEXT
    fetch_add(m, sem_of_reader(m, r[R_CPU], r[R_MM]), 1)
    admit_readers(m, r[R_MM])
    fetch_and(m, sem, ~WRITER)
    return NEXT


@helper
def down_write_try(m: Words, mm: int) -> bool:
    """down_write_trylock(&mm->mmap_sem): whether it was free, and is taken now."""
    sem = at(m, MM_MMAP_SEM, mm)
    if load(m, sem) != 0 or cmpxchg(m, sem, 0, WRITER) != 0:
        return False
    if stop_readers(m, mm):
        return True
    admit_readers(m, mm)
    fetch_and(m, sem, ~WRITER)
    return False


@helper
def sem_is_free(m: Words, mm: int) -> bool:
    """At rest: nobody holds mmap_sem or waits for it."""
    for cpu in range(sem_cpus(m)):
        if read_once(m, sem_readers(m, cpu, mm)) != 0:
            return False
    return read_once(m, at(m, MM_MMAP_SEM, mm)) == 0
