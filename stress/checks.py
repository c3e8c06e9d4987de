"""The checks: what must hold of a design, one function each.

Three kinds. What a step sees broken the moment it happens is a bit of register R_OOPS (`stress.kernel.bug`). What a
read shows is compared with the truth during the read by the engines. What must hold *at rest*, when no
operation is under way, is a function here: of the memory ``m`` alone, or of ``m`` and scratch words ``w``, one for
each frame at least, whatever they hold at first. It returns `HOLDS`, or the number of what breaks it. All are
plain Python and are compiled by the engines together with the steps.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shm_layout.atomic import read_once
from shm_layout.layout import Layout
from shm_layout.structs import (
    AREA_LOCK,
    AREA_MM,
    CPU_RCU,
    FILE_PAGE,
    GHOST,
    MM_NR_PTES,
    MM_PAGE_TABLE_LOCK,
    MM_USERS,
    MMU,
    NR_ALL_PTES,
    NR_AREAS,
    NR_CPUS,
    NR_FILE,
    NR_MMS,
    NR_PAGES,
    NR_PMDS,
    NR_PTES,
    NR_SWAP,
    PAGE_COUNT,
    PAGE_FLAGS,
    PAGE_MAPCOUNT,
    PMD,
    PTRS_PER_PTE,
    SWAP_COUNT,
    SWAP_PAGE,
    at,
)
from shm_layout.words import Words
from stress.design import Design
from stress.kernel import bug
from stress.kernel.memory import content_behind, written_at
from stress.kernel.mm_types import MM_FREE
from stress.kernel.pgalloc import pmd_at, pmd_page, table_ends, table_is_empty
from stress.kernel.pgtable import (
    PG_FREE,
    WRITABLE,
    first_page,
    is_swap_entry,
    pte_anon,
    pte_at,
    pte_counted,
    pte_holds,
    pte_page,
    pte_present,
    pte_to_slot,
)
from stress.kernel.rss.ptlock_split import pte_lockptr
from stress.kernel.spinlock import sem_is_free
from stress.kernel.tlb import mmu_at
from stress.step import helper

HOLDS = -1
"""Returned by a check that holds."""


@helper
def used_ptes(m: Words, mm: int) -> int:
    """Return the first virtual page of an mm; one past the last for an mm that is free, since it has no page table."""
    return m[NR_PTES] if read_once(m, at(m, MM_USERS, mm)) == MM_FREE else first_page(m, mm)


@helper
def true_rss(m: Words, mm: int) -> int:
    """Return the pages that rss of an mm ought to say: its counted ptes. An mm that is free has none."""
    pages = 0
    for address in range(used_ptes(m, mm), m[NR_PTES]):
        pages += pte_counted(m, read_once(m, pte_at(m, mm, address)))
    return pages


@helper
def true_anon_rss(m: Words, mm: int) -> int:
    """Return the pages that anon_rss of an mm ought to say: its counted ptes that map no page of the file."""
    pages = 0
    for address in range(used_ptes(m, mm), m[NR_PTES]):
        pages += pte_anon(m, read_once(m, pte_at(m, mm, address)))
    return pages


@helper
def count_mappings(m: Words, w: Words) -> None:
    """Add to ``w[frame]`` the ptes that hold a page: present ones, and those that say so."""
    for mm in range(m[NR_MMS]):
        for address in range(used_ptes(m, mm), m[NR_PTES]):
            entry = read_once(m, pte_at(m, mm, address))
            if pte_holds(m, entry) != 0:
                w[pte_page(m, entry)] += 1


@helper
def mapcount(m: Words, w: Words) -> int:
    """The mapcount of every page equals the ptes of mms in use that map it; else the first frame where not."""
    for frame in range(m[NR_PAGES]):
        w[frame] = 0
    count_mappings(m, w)
    for frame in range(1, m[NR_PAGES]):
        if read_once(m, at(m, PAGE_MAPCOUNT, frame)) != w[frame]:
            return frame
    return HOLDS


@helper
def page_refs(m: Words, w: Words) -> int:
    """Every reference of a page is a pte, the page cache's or the swap cache's, and a page with none is free.

    Else the first frame that is leaked, freed while it is used or before it was put on the LRU, or counted
    wrongly; after the last frame come the swap slots, whose references are swap entries and the swap cache's. Where a
    design declares `holders`, what they hold is added between `known_refs` and `wrong_refs`.
    """
    known_refs(m, w)
    return wrong_refs(m, w)


@helper
def known_refs(m: Words, w: Words) -> None:
    """Set ``w[frame]`` to the references of a page that any machine has: ptes, the caches, pmd entries."""
    for frame in range(m[NR_PAGES]):
        w[frame] = 0
    count_mappings(m, w)
    for page in range(m[NR_FILE]):
        w[read_once(m, at(m, FILE_PAGE, page))] += 1
    for slot in range(m[NR_SWAP]):
        w[read_once(m, at(m, SWAP_PAGE, slot))] += 1
    for pmd in range(m[NR_PMDS]):
        w[pmd_page(read_once(m, at(m, PMD, pmd)))] += 1


@helper
def wrong_refs(m: Words, w: Words) -> int:
    """Hold the count of every page against ``w[frame]``, the references found, and then the swap slots: `page_refs`."""
    for frame in range(1, m[NR_PAGES]):
        flags = read_once(m, at(m, PAGE_FLAGS, frame))
        # exactly PG_FREE: with PG_LRU too, the page was put on the LRU after it was freed
        kept = (flags & PG_FREE) == 0 if w[frame] != 0 else flags == PG_FREE
        if read_once(m, at(m, PAGE_COUNT, frame)) != w[frame] or not kept:
            return frame
    slot = slot_refs(m, w)
    return HOLDS if slot == HOLDS else m[NR_PAGES] + slot


@helper
def slot_refs(m: Words, w: Words) -> int:
    """The references of every swap slot are swap entries and the swap cache's; else the first slot where not.

    There are no more slots than frames (`Machine`), so the scratch words suffice.
    """
    for slot in range(m[NR_SWAP]):
        w[slot] = 0 if read_once(m, at(m, SWAP_PAGE, slot)) == 0 else 1
    for mm in range(m[NR_MMS]):
        for address in range(used_ptes(m, mm), m[NR_PTES]):
            entry = read_once(m, pte_at(m, mm, address))
            if is_swap_entry(entry) and 0 <= pte_to_slot(entry) < m[NR_SWAP]:
                w[pte_to_slot(entry)] += 1
    for slot in range(m[NR_SWAP]):
        if read_once(m, at(m, SWAP_COUNT, slot)) != w[slot]:
            return slot
    return HOLDS


@helper
def page_tables(m: Words) -> int:
    """mm->nr_ptes is the number of page tables that the mm's pmd entries name, and no pte is set without a table.

    Else the first mm where not; one that is free has no page tables.
    """
    if m[NR_PMDS] == 0:
        return HOLDS
    for mm in range(m[NR_MMS]):
        tables = 0
        used = read_once(m, at(m, MM_USERS, mm)) != MM_FREE
        address = first_page(m, mm)
        while address < m[NR_PTES]:
            if read_once(m, pmd_at(m, mm, address)) != 0:
                tables += 1
            elif used and not table_is_empty(m, mm, address):
                return mm
            address = table_ends(m, address)
        if read_once(m, at(m, MM_NR_PTES, mm)) != tables or (tables != 0 and not used):
            return mm
    return HOLDS


@helper
def mmu_cache(m: Words) -> int:
    """No CPU's MMU cache holds a translation whose pte is gone, or allows a write that the pte does not.

    Else the first CPU that does.
    """
    if m[MMU] == 0:
        return HOLDS
    for cpu in range(m[NR_CPUS]):
        for mm in range(m[NR_MMS]):
            for address in range(first_page(m, mm), m[NR_PTES]):
                cached = read_once(m, mmu_at(m, cpu, mm, address))
                entry = read_once(m, pte_at(m, mm, address))
                if cached == 0:
                    continue
                if not pte_present(entry) or pte_page(m, cached) != pte_page(m, entry):
                    return cpu
                if (cached & WRITABLE) != 0 and (entry & WRITABLE) == 0:
                    return cpu
    return HOLDS


@helper
def data_kept(m: Words) -> int:
    """What the user wrote last to a virtual page is still where its pte leads; else the first pte where not."""
    if m[GHOST] == 0:
        return HOLDS
    for pte in range(m[NR_ALL_PTES]):
        written = m[written_at(m, 0, pte)]
        if written > 0 and content_behind(m, read_once(m, pte_at(m, 0, pte))) != written:
            return pte
    return HOLDS


@helper
def locks_free(m: Words) -> int:
    """At rest nobody holds page_table_lock, mmap_sem, a VMA's or a page-table page's lock; else the first mm.

    After the last mm come the CPUs: none is left between rcu_read_lock and rcu_read_unlock.
    """
    for mm in range(m[NR_MMS]):
        if read_once(m, at(m, MM_PAGE_TABLE_LOCK, mm)) != 0:
            return mm
        if not sem_is_free(m, mm):
            return mm
        for table in range(first_page(m, mm) // m[PTRS_PER_PTE], (m[NR_PTES] - 1) // m[PTRS_PER_PTE] + 1):
            if read_once(m, pte_lockptr(m, mm, table * m[PTRS_PER_PTE])) != 0:
                return mm
    for area in range(m[NR_AREAS]):
        if read_once(m, at(m, AREA_LOCK, area)) != 0:
            return max(read_once(m, at(m, AREA_MM, area)) - 1, 0)
    for cpu in range(m[NR_CPUS]):
        if read_once(m, at(m, CPU_RCU, cpu)) != 0:
            return m[NR_MMS] + cpu
    return HOLDS


@helper
def counter_wrong(shown: int, low: int, high: int, bound: int) -> bool:
    """Check `read_regular`: a counter that a read shows lies outside of ``low`` to ``high``, or is negative.

    ``bound``: how far it may be off beyond that, pages; -1 for a design that promises nothing.
    """
    return shown < 0 or (bound >= 0 and (shown < low - bound or shown > high + bound))


@helper
def pair_wrong(shown: int, low: int, high: int, bound: int) -> bool:
    """Check `read_pair`: rss - anon_rss as a read shows it lies outside of ``low`` to ``high``.

    Each of two counters may be off by the bound. The interval is wider by one for each operation under way and may
    begin below 0; the difference may not be negative where there is no bound.
    """
    if bound < 0:
        return shown < 0
    return shown < low - 2 * bound or shown > high + 2 * bound


def _numbered(noun: str) -> Callable[[Layout, int], str]:
    return lambda layout, number: f"{noun} {number}"


_number = _numbered("number")


def _frame_or_slot(layout: Layout, number: int) -> str:
    frames = layout.machine.frames
    return f"frame {number}" if number < frames else f"swap slot {number - frames}"


def _written_page(layout: Layout, number: int) -> str:
    mm, page = layout.mm_and_page(number)
    return f"page {page} of mm {mm}"


def _lock(layout: Layout, number: int) -> str:
    mms = layout.machine.mms
    return f"a lock is held in mm {number}" if number < mms else f"CPU {number - mms} is still in rcu_read_lock"


@dataclass(frozen=True)
class Check:
    """One check: its name, and in a sentence what holds."""

    name: str
    holds: str
    oops: int = 0
    """Bits of R_OOPS that break it: a step saw it (`stress.kernel.bug`)."""
    at_rest: Callable[..., int] | None = None
    """The function of the state at rest: `HOLDS`, or the number of what is wrong."""
    what: Callable[[Layout, int], str] = _number
    """What that number stands for, in words: "frame 3"."""
    goes_on: bool = False
    """Whether a path goes on after it broke: a figure was wrong. After any other the kernel stops, or would."""


CHECKS: dict[str, Check] = {
    c.name: c
    for c in (
        Check(
            "rss_exact",
            "at rest, one get_rss pass returns the number of counted ptes, and for an mm that ends 0",
            bug.RSS_STAT,
        ),
        Check("anon_rss_exact", "at rest, one get_rss pass returns the number of anonymous ones"),
        Check("rss_bounded", "at rest, an approximate counter is within the bound that its design declares"),
        Check(
            "read_regular",
            "what a read shows lies between the least and the greatest true value during it",
            goes_on=True,
        ),
        Check("read_pair", "what one read shows for rss - anon_rss lies in the interval for file pages", goes_on=True),
        Check(
            "mapcount",
            "never below zero; at rest equal to the ptes that map the page",
            bug.MAPCOUNT,
            mapcount,
            _numbered("frame"),
        ),
        Check(
            "page_refs",
            "no page or swap slot is freed while used, freed twice, or leaked",
            bug.PAGE_REFS | bug.SWAP_REFS,
            page_refs,
            _frame_or_slot,
        ),
        Check(
            "page_tables",
            "nr_ptes counts an mm's page tables, and no pte is set, and no table freed, without one",
            bug.PAGE_TABLES,
            page_tables,
            _numbered("mm"),
        ),
        Check("pfn_valid", "no fault acts on an entry whose page frame does not exist", bug.PFN_VALID),
        Check("data_kept", "what the user wrote is still there", 0, data_kept, _written_page),
        Check("mmu_cache", "no CPU's MMU cache holds a translation whose pte is gone", 0, mmu_cache, _numbered("CPU")),
        Check("tlb", "no page is freed or given out, and no munmap returns, while some CPU's TLB maps it", bug.TLB),
        Check("dropped", "what munmap and MADV_DONTNEED were told to drop is gone when they return", bug.DROPPED),
        Check("owner", "a count lands on the mm whose page it is", bug.OWNER, goes_on=True),
        Check("progress", "no deadlock, no lock kept, no operation that can never finish", 0, locks_free, _lock),
        Check("user", "the checks that a design brings along", bug.USER),
    )
}
"""All checks by name, in the order in which they are printed."""


def takes_registers(holder: Callable[..., Any]) -> bool:
    """Return whether a holder takes ``m``, ``r`` and ``w`` and is called for each CPU, or else ``m`` and ``w``."""
    return len(inspect.signature(holder).parameters) == 3


def takes_scratch(check: Callable[..., int]) -> bool:
    """Return whether a check at rest is a function of ``m`` and of scratch words, not of ``m`` alone."""
    return len(inspect.signature(check).parameters) == 2


AT_REST = {c.name: c.at_rest for c in CHECKS.values() if c.at_rest is not None}
"""The functions of the state at rest, by the check that they belong to."""


def oops_names(bits: int) -> list[str]:
    """Return the names of the checks that these bits of R_OOPS break."""
    return [c.name for c in CHECKS.values() if c.oops & bits]


def check_functions(design: Design) -> list[tuple[str, Callable[..., int]]]:
    """Return the checks at rest of a design, each with the name of its verdict: the general ones, then its own."""
    return [*AT_REST.items(), *(("user", function) for function in design.checks)]
