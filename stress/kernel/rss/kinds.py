"""Three counters for three kinds of page: MM_FILEPAGES, MM_ANONPAGES, MM_SHMEMPAGES (include/linux/mm.h since 4.5).

What an mm has of a kind is counted apart, and rss is the sum. A page of the shared mapping is one of shared memory
(PageSwapBacked, of the page cache), one of the private mapping is of a file, until it is copied. Which kind a page is
does not change while an operation holds it, so looking at it is no access that could meet another CPU's.

A zap counts on its own stack, rss[NR_MM_COUNTERS], until it ends (add_mm_rss_vec): here in R_ANON_RSS, R_RSS (shared
memory) and R_FREED (all pages). A read adds up in R_RSS.
"""

from __future__ import annotations

from shm_layout.atomic import read_once, store, write_once
from shm_layout.registers import (
    R_AMOUNT,
    R_ANON_RSS,
    R_CHILD,
    R_COUNTED_MM,
    R_FREED,
    R_MEMBER,
    R_MM,
    R_OLD_PAGE,
    R_PAGE,
    R_RSS,
)
from shm_layout.structs import (
    CPU_ANON_RSS,
    CPU_FILE_RSS,
    CPU_SHMEM_RSS,
    MM_ANON_RSS,
    MM_ANON_RSS_LOCK,
    MM_FILE_RSS,
    MM_FILE_RSS_LOCK,
    MM_SHMEM_RSS,
    MM_SHMEM_RSS_LOCK,
    NR_CPUS,
    NR_MMS,
    PAGE_FLAGS,
    at,
)
from shm_layout.words import Words
from stress.kernel.pgtable import PG_FILE, PG_SWAPBACKED
from stress.kernel.rss.amount import ANON_RSS, FILE_RSS, SHMEM_RSS, counted, set_amount
from stress.labels import AGAIN, COUNTED, FILE_COUNTED
from stress.step import NEXT, helper, step


@helper
def mm_counter(m: Words, frame: int) -> int:
    """mm_counter(page): which counter a page belongs to."""
    flags = m[at(m, PAGE_FLAGS, frame)]
    if (flags & PG_FILE) == 0:
        return ANON_RSS
    return SHMEM_RSS if (flags & PG_SWAPBACKED) != 0 else FILE_RSS


@helper
def count_file(m: Words, r: Words, mm: int, frame: int, amount: int) -> bool:
    """Say what is counted, and whether it is: an anonymous page is counted where it is found anonymous."""
    set_amount(r, mm, mm_counter(m, frame), amount)
    return r[R_MEMBER] != ANON_RSS


@step(private=True)
def mm_counter_file_up(m: Words, r: Words) -> int:
    """inc_mm_counter(mm, mm_counter_file(page)); to `file_counted` for an anonymous page."""
    return NEXT if count_file(m, r, r[R_MM], r[R_PAGE], 1) else FILE_COUNTED


@step(private=True)
def mm_counter_file_down(m: Words, r: Words) -> int:
    """dec_mm_counter(mm, mm_counter_file(page)); to `file_counted` for an anonymous page."""
    return NEXT if count_file(m, r, r[R_MM], r[R_PAGE], -1) else FILE_COUNTED


@step(private=True)
def old_mm_counter_file_down(m: Words, r: Words) -> int:
    """do_wp_page lets go of a page that is not anonymous; to `file_counted` for any other."""
    return NEXT if count_file(m, r, r[R_MM], r[R_OLD_PAGE], -1) else FILE_COUNTED


@step(private=True)
def child_mm_counter_file_up(m: Words, r: Words) -> int:
    """Fork copies the pte of a page that is not anonymous; to `file_counted` for any other."""
    return NEXT if count_file(m, r, r[R_CHILD], r[R_PAGE], 1) else FILE_COUNTED


# zaps


@step(private=True)
def init_rss_vec(m: Words, r: Words) -> int:
    """init_rss_vec(rss): a zap has met no page yet."""
    r[R_ANON_RSS] = 0
    r[R_RSS] = 0
    return NEXT


@step(private=True)
def rss_vec_down(m: Words, r: Words) -> int:
    """zap_present_ptes: rss[mm_counter(page)]--, while the page is still held; `count_freed` counts all kinds."""
    kind = mm_counter(m, r[R_PAGE])
    r[R_ANON_RSS] = r[R_ANON_RSS] + (kind == ANON_RSS)
    r[R_RSS] = r[R_RSS] + (kind == SHMEM_RSS)
    return NEXT


@step(private=True)
def rss_vec_anon(m: Words, r: Words) -> int:
    """A zap that met anonymous pages alone: all that it freed."""
    r[R_ANON_RSS] = r[R_FREED]
    r[R_RSS] = 0
    return NEXT


