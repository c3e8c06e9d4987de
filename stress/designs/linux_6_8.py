"""Linux 6.8, as far as the machine has it: the parts in which R01, R02 and R07 were found and mended.

Faults hold the lock of the page table, as in `page_table_lock`, and count per CPU. MADV_DONTNEED takes mmap_lock for
read (since 2.6.23, 0a27a14a6292). do_wp_page reuses a page under the page lock, which it gives back before the lock of
the page table (5.9, be068f29034f). A page that one page table alone names is read in without the swap cache, behind
swapcache_prepare (6.8, 13ddaf26be32). CPUs go offline; the precise sum adds those that are dying, too (6.3,
8b57b11cca88), and check_mm makes it when an mm ends.

page_table_lock stands for the locks of page-table pages, which this machine does not split here. Per-VMA locks, huge
pages and migration are not modelled.
"""

from __future__ import annotations

from dataclasses import replace

from stress.design import Design
from stress.designs.page_table_lock import locked_fault, swap_fault
from stress.designs.parts.counter import Counter, Fragment
from stress.designs.parts.operations import ZAPS, Accesses, operations, zap_range
from stress.designs.percpu import PERCPU
from stress.kernel import (
    cpu_hotplug,
    madvise,
    memory,
    page_alloc,
    page_lock,
    pte_access,
    rmap,
    spinlock,
    swap,
    swap_sync,
    tlb,
)
from stress.kernel import exit as exit_
from stress.kernel.proc import show_statm_positive
from stress.kernel.rss import amount, percpu
from stress.labels import (
    AGAIN,
    COPY,
    DO_WP_PAGE,
    NEXT_CPU,
    NOT_ALONE,
    OUT,
    OUT_UNLOCK,
    RACED,
    SKIP,
    STALE,
    SWAP_CACHED,
)
from stress.program import At, Goto, Program

SUM: Fragment = (
    percpu.spin_lock_counter,
    percpu.sum_central,
    At(NEXT_CPU),
    cpu_hotplug.if_cpu_online_or_dying,
    cpu_hotplug.add_local,
    At(SKIP),
    cpu_hotplug.next_cpu,
    percpu.spin_unlock_counter,
)
"""percpu_counter_sum of one counter."""

PRECISE: Fragment = (
    amount.read_rss,
    *SUM,
    amount.read_anon_rss,
    *SUM,
    amount.both_read,
    show_statm_positive,
)
COUNTER = replace(PERCPU, precise=PRECISE)

CHECK_MM: Fragment = (
    amount.read_rss,
    *SUM,
    cpu_hotplug.check_mm,
    amount.read_anon_rss,
    *SUM,
    cpu_hotplug.check_mm,
    cpu_hotplug.percpu_counter_destroy,
)
"""What follows exit_mmap: both counters are summed, and then they are destroyed."""

UNLOCK_IN_TIME: Fragment = (page_lock.unlock_old_page, Goto(OUT_UNLOCK))
"""do_wp_page, when the page is reused: the page lock goes before the lock of the page table."""

REUSE: Fragment = (
    page_lock.if_wp_anon,
    page_lock.trylock_old_page,
    page_lock.if_only_user,
    memory.mk_reused_pte,
    pte_access.SET_PTE,
    tlb.update_mmu_cache,
    *UNLOCK_IN_TIME,
    At(NOT_ALONE),
    page_lock.unlock_old_page,
    Goto(COPY),
)
_REUSE_OF_2_6: Fragment = (
    memory.can_share_page,
    memory.mk_reused_pte,
    pte_access.SET_PTE,
    tlb.update_mmu_cache,
    At(RACED),
    Goto(OUT_UNLOCK),
)


def swap_fault_6_8(counter: Counter) -> Program:
    """Return do_swap_page. The page is on the LRU behind its mapping: what is added first waits on the CPU's list."""
    return Program(
        swap_sync.swapcache_prepare,
        swap_sync.swap_read_folio,
        spinlock.spin_lock,
        pte_access.PTE_SAME,
        memory.swap_free_entry,
        counter.inc_rss,
        swap_sync.mk_exclusive_pte,
        pte_access.SET_PTE,
        counter.inc_anon_rss,
        rmap.page_add_anon_rmap,
        swap.lru_cache_add_active,
        tlb.update_mmu_cache,
        spinlock.spin_unlock,
        swap_sync.swapcache_clear,
        Goto(OUT),
        At(RACED),
        spinlock.spin_unlock,
        page_alloc.page_cache_release,
        At(STALE),
        swap_sync.swapcache_clear,
        Goto(OUT),
        At(SWAP_CACHED),
        swap_fault(counter),
    )


def _fault(counter: Counter) -> Program:
    p = locked_fault(counter).splice(tuple(Program(_REUSE_OF_2_6)), REUSE, within=DO_WP_PAGE)
    return p.splice(tuple(swap_fault(counter)), swap_fault_6_8(counter))


def programs_of(counter: Counter, check_mm: Fragment) -> dict[str, Program]:
    """Return the operations of this kernel with another way of counting, which ``check_mm`` looks at as an mm ends."""
    accesses = Accesses()
    programs = dict(operations(_fault(counter), counter, accesses))
    programs["madvise_dontneed"] = Program(
        memory.mmap_current,
        spinlock.down_read,
        madvise.madvise_begins,
        spinlock.spin_lock,
        zap_range(counter, accesses),
        spinlock.spin_unlock,
        spinlock.up_read,
        madvise.is_dropped,
    )
    programs["cpu_offline"] = Program(
        cpu_hotplug.set_cpu_offline,
        At(AGAIN),
        cpu_hotplug.percpu_counter_cpu_dead,
        cpu_hotplug.next_counter,
        cpu_hotplug.set_cpu_dead,
        cpu_hotplug.set_cpu_online,
    )
    for name in programs.keys() & set(ZAPS) - {"zap"}:
        programs[name] = programs[name].before(exit_.free_mm, check_mm)
    return programs


DESIGN = Design(
    name="linux_6_8",
    year=2024,
    source="Linux 6.8, mm/memory.c, mm/madvise.c, lib/percpu_counter.c",
    summary="MADV_DONTNEED under mmap_lock for read, the page lock, swap-in without a cache, CPUs that go offline",
    programs=programs_of(COUNTER, CHECK_MM),
    bound=COUNTER.bound,
    checks=COUNTER.checks,
    counter=COUNTER,
)
