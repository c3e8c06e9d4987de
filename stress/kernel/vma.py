"""VMAs with ranges, the tree that finds them, and how munmap, mmap and fork change it (mm/mmap.c, mm/vma.c).

A VMA is an object of a pool: it maps a range of virtual pages of an mm, or is free. The tree (mm->mm_mt) says for each
virtual page which VMA maps it. An mm begins with one VMA for each kind of mapping. munmap splits those that stick out
of its range, takes the rest out of the tree and gives it back when it has zapped; mmap, which follows at once on this
machine, maps each hole by a VMA of its own, and joins none. What locks a VMA is in `vma_lock.py` and `vma_refcnt.py`.

R_SCRATCH is the VMA that an operation has found, + 1. Since the VMAs of an mm do not overlap, and only one munmap of it
is under way, there are never more of them than ptes: the pool does not run out.
"""

from __future__ import annotations

from shm_layout.atomic import cmpxchg, read_once, store, write_once
from shm_layout.registers import R_ADDRESS, R_CHILD, R_END, R_MM, R_SCRATCH
from shm_layout.structs import (
    AREA_END,
    AREA_LOCK_SEQ,
    AREA_MM,
    AREA_REFCNT,
    AREA_START,
    MM_LOCK_SEQ,
    MM_MT,
    MM_USERS,
    NR_AREAS,
    NR_MMS,
    NR_PTES,
    PTE,
    at,
)
from shm_layout.words import Words
from stress.kernel.bug import DROPPED, OWNER, oops
from stress.kernel.mm_types import MM_FREE
from stress.kernel.pgtable import first_page, kind_of_mapping, pte_at
from stress.labels import LAST_VMA, LOCKED, MMAP_LOCK, OUT
from stress.step import NEXT, helper, step

ATTACHED = 1
"""vm_refcnt of a VMA that is in the tree and that nobody reads; a kernel of 6.4 says so in vma->detached."""


@helper
def tree_at(m: Words, mm: int, address: int) -> int:
    """Return the index of the word in which the tree of an mm says what maps a virtual page."""
    return at(m, MM_MT, pte_at(m, mm, address) - m[PTE])


@helper
def locked_seq(m: Words, mm: int) -> int:
    """Return the vm_lock_seq of a VMA that is write-locked until mmap_lock is given up."""
    return read_once(m, at(m, MM_LOCK_SEQ, mm)) + 1


@helper
def in_range(m: Words, area: int, address: int) -> bool:
    """Whether a VMA maps this virtual page: vma->vm_start <= address < vma->vm_end."""
    return read_once(m, at(m, AREA_START, area)) <= address < read_once(m, at(m, AREA_END, area))


@helper
def take_vma(m: Words, mm: int, since: int) -> int:
    """vm_area_alloc(): the first VMA from number ``since`` on that is free; it is the mm's from now on.

    -1 where none is: only a design that loses VMAs comes to that.
    """
    for n in range(2 * m[NR_AREAS]):
        area = (since + n) % m[NR_AREAS]
        word = at(m, AREA_MM, area)
        if read_once(m, word) == 0 and cmpxchg(m, word, 0, mm + 1) == 0:
            return area
    return -1


@helper
def link_vma(m: Words, area: int, start: int, end: int, seq: int) -> None:
    """vma_link(): a VMA that was just taken maps pages ``start`` to ``end`` - 1 of its mm, with this vm_lock_seq."""
    if area < 0:
        return
    write_once(m, at(m, AREA_START, area), start)
    write_once(m, at(m, AREA_END, area), end)
    write_once(m, at(m, AREA_LOCK_SEQ, area), seq)
    store(m, at(m, AREA_REFCNT, area), ATTACHED)
    mm = read_once(m, at(m, AREA_MM, area)) - 1
    for page in range(start, end):
        write_once(m, tree_at(m, mm, page), area + 1)


@helper
def map_holes(m: Words, mm: int, start: int, end: int, seq: int) -> None:
    """Map what no VMA maps of these pages: each hole, and each kind of mapping in it, by one of its own."""
    begin, area = start, -1
    for page in range(start, end):
        if read_once(m, tree_at(m, mm, page)) != 0:
            begin = page + 1
            continue
        following = page + 1
        ends = following == end or kind_of_mapping(m, following) != kind_of_mapping(m, page)
        if ends or read_once(m, tree_at(m, mm, following)) != 0:
            area = take_vma(m, mm, area + 1)
            link_vma(m, area, begin, following, seq)
            begin = following


