"""Words of the memory as people read them: ptes, flags of pages, semaphores, contents."""

from __future__ import annotations

from collections.abc import Container, Sequence

from shm_layout.layout import Layout
from shm_layout.structs import FIRST_WORD, SHADOWS
from shm_layout.words import Words
from stress.kernel import pgtable
from stress.kernel.huge_memory import PMD_HUGE, PMD_INVALID, PMD_PROTNONE
from stress.kernel.mm_types import MM_EXITING, MM_FREE, NO_MM, PF_BORROWED_MM
from stress.kernel.page_alloc import CONTENT_SHIFT, content_address
from stress.kernel.pgalloc import pmd_page
from stress.kernel.spinlock import WRITER, WRITER_WAITS

_PTE_FLAGS = {"w": pgtable.WRITABLE, "d": pgtable.DIRTY, "y": pgtable.YOUNG}
_ABSENT_FLAGS = {"counted": pgtable.PTE_COUNTS, "held": pgtable.PTE_HOLDS}
_PMD_FLAGS = {"PROT_NONE": PMD_PROTNONE, "invalid": PMD_INVALID}
_PAGE_FLAGS = {
    name.removeprefix("PG_").lower(): getattr(pgtable, name)
    for name in (
        "PG_LRU",
        "PG_ACTIVE",
        "PG_REFERENCED",
        "PG_DIRTY",
        "PG_ANON",
        "PG_SWAPCACHE",
        "PG_FILE",
        "PG_FREE",
        "PG_RESERVED",
        "PG_LOCKED",
        "PG_SWAPBACKED",
    )
}


def pte(m: Words, entry: int) -> str:
    """Format a pte: ``none``, ``frame 1 wdy`` (writable, dirty, young), ``slot 0``, or its halves where it is none.

    Of an entry that names a page and is not present: ``frame 1 w, not present, counted``.
    """
    if entry == 0:
        return "none"
    if entry & pgtable.NAMES_PAGE:
        frame = pgtable.pte_page(m, entry)
        name = "zero page" if frame == pgtable.ZERO_PAGE else f"frame {frame}" if frame > 0 else "no such frame"
        flags = "".join(letter for letter, bit in _PTE_FLAGS.items() if entry & bit)
        high = f" (high half {entry >> 32:#x})" if frame < 0 else ""
        absent = "" if pgtable.pte_present(entry) else ", not present" + "".join(
            f", {word}" for word, bit in _ABSENT_FLAGS.items() if entry & bit
        )
        return f"{name} {flags}".rstrip() + high + absent
    if entry & pgtable.LOW == 0:
        return f"slot {pgtable.pte_to_slot(entry)}"
    return f"low half {entry & pgtable.LOW:#x}, high half {entry >> 32 & pgtable.LOW:#x}"


def _pmd(entry: int) -> str:
    if entry == 0:
        return "none"
    table = f"page table in frame {pmd_page(entry)}"
    if not entry & PMD_HUGE:
        return table
    barred = "".join(f", {name}" for name, bit in _PMD_FLAGS.items() if entry & bit)
    return f"huge page{barred} ({table} put by)"


def _flags(value: int) -> str:
    names = [name for name, bit in _PAGE_FLAGS.items() if value & bit]
    slot = (value >> pgtable.SLOT_SHIFT) - 1
    return "+".join(names + ([f"slot {slot}"] if slot >= 0 else [])) or "0"


def _semaphore(value: int) -> str:
    parts = [name for name, bit in (("writer", WRITER), ("writer waits", WRITER_WAITS)) if value & bit]
    readers = value & (WRITER_WAITS - 1)
    return ", ".join(parts + ([f"{readers} readers"] if readers else [])) or "free"


def _content(value: int) -> str:
    if value == 0:
        return "none"
    return f"page {content_address(value)} version {value & ((1 << CONTENT_SHIFT) - 1)}"


def _users(value: int) -> str:
    return "free" if value == MM_FREE else "exiting" if value == MM_EXITING else str(value - MM_EXITING)


