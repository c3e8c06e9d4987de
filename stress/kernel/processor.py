"""What the processor does when a user stores: it walks the page table, fills its TLB, and stores through that.

A fault ends with `stress.kernel.memory.user_access`, which looks at the pte. A store that finds a translation in the
TLB does not: it lands in the frame that the translation names, even where the pte has changed since.
"""

from __future__ import annotations

from shm_layout.atomic import cmpxchg, load, read_once, write_once, xchg
from shm_layout.registers import R_ADDRESS, R_CPU, R_MM
from shm_layout.structs import (
    GHOST,
    MM_MMAP_SEM,
    MM_USERS,
    MMU,
    NR_MMS,
    NR_PTES,
    NR_SWAP,
    NR_VMAS,
    PAGE_CONTENT,
    PRIVATE_END,
    SWAP_PAGE,
    at,
)
from shm_layout.words import Words
from stress.kernel.memory import user_write, written_at
from stress.kernel.mm_types import MM_EXITING
from stress.kernel.pgtable import PRESENT, WRITABLE, first_page, pte_at, pte_page, pte_present, pte_to_slot
from stress.kernel.spinlock import WRITER
from stress.kernel.tlb import mmu_at
from stress.labels import AGAIN
from stress.step import DONE, NEXT, helper, step


@helper
def may_write(entry: int) -> bool:
    """Return whether a store can go through this translation."""
    return (entry & (PRESENT | WRITABLE)) == (PRESENT | WRITABLE)


@helper
def translation(m: Words, r: Words) -> int:
    """Return the translation that a store of this CPU goes through: of its TLB, or the pte where there is none."""
    if m[MMU] == 0:
        return load(m, pte_at(m, r[R_MM], r[R_ADDRESS]))
    return read_once(m, mmu_at(m, r[R_CPU], r[R_MM], r[R_ADDRESS]))


@helper
def has_page(m: Words, parent: int, mm: int, address: int, frame: int) -> bool:
    """Return whether an mm that is being made has a page, by its pte or its swap slot, or no entry yet.

    The first half of an entry that is being written looks like one of a slot, there or not: it is that of the parent's.
    """
    entry = read_once(m, pte_at(m, mm, address))
    if entry == 0:
        return True
    if pte_present(entry):
        return pte_page(m, entry) == frame
    copied = read_once(m, pte_at(m, parent, address))
    if pte_present(copied) and copied >> 32 == entry >> 32:
        return True
    slot = pte_to_slot(entry)
    return slot >= m[NR_SWAP] or read_once(m, at(m, SWAP_PAGE, slot)) == frame


@helper
def copied_meanwhile(m: Words, r: Words, frame: int, old: int, new: int) -> None:
    """Let a child whose page table is being copied expect what its parent stores to the page that they share.

    The parent holds mmap_sem for write until it has flushed: a store that comes before that is one before the fork.
    A store to another page than the child has, or will have, is none of the child's.
    """
    if (load(m, at(m, MM_MMAP_SEM, r[R_MM])) & WRITER) == 0:
        return
    for mm in range(m[NR_MMS]):
        if mm == r[R_MM] or read_once(m, at(m, MM_USERS, mm)) != MM_EXITING or r[R_ADDRESS] < first_page(m, mm):
            continue
        if has_page(m, r[R_MM], mm, r[R_ADDRESS], frame) and m[written_at(m, mm, r[R_ADDRESS])] == old:
            write_once(m, written_at(m, mm, r[R_ADDRESS]), new)


@helper
def mapped_at(m: Words, mm: int, address: int, frame: int, content: int) -> int:
    """Return the virtual page at which an mm maps a frame, ``address`` first and then where it was moved to; or -1.

    While it is on its way no pte maps it; the user expects its ``content`` at the new place already.
    """
    if pte_page(m, load(m, pte_at(m, mm, address))) == frame:
        return address
    if m[NR_VMAS] != 0:
        for page in range(first_page(m, mm), m[NR_PTES]):
            entry = load(m, pte_at(m, mm, page))
            if pte_page(m, entry) == frame or (not pte_present(entry) and m[written_at(m, mm, page)] == content):
                return page
    return -1


@helper
def store_through(m: Words, r: Words, entry: int) -> None:
    """Store to the frame of a translation. Where `GHOST` is set, the user expects it, unless the page was given up.

    One that is mapped, there or where it was moved to, is not given up, whatever was expected of it before.
    """
    if m[GHOST] == 0:
        user_write(m, r, entry)
        return
    if r[R_ADDRESS] >= m[PRIVATE_END]:
        return
    word = at(m, PAGE_CONTENT, pte_page(m, entry))
    old = load(m, word)
    write_once(m, word, old + 1)
    own = written_at(m, r[R_MM], r[R_ADDRESS])
    if m[own] > 0:
        copied_meanwhile(m, r, pte_page(m, entry), old, old + 1)
        write_once(m, own, m[own] + 1)
    else:
        address = mapped_at(m, r[R_MM], r[R_ADDRESS], pte_page(m, entry), old)
        if address >= 0:
            write_once(m, written_at(m, r[R_MM], address), old + 1)


@step(whole="the processor: it walks the page table and loads its TLB")
def walk_page_table(m: Words, r: Words) -> int:
    """A store needs a translation: load one that may be written through, unless the TLB has it.

    Where the pte allows no store, the operation ends: the fault that follows is an operation of its own. The interrupt
    of a flush waits for the walk. So workers note first that one is under way, by a translation that is not present,
    look at the pte once more, and give up where a flush has taken the note away.
    """
    pte = pte_at(m, r[R_MM], r[R_ADDRESS])
    entry = translation(m, r)
    if may_write(entry):
        return NEXT
    entry = load(m, pte)
    if not may_write(entry) or pte_page(m, entry) < 0:
        return DONE
    if m[MMU] != 0:
        word = mmu_at(m, r[R_CPU], r[R_MM], r[R_ADDRESS])
        under_way = entry & ~PRESENT
        xchg(m, word, under_way)
        if load(m, pte) != entry or cmpxchg(m, word, under_way, entry) != under_way:
            write_once(m, word, 0)
            return DONE
    return NEXT


@step(whole="the processor: no interrupt comes between the look into its TLB and the store")
def user_store(m: Words, r: Words) -> int:
    """The store, to the frame that the translation names, whatever the pte says; without one it walks `again`."""
    entry = translation(m, r)
    if not may_write(entry):
        return AGAIN
    store_through(m, r, entry)
    return NEXT