@helper
def free_vma(m: Words, mm: int, area: int) -> None:
    """vm_area_free(vma): nothing names it any more, and it can be used again, by anybody at once."""
    for page in range(read_once(m, at(m, AREA_START, area)), read_once(m, at(m, AREA_END, area))):
        write_once(m, tree_at(m, mm, page), 0)
    write_once(m, at(m, AREA_REFCNT, area), 0)
    write_once(m, at(m, AREA_LOCK_SEQ, area), 0)
    write_once(m, at(m, AREA_START, area), 0)
    write_once(m, at(m, AREA_END, area), 0)
    store(m, at(m, AREA_MM, area), 0)


# faults


@step
def mas_walk(m: Words, r: Words) -> int:
    """lock_vma_under_rcu(): vma = mas_walk(&mas); to `mmap_lock` where nothing is mapped."""
    r[R_SCRATCH] = max(read_once(m, tree_at(m, r[R_MM], r[R_ADDRESS])), 0)
    return NEXT if r[R_SCRATCH] != 0 else MMAP_LOCK


@step(whole="the VMA, which this fault holds: its range stays")
def if_in_range(m: Words, r: Words) -> int:
    """lock_vma_under_rcu(): is the address in [vma->vm_start, vma->vm_end)? To `locked`; else it is given back."""
    return LOCKED if in_range(m, r[R_SCRATCH] - 1, r[R_ADDRESS]) else NEXT


@step(private=True)
def if_vma_locked(m: Words, r: Words) -> int:
    """if (vmf->flags & FAULT_FLAG_VMA_LOCK): the fault holds a VMA, and not mmap_lock; else to `mmap_lock`."""
    return NEXT if r[R_SCRATCH] != 0 else MMAP_LOCK


@step(private=True)
def no_vma(m: Words, r: Words) -> int:
    """lock_vma_under_rcu() returns NULL."""
    r[R_SCRATCH] = 0
    return NEXT


@step
def find_vma(m: Words, r: Words) -> int:
    """find_vma(mm, address), mmap_lock held: where nothing is mapped the access is a fault of the user's, `out`."""
    return NEXT if read_once(m, tree_at(m, r[R_MM], r[R_ADDRESS])) > 0 else OUT


@step
def handle_mm_fault(m: Words, r: Words) -> int:
    """handle_mm_fault(vma): it acts on vma->vm_mm, which is the faulting task's mm, or counts go astray: check `owner`.

    A fault that holds mmap_lock has the mm's own.
    """
    if r[R_SCRATCH] != 0 and read_once(m, at(m, AREA_MM, r[R_SCRATCH] - 1)) != r[R_MM] + 1:
        oops(r, OWNER)
    return NEXT


# munmap and mmap


@step(whole="mmap_lock, held for write: nobody else changes the tree")
def for_each_vma_range(m: Words, r: Words) -> int:
    """for_each_vma_range(vmi, vma, end): the first VMA of the range, then the one behind it; `last_vma` after all."""
    page = r[R_ADDRESS] if r[R_SCRATCH] == 0 else read_once(m, at(m, AREA_END, r[R_SCRATCH] - 1))
    r[R_SCRATCH] = 0
    while page < r[R_END]:
        found = read_once(m, tree_at(m, r[R_MM], page))
        if found > 0:
            r[R_SCRATCH] = found
            return NEXT
        page += 1
    return LAST_VMA


@helper
def split_vma(m: Words, r: Words, seq: int) -> None:
    """__split_vma(): VMA R_SCRATCH keeps what lies in [R_ADDRESS, R_END); below and above it new ones begin."""
    area, mm = r[R_SCRATCH] - 1, r[R_MM]
    start, end = read_once(m, at(m, AREA_START, area)), read_once(m, at(m, AREA_END, area))
    if start < r[R_ADDRESS]:
        write_once(m, at(m, AREA_START, area), r[R_ADDRESS])
        link_vma(m, take_vma(m, mm, 0), start, r[R_ADDRESS], seq)
    if end > r[R_END]:
        write_once(m, at(m, AREA_END, area), r[R_END])
        link_vma(m, take_vma(m, mm, 0), r[R_END], end, seq)


@step(whole="mmap_lock, held for write, and the VMA's own lock")
def split_vma_new_unlocked(m: Words, r: Words) -> int:
    """__split_vma() of 6.4: a new VMA is not write-locked; whoever finds it finds it complete."""
    split_vma(m, r, 0)
    return NEXT


@step(whole="mmap_lock, held for write, and the VMA's own lock")
def split_vma_new_locked(m: Words, r: Words) -> int:
    """__split_vma() of 6.15: vma_start_write(new), too."""
    split_vma(m, r, locked_seq(m, r[R_MM]))
    return NEXT


