"""Linux 4.12 with transparent huge pages, and page tables that khugepaged takes away while faults go on (6.6).

A write to anonymous memory below a pmd entry that is none maps a huge page, where frames are free in a row; any other
fault gets a page table first. A page of the file that is read is mapped from the page cache, with a page table that was
allocated before it was known to be needed (since 9aa1345d66b8, 6.5, it is not taken for granted). A fault looks at the
pte under RCU before it takes the lock, so a table that khugepaged takes away is freed behind a grace period.

MADV_DONTNEED looks at a pmd entry without its lock, under mmap_lock held for read; NUMA balancing, which holds it for
read, too, changes a huge entry without letting it become none (ced108037c2a, 4.12). munmap splits what it does not take
away whole, and frees page tables in which nothing is left; fork splits huge pages, as later kernels do for those that
may be pinned.

On linux_6_8. Parts of two kernels stand side by side: what each of them promises holds with the other.
"""

from __future__ import annotations

from collections.abc import Mapping

from stress.design import Design
from stress.designs import linux_6_8
from stress.designs.linux_6_8 import COUNTER
from stress.designs.parts.counter import Fragment
from stress.designs.parts.operations import FAULTS, ZAPS, Accesses, zap_range
from stress.designs.percpu import ADD
from stress.kernel import (
    filemap,
    huge_memory,
    khugepaged,
    memory,
    page_alloc,
    pgalloc,
    pte_access,
    rmap,
    spinlock,
    tlb,
    vmscan,
)
from stress.kernel.rss import task
from stress.labels import (
    DO_NO_PAGE,
    HUGE_PMD,
    LAST,
    MAPPED,
    NEXT_MM,
    NEXT_PMD,
    NEXT_PTE,
    NOT_CACHED,
    NOT_MAPPED,
    OUT,
    OUT_UNLOCK,
    PMD_PRESENT,
    RACED,
    SKIP,
    SKIP_TABLE,
    SMALL_PAGE,
    SPLIT,
)
from stress.machine_kind import HUGE_PAGES
from stress.program import At, Goto, Program

ORIG_PTE: Fragment = (
    task.rcu_read_lock,
    pgalloc.pte_offset_map_nolock,
    pgalloc.ptep_get_lockless,
    At(SKIP),
    task.rcu_read_unlock,
    pgalloc.pte_unmap,
)
"""handle_pte_fault() of 6.5: the pte is looked at before its lock is taken, in a table that RCU keeps."""

FILEMAP_MAP_PMD: Fragment = (
    pgalloc.if_pmd_none,
    filemap.if_prealloc_pte,
    spinlock.spin_lock,
    huge_memory.if_pmd_still_none,
    pgalloc.mm_inc_nr_ptes,
    filemap.pmd_install,
    At(RACED),
    spinlock.spin_unlock,
    At(PMD_PRESENT),
)
"""filemap_map_pmd(): the page table that was allocated beforehand, where the entry is none."""

FAULT_AROUND: Fragment = (
    filemap.if_fault_around,
    pgalloc.if_pmd_none,
    pgalloc.pte_alloc_prealloc,
    At(PMD_PRESENT),
    filemap.next_uptodate_page,
    *FILEMAP_MAP_PMD,
    spinlock.spin_lock,
    pgalloc.if_page_table,
    pte_access.PTE_NONE,
    COUNTER.inc_rss,
    memory.mk_file_pte,
    pte_access.SET_PTE,
    rmap.page_add_file_rmap,
    tlb.update_mmu_cache,
    spinlock.spin_unlock,
    Goto(MAPPED),
    At(RACED),
    spinlock.spin_unlock,
    page_alloc.page_cache_release,
    At(MAPPED),
    pgalloc.pte_free_prealloc,
    Goto(OUT),
    At(NOT_CACHED),
    pgalloc.pte_free_prealloc,
    At(SKIP),
)
"""do_fault_around(), of one page: a page of the file that is in the page cache."""

DO_HUGE_PMD: Fragment = (
    huge_memory.which_pmd,
    huge_memory.if_transhuge,
    huge_memory.alloc_huge_page,
    huge_memory.pte_alloc_deposit,
    spinlock.spin_lock,
    huge_memory.if_pmd_still_none,
    huge_memory.page_add_new_anon_rmap,
    huge_memory.set_huge_pmd,
    huge_memory.huge_rss_up,
    *ADD,
    huge_memory.huge_anon_rss_up,
    *ADD,
    pgalloc.mm_inc_nr_ptes,
    spinlock.spin_unlock,
    Goto(OUT),
    At(RACED),
    spinlock.spin_unlock,
    huge_memory.pte_free_deposit,
    huge_memory.put_huge_page,
    Goto(OUT),
    At(HUGE_PMD),
    huge_memory.if_protnone,
    spinlock.spin_lock,
    huge_memory.if_pmd_same,
    huge_memory.pmd_modify,
    At(RACED),
    spinlock.spin_unlock,
    Goto(OUT),
)
"""do_huge_pmd_anonymous_page() and do_huge_pmd_numa_page()."""

