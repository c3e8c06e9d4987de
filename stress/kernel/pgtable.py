"""The format of a pte (include/asm-i386/pgtable.h): flags, page frame numbers, swap entries.

A pte is one 64-bit word. On arch=pae it is written and read as two halves unless an operation of the
cmpxchg8b family is used. Bit 0 present, 1 writable, 5 young (accessed), 6 dirty; the page frame number from
bit 12 on. A swap entry has a low half of 0 and the slot + 1 in its high half.

An entry that is not present may be more than that. Its low half says so: with `PTE_COUNTS` rss counts its page, with
`PTE_HOLDS` it holds its page as a present pte does. A kernel's migration entry counts; one for memory of a device does
both.
"""

from __future__ import annotations

from shm_layout.atomic import read_once
from shm_layout.structs import (
    ABOVE_4G,
    ANON_END,
    CHILD_PTES,
    NR_PAGES,
    NR_PTES,
    NR_VMAS,
    PAGE_FLAGS,
    PRIVATE_END,
    PTE,
    VMA_INDEX,
    VMA_PROT,
    at,
)
from shm_layout.words import Words
from stress.step import helper

PRESENT = 1
WRITABLE = 2
YOUNG = 0x20
DIRTY = 0x40
PTE_COUNTS = 0x80
"""In an entry that is not present: it names a page by its frame number, and rss counts that page."""
PTE_HOLDS = 0x100
"""In an entry that is not present: it names a page, whose mapcount and count have one for it."""
NAMES_PAGE = PRESENT | PTE_COUNTS | PTE_HOLDS
"""Any of these: the entry names a page."""
COUNTS = PRESENT | PTE_COUNTS
"""Any of these: rss counts that page."""
HOLDS_PAGE = PRESENT | PTE_HOLDS
"""Any of these: the entry is in that page's mapcount and count."""
LOW = 0xFFFFFFFF
"""Mask of the low half."""

ZERO_PAGE = 0
"""Frame of the reserved zero page: mapped for reads of untouched memory, never counted."""

PG_LRU = 1
PG_ACTIVE = 2
PG_REFERENCED = 4
PG_DIRTY = 8
PG_ANON = 16
PG_SWAPCACHE = 32
PG_FILE = 64
"""The page belongs to the mapped file: known from the moment the page is found or read."""
PG_FREE = 128
"""The page is in the allocator's hands."""
PG_RESERVED = 256
PG_LOCKED = 512
"""The page lock, where a design takes it by steps of its own; elsewhere it is held within a step."""
PG_SWAPBACKED = 1024
"""With PG_FILE: a page of shared memory (shmem), which goes to swap and not to a file."""
SLOT_SHIFT = 32
"""page->private: the swap slot + 1, above this bit of flags."""


@helper
def pte_at(m: Words, mm: int, address: int) -> int:
    """Return the index of the pte of a virtual page of an mm, which must have it: see `first_page`."""
    return m[PTE] + mm * m[CHILD_PTES] + address


@helper
def first_page(m: Words, mm: int) -> int:
    """First virtual page of an mm: mm 0 has all, the others the last `CHILD_PTES`, so that ptes lie without gaps."""
    return 0 if mm == 0 else m[NR_PTES] - m[CHILD_PTES]


@helper
def kind_of_mapping(m: Words, address: int) -> int:
    """What kind of mapping a virtual page lies in: 0 anonymous, 1 a private, 2 a shared one of the file."""
    return int(address >= m[ANON_END]) + int(address >= m[PRIVATE_END])


@helper
def vma_at(m: Words, mm: int, address: int) -> int:
    """Return the index of the word that says what is mapped at a virtual page; only where ``m[NR_VMAS]`` is not 0."""
    return at(m, VMA_INDEX, pte_at(m, mm, address) - m[PTE])


@helper
def prot_at(m: Words, mm: int, address: int) -> int:
    """Return the index of the word that says whether the user may store there; only where `vma_at` has one."""
    return at(m, VMA_PROT, pte_at(m, mm, address) - m[PTE])


@helper
def linear_page_index(m: Words, mm: int, address: int) -> int:
    """linear_page_index(vma, address): page->index of what is mapped there, its own number unless it was moved."""
    if m[NR_VMAS] == 0:
        return address
    index = read_once(m, vma_at(m, mm, address))
    return address if index == 0 else index - 1


@helper
def page_to_pfn(m: Words, frame: int) -> int:
    """Page frame number of a frame: unlike for frames 0, 1, ... if pages lie above 4 GiB.

    Then even frames lie from 4 GiB on and odd ones from 8 GiB on, so that the high half of a pte matters
    and most mixtures of two halves name a frame that does not exist.
    """
    number = frame + 1
    if m[ABOVE_4G] == 0:
        return number
    return (number & 0xFFFFF) | ((1 + (frame & 1) + ((number >> 20) << 2)) << 20)


@helper
def pfn_to_page(m: Words, pfn: int) -> int:
    """Frame with that page frame number, or -1 when there is none (pfn_valid)."""
    number = pfn
    if m[ABOVE_4G] != 0:
        number = (pfn & 0xFFFFF) | ((pfn >> 22) << 20)
    frame = number - 1
    if 0 <= frame < m[NR_PAGES] and page_to_pfn(m, frame) == pfn:
        return frame
    return -1


@helper
def mk_pte(m: Words, frame: int, flags: int) -> int:
    """Return a present pte for a frame."""
    return (page_to_pfn(m, frame) << 12) | PRESENT | flags


@helper
def pte_page(m: Words, entry: int) -> int:
    """Frame that a pte names which has a bit of `NAMES_PAGE`, or -1 when there is no such frame."""
    return pfn_to_page(m, entry >> 12)


@helper
def pte_present(entry: int) -> bool:
    """Return whether a pte is present: the bit lies in the low half."""
    return (entry & PRESENT) != 0


@helper
def is_swap_entry(entry: int) -> bool:
    """Return whether a pte names a swap slot, which need not exist."""
    return entry != 0 and (entry & LOW) == 0


@helper
def swp_entry(slot: int) -> int:
    """Return the pte for a swap slot."""
    return (slot + 1) << 32


@helper
def pte_to_slot(entry: int) -> int:
    """Slot that a swap entry names; it need not exist."""
    return (entry >> 32) - 1


@helper
def names_page_as(m: Words, entry: int, bits: int) -> int:
    """Return 1 when a pte has any of these bits and names a page: not the zero page, nor a frame that is not there."""
    if (entry & bits) == 0:
        return 0
    return 1 if pte_page(m, entry) > ZERO_PAGE else 0


@helper
def pte_counted(m: Words, entry: int) -> int:
    """Return 1 when rss counts this pte: neither of the zero page nor of a frame that does not exist.

    It is present, or says that it counts although it is not.
    """
    return names_page_as(m, entry, COUNTS)


@helper
def pte_holds(m: Words, entry: int) -> int:
    """Return 1 when this pte has a part in mapcount and count of its page: present, or it says so."""
    return names_page_as(m, entry, HOLDS_PAGE)


@helper
def pte_anon(m: Words, entry: int) -> int:
    """Return 1 when rss counts this pte and the page does not belong to the file."""
    if pte_counted(m, entry) == 0:
        return 0
    flags = read_once(m, at(m, PAGE_FLAGS, pte_page(m, entry)))
    return 0 if (flags & PG_FILE) != 0 else 1
