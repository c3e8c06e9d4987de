"""Extra checks for counters that keep part of the count in tasks or CPUs, and for readers that write.

The parts must add up to what the page table says: a bound only says how much may be held back.
"""

from __future__ import annotations

from shm_layout.atomic import read_once
from shm_layout.layout import Layout
from shm_layout.structs import (
    CPU_ANON_RSS,
    CPU_FILE_RSS,
    CPU_SHMEM_RSS,
    GHOST,
    MENDED_ANON_RSS,
    MENDED_RSS,
    MM_ANON_RSS,
    MM_FILE_RSS,
    MM_LOCAL_ANON_RSS,
    MM_LOCAL_RSS,
    MM_RSS,
    MM_SHMEM_RSS,
    MM_SINGLE,
    NR_CPUS,
    NR_MMS,
    NR_PTES,
    TASK_ANON_RSS,
    TASK_MM,
    TASK_RSS,
    at,
    task_struct,
)
from shm_layout.words import Words
from stress.checks import HOLDS, true_anon_rss, true_rss, used_ptes
from stress.kernel.mm_types import NO_MM
from stress.kernel.pgtable import pte_at, pte_counted, pte_page
from stress.kernel.rss.amount import ANON_RSS, FILE_RSS, SHMEM_RSS
from stress.kernel.rss.cached import TASK_RSS_EVENTS_THRESH
from stress.kernel.rss.deferred import MOST
from stress.kernel.rss.kinds import mm_counter
from stress.step import helper

NR_TASKS = task_struct.count


def words_of_cpus(layout: Layout, mm: int) -> list[int]:
    """Return the indices of the words in which CPUs keep counts of an mm: their own, and the nodes of a tree.

    What is left there when the mm is freed is destroyed with it, and is no count that was lost.
    """
    machine = layout.machine
    cpus, nodes = layout.regions["rss_stat"], layout.regions["counter_node"]
    each = nodes.count // machine.mms
    kept = ((cpus, range(mm, cpus.count, machine.mms)), (nodes, range(mm * each, (mm + 1) * each)))
    return [region.index(n, f.name) for region, numbers in kept for n in numbers for f in region.struct.fields]


@helper
def is_true(m: Words, mm: int, rss: int, anon_rss: int) -> bool:
    """Return whether these counts are what the page table of an mm says."""
    return rss == true_rss(m, mm) and anon_rss == true_anon_rss(m, mm)


@helper
def nothing_lost(m: Words) -> int:
    """The counts of an mm and those that its tasks hold are what its page table says; else the first mm where not.

    A task that has ended has no mm and holds nothing: what it still counts is lost. Of an mm that is free no task holds
    anything, and its page table is empty: its counts must have come back to 0.
    """
    for mm in range(m[NR_MMS]):
        rss = read_once(m, at(m, MM_RSS, mm))
        anon_rss = read_once(m, at(m, MM_ANON_RSS, mm))
        for task in range(m[NR_TASKS]):
            if read_once(m, at(m, TASK_MM, task)) == mm:
                rss += read_once(m, at(m, TASK_RSS, task))
                anon_rss += read_once(m, at(m, TASK_ANON_RSS, task))
        if not is_true(m, mm, rss, anon_rss):
            return mm
    return HOLDS


@helper
def first_task_above(m: Words, most: int) -> int:
    """Return the first task that holds more than ``most`` pages of one kind, or less than -most, and has not ended."""
    for task in range(m[NR_TASKS]):
        if read_once(m, at(m, TASK_MM, task)) == NO_MM:
            continue
        held = read_once(m, at(m, TASK_RSS, task))
        anon = read_once(m, at(m, TASK_ANON_RSS, task))
        if max(abs(held), abs(anon)) > most:
            return task
    return HOLDS


@helper
def at_most_16_a_task(m: Words) -> int:
    """deferred_16: no task holds more pages than `stress.kernel.rss.deferred.MOST`; else the first task that does."""
    return first_task_above(m, MOST)