def value(layout: Layout, m: Words, index: int, word: int) -> str:
    """Return the value of one word, by what it is."""
    found = layout.field_at(index)
    if found is None:
        return str(word)
    name = layout.describe(index)
    field, _ = found
    if name.startswith(("pte ", "mmu_cache ")):
        return pte(m, word)
    if name.startswith("prot of "):
        return "read only" if word else "read and write"
    if name.startswith("index of "):
        return "none" if word < 0 else "as at first" if word == 0 else f"page {word - 1}"
    if field.name == "pmd":
        return _pmd(word)
    if name.startswith("page ") and field.name == "flags":
        return _flags(word)
    if field.name in ("content", "written"):
        return _content(word)
    if field.name == "mmap_sem":
        return _semaphore(word)
    if field.name == "mm_users":
        return _users(word)
    if name.startswith("task ") and field.name == "flags":
        return "borrowed mm" if word & PF_BORROWED_MM else "0"
    if name.startswith("task ") and field.name == "mm":
        return "none" if word == NO_MM else str(word)
    if field.holds == "task":
        return f"task {word - 1}" if word else "none"
    return str(word)


def state(layout: Layout, m: Words) -> str:
    """Return all words that are not as in a page that is free, or zero; one line for each instance of a structure."""
    lines = []
    for name, region in layout.regions.items():
        for instance in range(region.count):
            words = [(f.name, region.index(instance, f.name)) for f in region.struct.fields]
            shown = [(f, i) for f, i in words if m[i] != 0 and not (f == "flags" and m[i] == pgtable.PG_FREE)]
            if shown and not (name == "page" and instance == pgtable.ZERO_PAGE):
                title = layout.describe(words[0][1])
                if len(words) == 1:
                    lines.append(f"{title} = {value(layout, m, words[0][1], m[words[0][1]])}")
                else:
                    title = title.removesuffix(f" {words[0][0]}")
                    lines.append(f"{title}: " + ", ".join(f"{f} {value(layout, m, i, m[i])}" for f, i in shown))
    return "\n".join(lines)


Noted = tuple[bool, int, int]
"""An access: whether it is a write, the index of the word, the value."""


class Recording:
    """Memory that notes each access to what a run may change: (index, value read, or None), (index, value written)."""

    def __init__(self, m: list[int]) -> None:
        """Record accesses to ``m``."""
        self.m = m
        self.accesses: list[Noted] = []

    def __getitem__(self, index: int) -> int:
        """Read a word, and note that it was read."""
        word = self.m[index]
        if index >= FIRST_WORD:
            self.accesses.append((False, index, word))
        return word

    def __setitem__(self, index: int, word: int) -> None:
        """Write a word, and note that it was written."""
        self.accesses.append((True, index, word))
        self.m[index] = word


class Registers:
    """Registers that note which of them were read before they were written, and which were written."""

    def __init__(self, r: Words) -> None:
        """Record accesses to ``r``."""
        self.r = r
        self.read: set[int] = set()
        self.written: set[int] = set()

    def __getitem__(self, index: int) -> int:
        """Read, and note it."""
        if index not in self.written:
            self.read.add(index)
        return self.r[index]

    def __setitem__(self, index: int, word: int) -> None:
        """Write, and note it."""
        self.written.add(index)
        self.r[index] = word


def accesses(layout: Layout, m: Words, noted: Sequence[Noted], buffered: Container[int] = ()) -> list[str]:
    """Say what a step wrote, one line for each word; where it wrote nothing, what it read.

    ``buffered``: words that the CPU's store buffer holds a store to.
    """
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for wrote, index, word in noted:
        if layout.describe(index).split()[0] in SHADOWS:
            continue
        if wrote:
            last[index] = word
        elif index not in last:
            first.setdefault(index, word)
    lines = []
    for index, word in last.items():
        new = value(layout, m, index, word)
        old = value(layout, m, index, first[index]) if index in first else None
        waits = ", in its store buffer" if index in buffered else ""
        lines.append(f"{layout.describe(index)}: {new if old in (None, new) else f'{old} -> {new}'}{waits}")
    if not last:
        lines = [f"{layout.describe(index)} is {value(layout, m, index, word)}" for index, word in first.items()]
    return lines