@step(whole="mmap_lock, held for write, and the lock of the tree")
def vma_iter_clear(m: Words, r: Words) -> int:
    """vma_iter_clear_gfp(vmi, start, end): the range leaves the tree; munmap keeps its VMAs on a list, mt_detach.

    R_SCRATCH is where the range begins, from here to `mmap_region`.
    """
    for page in range(r[R_ADDRESS], r[R_END]):
        word = tree_at(m, r[R_MM], page)
        write_once(m, word, -read_once(m, word))
    r[R_SCRATCH] = r[R_ADDRESS]
    return NEXT


@step(whole="mmap_lock, held for read: no other munmap, and nobody finds what is on mt_detach")
def remove_mt(m: Words, r: Words) -> int:
    """remove_mt(mm, &mt_detach): the VMAs of munmap's list are given back."""
    for page in range(r[R_SCRATCH], r[R_END]):
        area = -read_once(m, tree_at(m, r[R_MM], page)) - 1
        if area >= 0:
            free_vma(m, r[R_MM], area)
    return NEXT


@step(whole="mmap_lock, held for write")
def mmap_region(m: Words, r: Words) -> int:
    """mmap_region(): the holes that munmap left are mapped anew, by VMAs that are write-locked until mmap_lock goes.

    munmap has promised that nothing is mapped there any more, and without a VMA no fault maps anything: check
    `dropped`.
    """
    for page in range(r[R_SCRATCH], r[R_END]):
        if read_once(m, tree_at(m, r[R_MM], page)) == 0 and read_once(m, pte_at(m, r[R_MM], page)) != 0:
            oops(r, DROPPED)
    map_holes(m, r[R_MM], r[R_SCRATCH], r[R_END], locked_seq(m, r[R_MM]))
    r[R_SCRATCH] = 0
    return NEXT


# fork, exec and exit


@step(whole="mmap_lock, held for write; nobody knows the child's mm before it is published")
def dup_mmap(m: Words, r: Words) -> int:
    """dup_mmap(): the child R_CHILD has the VMAs of its parent, as far as its pages go; none is write-locked."""
    page, area = first_page(m, r[R_CHILD]), -1
    while page < m[NR_PTES]:
        found = read_once(m, tree_at(m, r[R_MM], page))
        end = page + 1
        if found > 0:
            end = read_once(m, at(m, AREA_END, found - 1))
            area = take_vma(m, r[R_CHILD], area + 1)
            link_vma(m, area, page, end, 0)
        page = end
    return NEXT


@helper
def first_vmas(m: Words, mm: int) -> None:
    """Give an mm that nobody knows the VMAs that it begins with: one for each kind of mapping."""
    map_holes(m, mm, first_page(m, mm), m[NR_PTES], 0)


@step(whole="nobody knows the mm before it is published")
def mm_init_vmas(m: Words, r: Words) -> int:
    """exec: the VMAs of the new mm R_CHILD."""
    first_vmas(m, r[R_CHILD])
    return NEXT


@step(whole="the last user of the mm: nobody else knows its tree")
def mas_find(m: Words, r: Words) -> int:
    """exit_mmap(): mas_find(&mas, ULONG_MAX), the first VMA of the mm that is left; `last_vma` when none is."""
    for page in range(first_page(m, r[R_MM]), m[NR_PTES]):
        r[R_SCRATCH] = read_once(m, tree_at(m, r[R_MM], page))
        if r[R_SCRATCH] != 0:
            return NEXT
    return LAST_VMA


@step(whole="the last user of the mm: nobody else knows its tree")
def remove_vma(m: Words, r: Words) -> int:
    """remove_vma(vma): it leaves the tree, and is given back at once."""
    free_vma(m, r[R_MM], r[R_SCRATCH] - 1)
    r[R_SCRATCH] = 0
    return NEXT


# at rest


@helper
def vmas_are_whole(m: Words) -> int:
    """At rest what the tree finds is a VMA of that mm and range that nobody reads, and no pte is set elsewhere.

    `HOLDS`, -1, else the first mm where not; one that is free has no VMAs.
    """
    for area in range(m[NR_AREAS]):
        mm = read_once(m, at(m, AREA_MM, area)) - 1
        if read_once(m, at(m, AREA_REFCNT, area)) != (0 if mm < 0 else ATTACHED):
            return max(mm, 0)
    for mm in range(m[NR_MMS]):
        used = read_once(m, at(m, MM_USERS, mm)) != MM_FREE
        for page in range(first_page(m, mm), m[NR_PTES]):
            found = read_once(m, tree_at(m, mm, page))
            hole = found == 0 and (not used or read_once(m, pte_at(m, mm, page)) == 0)
            mapped = used and found > 0 and read_once(m, at(m, AREA_MM, found - 1)) == mm + 1
            if not hole and not (mapped and in_range(m, found - 1, page)):
                return mm
    return -1