PTE_ALLOC: Fragment = (
    At(SMALL_PAGE),
    pgalloc.pte_alloc_one,
    spinlock.spin_lock,
    huge_memory.if_pmd_still_none,
    pgalloc.mm_inc_nr_ptes,
    pgalloc.pmd_populate,
    spinlock.spin_unlock,
    Goto(PMD_PRESENT),
    At(RACED),
    spinlock.spin_unlock,
    pgalloc.pte_free,
    At(PMD_PRESENT),
    pgalloc.pte_offset_map,
    huge_memory.pmd_trans_unstable,
)
"""__pte_alloc() and what follows it in handle_mm_fault."""

_ACCESSES = Accesses()
_ZAP_RANGE: Fragment = (spinlock.spin_lock, zap_range(COUNTER, _ACCESSES), spinlock.spin_unlock)


def zap_pmd_range(*, free_tables: bool) -> Program:
    """Return zap_pmd_range over [R_ADDRESS, R_END), table by table.

    ``free_tables``: tables in which nothing is left go (free_pgtables). A kernel does that behind the zap of the whole
    range; nobody else uses the mm meanwhile, or mmap_lock is held for write.
    """
    zap = zap_range(COUNTER, _ACCESSES).replace(memory.next_pte, huge_memory.next_pte_in_table)
    return Program(
        At(NEXT_PMD),
        huge_memory.pmd_to_zap,
        huge_memory.if_whole_table,
        spinlock.spin_lock,
        huge_memory.pmd_trans_huge_lock,
        huge_memory.zap_huge_pmd,
        huge_memory.huge_anon_rss_down,
        ADD,
        COUNTER.sub_freed,
        huge_memory.zap_deposited_table,
        spinlock.spin_unlock,
        huge_memory.put_huge_page,
        Goto(SKIP_TABLE),
        At(RACED),
        spinlock.spin_unlock,
        Goto(PMD_PRESENT),
        At(SPLIT),
        spinlock.spin_lock,
        huge_memory.split_huge_pmd,
        spinlock.spin_unlock,
        At(PMD_PRESENT),
        huge_memory.pmd_none_or_trans_huge,
        spinlock.spin_lock,
        zap,
        (pgalloc.free_pte_range,) if free_tables else (),
        spinlock.spin_unlock,
        At(SKIP_TABLE),
        huge_memory.next_table,
    )


CHANGE_PROT_NUMA = Program(
    memory.mmap_current,
    spinlock.down_read,
    spinlock.spin_lock,
    huge_memory.if_huge_and_accessible,
    huge_memory.pmdp_invalidate,
    huge_memory.set_pmd_protnone,
    At(OUT_UNLOCK),
    spinlock.spin_unlock,
    spinlock.up_read,
)
"""change_prot_numa() of one huge page; ptes are changed under the lock that everybody takes who looks at them."""

COLLAPSE_FILE = Program(
    khugepaged.if_table_of_shared_file,
    At(NEXT_MM),
    vmscan.next_vma,
    spinlock.spin_lock,
    khugepaged.retract_page_table,
    spinlock.spin_unlock,
    pgalloc.pte_free_defer,
    pgalloc.pte_free,
    Goto(SKIP),
    At(NOT_MAPPED),
    spinlock.spin_unlock,
    At(SKIP),
    vmscan.next_mm,
    At(LAST),
)
"""retract_page_tables() of collapse_file(); pages that are still mapped keep their table."""


def _fault(p: Program) -> Program:
    p = p.after(spinlock.down_read, ORIG_PTE, FAULT_AROUND, DO_HUGE_PMD, PTE_ALLOC)
    return p.after(spinlock.spin_lock, pgalloc.if_page_table, within=DO_NO_PAGE)


def _zap(p: Program, *, free_tables: bool) -> Program:
    return p.splice(tuple(Program(*_ZAP_RANGE)), zap_pmd_range(free_tables=free_tables))


def _programs() -> Mapping[str, Program]:
    programs = dict(linux_6_8.DESIGN.programs)
    for name in programs.keys() & set(ZAPS):
        programs[name] = _zap(programs[name], free_tables=True)
    programs["madvise_dontneed"] = _zap(programs["madvise_dontneed"], free_tables=False)
    for name in programs.keys() & set(FAULTS):
        programs[name] = _fault(programs[name])
    programs["fork"] = programs["fork"].after(At(NEXT_PTE), huge_memory.split_huge_pmd, pgalloc.pte_alloc_map_child)
    return {**programs, "change_prot_numa": CHANGE_PROT_NUMA, "collapse_file": COLLAPSE_FILE}


DESIGN = Design(
    name="thp",
    year=2017,
    source="Linux 4.12, mm/huge_memory.c, mm/memory.c; Linux 6.6, mm/filemap.c, mm/khugepaged.c; on linux_6_8",
    summary="huge pages, NUMA balancing of them, and page tables that are allocated and taken away under faults",
    programs=_programs(),
    bound=COUNTER.bound,
    checks=COUNTER.checks,
    counter=COUNTER,
    machine=HUGE_PAGES,
)
