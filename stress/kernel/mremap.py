"""Pages that are moved to another address (mm/mremap.c), and what finds them there (mm/rmap.c, mm/interval_tree.c).

A machine with vmas=True says for each virtual page of an mm what is mapped there: the page of that number, as at first,
one of another number (page->index), or nothing. mremap moves one page to a higher address, whose own is unmapped
first. It holds mmap_lock for write; who looks for the mappings of a page (reclaim, truncation) does not, and finds the
page at its old or at its new place: the new one comes behind the old one in the order of the walk (copy_vma).
"""

from __future__ import annotations

from shm_layout.atomic import read_once, write_once
from shm_layout.registers import R_ADDRESS, R_CHILD, R_END, R_ENTRY, R_MM, R_NEW, R_SCAN, R_SCRATCH
from shm_layout.structs import GHOST, MM_USERS, NR_MMS, NR_PTES, at
from shm_layout.words import Words
from stress.kernel.memory import written_at
from stress.kernel.mm_types import MM_FREE
from stress.kernel.pgtable import first_page, kind_of_mapping, linear_page_index, prot_at, vma_at
from stress.labels import LAST, NOT_PRESENT, OUT
from stress.step import DONE, NEXT, helper, step

NO_VMA = -1
"""In the words of `shm_layout.structs.vma_struct`: nothing is mapped at that virtual page."""


@helper
def set_vma(m: Words, mm: int, address: int, index: int, prot: int) -> None:
    """Say what is mapped at a virtual page, and whether stores are allowed there."""
    write_once(m, vma_at(m, mm, address), index)
    write_once(m, prot_at(m, mm, address), prot)


@step
def find_vma(m: Words, r: Words) -> int:
    """vma = find_vma(mm, address): where nothing is mapped the access is a fault of the user's, `out`."""
    return OUT if read_once(m, vma_at(m, r[R_MM], r[R_ADDRESS])) == NO_VMA else NEXT


# mremap


@step(private=True)
def mremap_to(m: Words, r: Words) -> int:
    """mremap_to(): the page R_ADDRESS goes to R_END - 1, which is unmapped first; R_SCRATCH is where it was.

    Both lie in mappings of one kind, or the operation ends (EINVAL).
    """
    new = r[R_END] - 1
    if new == r[R_ADDRESS] or kind_of_mapping(m, new) != kind_of_mapping(m, r[R_ADDRESS]):
        return DONE
    r[R_SCRATCH] = r[R_ADDRESS]
    r[R_ADDRESS] = new
    return NEXT


@step(whole="mmap_lock, held for write, and the lock of the tree of VMAs")
def copy_vma(m: Words, r: Words) -> int:
    """copy_vma(): what is mapped at the old place is mapped at the new one, too; to `last` where nothing is."""
    old = read_once(m, vma_at(m, r[R_MM], r[R_SCRATCH]))
    r[R_ADDRESS] = r[R_SCRATCH]
    if old == NO_VMA:
        return LAST
    index = linear_page_index(m, r[R_MM], r[R_SCRATCH]) + 1
    set_vma(m, r[R_MM], r[R_END] - 1, index, read_once(m, prot_at(m, r[R_MM], r[R_SCRATCH])))
    return NEXT


@step(private=True)
def to_new_place(m: Words, r: Words) -> int:
    """move_ptes(): pte = move_pte(pte); what was none stays where it is, to `not_present`. The user expects its data
    at the new place from now on.
    """
    r[R_NEW] = r[R_ENTRY]
    if r[R_ENTRY] == 0:
        return NOT_PRESENT
    if m[GHOST] != 0:
        old = written_at(m, r[R_MM], r[R_SCRATCH])
        write_once(m, written_at(m, r[R_MM], r[R_END] - 1), m[old])
        write_once(m, old, 0)
    r[R_ADDRESS] = r[R_END] - 1
    return NEXT


@step(private=True)
def to_old_place(m: Words, r: Words) -> int:
    """What follows is about the old place: its translations are flushed."""
    r[R_ADDRESS] = r[R_SCRATCH]
    return NEXT


@step(whole="mmap_lock, held for write, and the lock of the tree of VMAs")
def unmap_old_vma(m: Words, r: Words) -> int:
    """do_munmap(mm, old_addr, old_len): nothing is mapped at the old place any more."""
    set_vma(m, r[R_MM], r[R_SCRATCH], NO_VMA, 0)
    return NEXT


# what else changes VMAs


@step(whole="mmap_lock, held for write, and the lock of the tree of VMAs")
def mmap_anew(m: Words, r: Words) -> int:
    """What munmap takes away can be faulted in again on this machine, as if mmap followed: each page is its own."""
    for page in range(r[R_ADDRESS], r[R_END]):
        set_vma(m, r[R_MM], page, 0, 0)
    return NEXT


@step(whole="nobody knows the mm before it is published")
def mm_init_vmas(m: Words, r: Words) -> int:
    """mm_init(): the VMAs of a new mm R_CHILD, each page its own."""
    for page in range(first_page(m, r[R_CHILD]), m[NR_PTES]):
        set_vma(m, r[R_CHILD], page, 0, 0)
    return NEXT


@step(whole="mmap_lock, held for write: VMAs are not changed")
def dup_mmap(m: Words, r: Words) -> int:
    """dup_mmap(): the child R_CHILD has the VMAs of its parent."""
    for page in range(first_page(m, r[R_CHILD]), m[NR_PTES]):
        index, prot = read_once(m, vma_at(m, r[R_MM], page)), read_once(m, prot_at(m, r[R_MM], page))
        set_vma(m, r[R_CHILD], page, index, prot)
    return NEXT


# the walk over all mappings of a page


@step(private=True)
def page_index(m: Words, r: Words) -> int:
    """pgoff = page->index: the walk looks for it, in R_SCRATCH."""
    r[R_SCRATCH] = r[R_ADDRESS]
    return NEXT


@step(whole="the locks of anon_vma and of the interval tree")
def vma_interval_tree_foreach(m: Words, r: Words) -> int:
    """vma_interval_tree_foreach(vma, mapping, pgoff, pgoff): the next virtual page of an mm in use that has the page.

    `last` after the last one. R_SCAN counts through the virtual pages of all mms.
    """
    place = r[R_SCAN]
    while place < m[NR_MMS] * m[NR_PTES]:
        mm, address = place // m[NR_PTES], place % m[NR_PTES]
        place += 1
        if address < first_page(m, mm) or read_once(m, at(m, MM_USERS, mm)) == MM_FREE:
            continue
        if linear_page_index(m, mm, address) == r[R_SCRATCH]:
            r[R_MM], r[R_ADDRESS], r[R_SCAN] = mm, address, place
            return NEXT
    r[R_SCAN] = place
    r[R_ADDRESS] = r[R_SCRATCH]
    r[R_SCRATCH] = 0
    return LAST