@helper
def add_rss_vec(r: Words, member: int, pages: int) -> bool:
    """add_mm_rss_vec(mm, rss): if (rss[i]) add_mm_counter(mm, i, rss[i])."""
    set_amount(r, r[R_MM], member, -pages)
    return pages != 0


@step(private=True)
def file_freed(m: Words, r: Words) -> int:
    """add_mm_rss_vec(): pages of files; to `counted` where none went."""
    return NEXT if add_rss_vec(r, FILE_RSS, r[R_FREED] - r[R_ANON_RSS] - r[R_RSS]) else COUNTED


@step(private=True)
def anon_freed(m: Words, r: Words) -> int:
    """add_mm_rss_vec(): anonymous pages; to `counted` where none went."""
    return NEXT if add_rss_vec(r, ANON_RSS, r[R_ANON_RSS]) else COUNTED


@step(private=True)
def shmem_freed(m: Words, r: Words) -> int:
    """add_mm_rss_vec(): pages of shared memory; to `counted` where none went."""
    return NEXT if add_rss_vec(r, SHMEM_RSS, r[R_RSS]) else COUNTED


# reads


@step(private=True)
def no_sum(m: Words, r: Words) -> int:
    """A read begins to add up."""
    r[R_RSS] = 0
    return NEXT


@step(private=True)
def of_file(m: Words, r: Words) -> int:
    """What follows reads MM_FILEPAGES of mm R_MM."""
    set_amount(r, r[R_MM], FILE_RSS, 0)
    return NEXT


@step(private=True)
def of_anon(m: Words, r: Words) -> int:
    """What follows reads MM_ANONPAGES."""
    set_amount(r, r[R_MM], ANON_RSS, 0)
    return NEXT


@step(private=True)
def of_shmem(m: Words, r: Words) -> int:
    """What follows reads MM_SHMEMPAGES."""
    set_amount(r, r[R_MM], SHMEM_RSS, 0)
    return NEXT


@step
def percpu_counter_read(m: Words, r: Words) -> int:
    """percpu_counter_read(fbc): what is central, without a lock."""
    r[R_AMOUNT] = read_once(m, counted(m, r))
    return NEXT


@step(private=True)
def add_positive(m: Words, r: Words) -> int:
    """..._positive(): a negative count is shown as 0; what one read shows is the sum of its counters."""
    shown = max(r[R_AMOUNT], 0)
    r[R_RSS] = r[R_RSS] + shown
    if r[R_MEMBER] == ANON_RSS:
        r[R_ANON_RSS] = shown
    return NEXT


# an mm begins and ends, and CPUs go offline


@step
def percpu_counters_init(m: Words, r: Words) -> int:
    """percpu_counter_init_many(): nothing is counted on the child, which nobody else can see yet."""
    store(m, at(m, MM_FILE_RSS_LOCK, r[R_CHILD]), 0)
    store(m, at(m, MM_ANON_RSS_LOCK, r[R_CHILD]), 0)
    store(m, at(m, MM_SHMEM_RSS_LOCK, r[R_CHILD]), 0)
    clear_counts(m, r[R_CHILD])
    return NEXT


@helper
def clear_counts(m: Words, mm: int) -> None:
    """Set what is counted on an mm, and what the CPUs hold of it, to 0."""
    write_once(m, at(m, MM_FILE_RSS, mm), 0)
    write_once(m, at(m, MM_ANON_RSS, mm), 0)
    write_once(m, at(m, MM_SHMEM_RSS, mm), 0)
    for cpu in range(m[NR_CPUS]):
        write_once(m, at(m, CPU_FILE_RSS, cpu * m[NR_MMS] + mm), 0)
        write_once(m, at(m, CPU_ANON_RSS, cpu * m[NR_MMS] + mm), 0)
        write_once(m, at(m, CPU_SHMEM_RSS, cpu * m[NR_MMS] + mm), 0)


@step(whole="percpu_counters_lock")
def percpu_counters_destroy(m: Words, r: Words) -> int:
    """percpu_counter_destroy_many(): the counters of mm R_MM leave the list, and their counts, whose sums are 0, go."""
    clear_counts(m, r[R_MM])
    return NEXT


@step(private=True)
def first_counter(m: Words, r: Words) -> int:
    """list_for_each_entry(fbc, &percpu_counters, list): MM_FILEPAGES of mm 0."""
    set_amount(r, 0, FILE_RSS, 0)
    return NEXT


@step(private=True)
def next_counter(m: Words, r: Words) -> int:
    """The next counter of the list: back to `again` until all have been seen."""
    if r[R_MEMBER] == FILE_RSS:
        r[R_MEMBER] = ANON_RSS
    elif r[R_MEMBER] == ANON_RSS:
        r[R_MEMBER] = SHMEM_RSS
    else:
        r[R_MEMBER] = FILE_RSS
        r[R_COUNTED_MM] = r[R_COUNTED_MM] + 1
    return AGAIN if r[R_COUNTED_MM] < m[NR_MMS] else NEXT