@helper
def at_most_64_a_task(m: Words) -> int:
    """cached: no task holds more than TASK_RSS_EVENTS_THRESH pages; else the first task that does."""
    return first_task_above(m, TASK_RSS_EVENTS_THRESH)


@helper
def made_worse(shown: int, true: int, mended: int) -> bool:
    """Return whether a counter would be nearer to the truth without what readers have added to it."""
    return abs(shown - mended - true) < abs(shown - true)


@helper
def harmed_by_a_read(m: Words) -> int:
    """v11_sloppy: no reader has made a counter worse by setting it to 0; else the first mm where one has.

    What others have lost, because their changes met, is not the reader's fault; a reader that sets to 0 what would stay
    negative mends it. But what is negative only until a fault has counted its page comes right by itself: the reader
    that sets it to 0 adds a page that nobody takes back. Looked at where `GHOST` is set, see `NEED_GHOST`.
    """
    if m[GHOST] == 0:
        return HOLDS
    for mm in range(m[NR_MMS]):
        rss = read_once(m, at(m, MM_RSS, mm))
        anon_rss = read_once(m, at(m, MM_ANON_RSS, mm))
        if made_worse(rss, true_rss(m, mm), m[at(m, MENDED_RSS, mm)]):
            return mm
        if made_worse(anon_rss, true_anon_rss(m, mm), m[at(m, MENDED_ANON_RSS, mm)]):
            return mm
    return HOLDS


NEED_GHOST = frozenset((harmed_by_a_read,))
"""Checks that look at what only a machine with `ghost` keeps; on others they are not made."""


@helper
def true_of_kind(m: Words, mm: int, kind: int) -> int:
    """Return the pages of one kind (`stress.kernel.rss.kinds.mm_counter`) that the ptes of an mm count."""
    pages = 0
    for address in range(used_ptes(m, mm), m[NR_PTES]):
        entry = read_once(m, pte_at(m, mm, address))
        if pte_counted(m, entry) != 0 and mm_counter(m, pte_page(m, entry)) == kind:
            pages += 1
    return pages


@helper
def precise_sum(m: Words, mm: int, central: int, local: int) -> int:
    """Return what an mm has counted in this field of its own, and all CPUs in that field of theirs."""
    pages = read_once(m, at(m, central, mm))
    for cpu in range(m[NR_CPUS]):
        pages += read_once(m, at(m, local, cpu * m[NR_MMS] + mm))
    return pages


@helper
def kinds_are_true(m: Words) -> int:
    """linux_6_16: the precise sum of each kind of page is what the page table says; else the first mm where not."""
    for mm in range(m[NR_MMS]):
        if precise_sum(m, mm, MM_FILE_RSS, CPU_FILE_RSS) != true_of_kind(m, mm, FILE_RSS):
            return mm
        if precise_sum(m, mm, MM_ANON_RSS, CPU_ANON_RSS) != true_of_kind(m, mm, ANON_RSS):
            return mm
        if precise_sum(m, mm, MM_SHMEM_RSS, CPU_SHMEM_RSS) != true_of_kind(m, mm, SHMEM_RSS):
            return mm
    return HOLDS


@helper
def exact_while_single(m: Words) -> int:
    """lazy: the two counts of an mm that has had one task add up to what its page table says; else the first mm.

    Those of an mm that is free and had one task to its end are 0.
    """
    for mm in range(m[NR_MMS]):
        if read_once(m, at(m, MM_SINGLE, mm)) == 0:
            continue
        rss = read_once(m, at(m, MM_RSS, mm)) + read_once(m, at(m, MM_LOCAL_RSS, mm))
        anon_rss = read_once(m, at(m, MM_ANON_RSS, mm))
        anon_rss += read_once(m, at(m, MM_LOCAL_ANON_RSS, mm))
        if not is_true(m, mm, rss, anon_rss):
            return mm
    return HOLDS
