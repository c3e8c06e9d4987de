"""Huge pages of anonymous memory (mm/huge_memory.c; zap_pmd_range of mm/memory.c): one pmd entry maps a whole table.

A huge page has a frame for each page of a table, one after the other. Its pmd entry names the page table that was
deposited for it, with flag `PMD_HUGE`. The ptes of that table say what a split would make of them, so that what counts
pages, and follows their data, finds them where it always does; no access of the kernel's goes through them. They allow
no store while the entry does not. Their lock is page_table_lock, which stands for that of the pmd. Huge pages are not
on the LRU before they are split, and are never loaded into a TLB.
"""

from __future__ import annotations

from shm_layout.atomic import fetch_or, load, read_once, store, write_once, xchg
from shm_layout.registers import (
    R_ADDRESS,
    R_END,
    R_ENTRY,
    R_FREED,
    R_MM,
    R_NEW,
    R_PAGE,
    R_WRITE,
)
from shm_layout.structs import (
    ANON_END,
    GHOST,
    PAGE_FLAGS,
    PAGE_MAPCOUNT,
    PTRS_PER_PTE,
    at,
)
from shm_layout.words import Words
from stress.kernel.account import ANON_PAGE, NO_PAGE, note
from stress.kernel.bug import PAGE_REFS, oops
from stress.kernel.memory import written_at
from stress.kernel.page_alloc import alloc_page, alloc_pages, put_page
from stress.kernel.pgalloc import count_table, is_table, mk_pmd, pmd_at, pmd_page, table_begins, table_ends
from stress.kernel.pgtable import DIRTY, PG_ANON, PG_LRU, WRITABLE, YOUNG, mk_pte, pte_at, pte_page
from stress.kernel.rmap import remove_rmap
from stress.kernel.rss.amount import ANON_RSS, RSS, set_amount
from stress.labels import (
    HUGE_PMD,
    NEXT_PMD,
    NEXT_PTE,
    OUT,
    OUT_UNLOCK,
    PMD_PRESENT,
    RACED,
    SKIP_TABLE,
    SMALL_PAGE,
    SPLIT,
)
from stress.step import NEXT, helper, step

PMD_HUGE = 2
"""Flag of a pmd entry: it maps a huge page, and the table is put by."""
PMD_PROTNONE = 4
"""The next access faults, so that the kernel sees which node it comes from."""
PMD_INVALID = 8
"""The processor does not use the entry, and it is not none (pmdp_invalidate)."""


@helper
def pmd_trans_huge(entry: int) -> bool:
    """Whether a pmd entry maps a huge page."""
    return (entry & PMD_HUGE) != 0


@helper
def set_pmd(m: Words, r: Words, entry: int) -> None:
    """Set the entry of a huge page, and let its ptes allow stores where the entry does."""
    store(m, pmd_at(m, r[R_MM], r[R_ADDRESS]), entry)
    usable = entry != 0 and (entry & (PMD_PROTNONE | PMD_INVALID)) == 0
    for page in range(table_begins(m, r[R_MM], r[R_ADDRESS]), table_ends(m, r[R_ADDRESS])):
        pte = pte_at(m, r[R_MM], page)
        was = read_once(m, pte)
        write_once(m, pte, was | WRITABLE if usable else was & ~WRITABLE)


# the way of a fault


@step
def which_pmd(m: Words, r: Words) -> int:
    """pmd = *pmd: none goes on, one that maps a huge page goes to `huge_pmd`, a page table to `pmd_present`."""
    r[R_ENTRY] = load(m, pmd_at(m, r[R_MM], r[R_ADDRESS]))
    if r[R_ENTRY] == 0:
        return NEXT
    return HUGE_PMD if pmd_trans_huge(r[R_ENTRY]) else PMD_PRESENT


@step(private=True)
def if_transhuge(m: Words, r: Words) -> int:
    """transparent_hugepage_enabled(vma): a write to memory that is anonymous as far as the table goes."""
    ends = table_ends(m, r[R_ADDRESS])
    whole = ends - table_begins(m, r[R_MM], r[R_ADDRESS]) == m[PTRS_PER_PTE] and ends <= m[ANON_END]
    return NEXT if whole and r[R_WRITE] != 0 else SMALL_PAGE


@step(whole="zone->lock")
def alloc_huge_page(m: Words, r: Words) -> int:
    """alloc_hugepage_vma(): cleared frames that follow one another; to `small_page` where there are none."""
    r[R_PAGE] = alloc_pages(m, r, table_begins(m, r[R_MM], r[R_ADDRESS]), m[PTRS_PER_PTE])
    return NEXT if r[R_PAGE] >= 0 else SMALL_PAGE


@helper
def put_huge(m: Words, r: Words) -> None:
    """Give back all frames of a huge page."""
    for frame in range(r[R_PAGE], r[R_PAGE] + m[PTRS_PER_PTE]):
        put_page(m, r, frame)


@step(whole="zone->lock")
def put_huge_page(m: Words, r: Words) -> int:
    """put_page(page): the whole huge page is given back."""
    put_huge(m, r)
    return NEXT


@step(whole="zone->lock")
def pte_alloc_deposit(m: Words, r: Words) -> int:
    """pgtable = pte_alloc_one(): the table that a huge page puts by, in R_NEW; without memory to `out`."""
    r[R_NEW] = alloc_page(m, r, 0, 1)
    if r[R_NEW] >= 0:
        return NEXT
    put_huge(m, r)
    return OUT


@step(whole="zone->lock")
def pte_free_deposit(m: Words, r: Words) -> int:
    """pte_free(mm, pgtable)."""
    put_page(m, r, r[R_NEW])
    return NEXT


@step
def if_pmd_still_none(m: Words, r: Words) -> int:
    """if (unlikely(!pmd_none(*pmd))), with the lock held: to `raced`."""
    return NEXT if load(m, pmd_at(m, r[R_MM], r[R_ADDRESS])) == 0 else RACED


@step(whole="nobody else can find the pages")
def page_add_new_anon_rmap(m: Words, r: Words) -> int:
    """page_add_new_anon_rmap(page, compound): anonymous, and mapped once."""
    for frame in range(r[R_PAGE], r[R_PAGE] + m[PTRS_PER_PTE]):
        fetch_or(m, at(m, PAGE_FLAGS, frame), PG_ANON)
        write_once(m, at(m, PAGE_MAPCOUNT, frame), 1)
    return NEXT


@step(whole="page_table_lock: nobody looks at the ptes below a huge page")
def set_huge_pmd(m: Words, r: Words) -> int:
    """pgtable_trans_huge_deposit(); set_pmd_at(): the huge page R_PAGE is mapped, its table is the one in R_NEW."""
    frame = r[R_PAGE]
    for page in range(table_begins(m, r[R_MM], r[R_ADDRESS]), table_ends(m, r[R_ADDRESS])):
        entry = mk_pte(m, frame, WRITABLE | DIRTY | YOUNG)
        note(m, r, r[R_MM], 0, entry, ANON_PAGE)
        write_once(m, pte_at(m, r[R_MM], page), entry)
        frame += 1
    set_pmd(m, r, mk_pmd(r[R_NEW], PMD_HUGE))
    return NEXT


@step(private=True)
def huge_rss_up(m: Words, r: Words) -> int:
    """add_mm_counter(mm, HPAGE_PMD_NR): a huge page more in rss."""
    set_amount(r, r[R_MM], RSS, m[PTRS_PER_PTE])
    return NEXT


@step(private=True)
def huge_anon_rss_up(m: Words, r: Words) -> int:
    """The same in anon_rss."""
    set_amount(r, r[R_MM], ANON_RSS, m[PTRS_PER_PTE])
    return NEXT


@step(private=True)
def huge_anon_rss_down(m: Words, r: Words) -> int:
    """A huge page less in anon_rss; rss goes with what the zap freed."""
    set_amount(r, r[R_MM], ANON_RSS, -m[PTRS_PER_PTE])
    return NEXT


@step(private=True)
def if_protnone(m: Words, r: Words) -> int:
    """do_huge_pmd_numa_page() where the entry that was read is one for NUMA balancing; else to `out`."""
    return NEXT if (r[R_ENTRY] & PMD_PROTNONE) != 0 else OUT


@step
def if_pmd_same(m: Words, r: Words) -> int:
    """if (unlikely(!pmd_same(pmd, *vmf->pmd))): to `raced`."""
    return NEXT if load(m, pmd_at(m, r[R_MM], r[R_ADDRESS])) == r[R_ENTRY] else RACED


@step(whole="page_table_lock: nobody looks at the ptes below a huge page")
def pmd_modify(m: Words, r: Words) -> int:
    """do_huge_pmd_numa_page(): pmd_modify(pmd, vma->vm_page_prot), and the access can be made."""
    set_pmd(m, r, r[R_ENTRY] & ~PMD_PROTNONE)
    return NEXT


@step
def pmd_trans_unstable(m: Words, r: Words) -> int:
    """if (pmd_trans_unstable(pmd)) return 0: unless the entry is a page table the fault is tried again, `out`."""
    return NEXT if is_table(load(m, pmd_at(m, r[R_MM], r[R_ADDRESS]))) else OUT


# zap_pmd_range


@step
def pmd_to_zap(m: Words, r: Words) -> int:
    """zap_pmd_range: a look without the lock; none to `skip_table`, a page table to `pmd_present`."""
    entry = load(m, pmd_at(m, r[R_MM], r[R_ADDRESS]))
    if entry == 0:
        return SKIP_TABLE
    return NEXT if pmd_trans_huge(entry) else PMD_PRESENT


@step(private=True)
def if_whole_table(m: Words, r: Words) -> int:
    """if (next - addr != HPAGE_PMD_SIZE), the huge page is split first: `split`."""
    begins, ends = table_begins(m, r[R_MM], r[R_ADDRESS]), table_ends(m, r[R_ADDRESS])
    return NEXT if r[R_ADDRESS] == begins and ends <= r[R_END] else SPLIT


@step
def pmd_trans_huge_lock(m: Words, r: Words) -> int:
    """pmd_trans_huge_lock(), with the lock held: the entry, which maps a huge page; else to `raced`."""
    r[R_ENTRY] = load(m, pmd_at(m, r[R_MM], r[R_ADDRESS]))
    return NEXT if pmd_trans_huge(r[R_ENTRY]) else RACED


@step(whole="page_table_lock: nobody looks at the ptes below a huge page")
def zap_huge_pmd(m: Words, r: Words) -> int:
    """zap_huge_pmd(): the entry becomes none, the pages lose their mapping; the user expects their data no longer.

    Without the lock the pages may be gone: a bug that a kernel sees (VM_BUG_ON_PAGE), check `page_refs`.
    """
    for page in range(table_begins(m, r[R_MM], r[R_ADDRESS]), table_ends(m, r[R_ADDRESS])):
        pte = pte_at(m, r[R_MM], page)
        entry = xchg(m, pte, 0)
        note(m, r, r[R_MM], entry, 0, NO_PAGE)
        if m[GHOST] != 0:
            write_once(m, written_at(m, r[R_MM], page), 0)
        frame = pte_page(m, entry)
        if frame < 0:
            oops(r, PAGE_REFS)
            return NEXT
        remove_rmap(m, r, frame)
        r[R_PAGE] = frame - m[PTRS_PER_PTE] + 1
    store(m, pmd_at(m, r[R_MM], r[R_ADDRESS]), 0)
    r[R_FREED] = r[R_FREED] + m[PTRS_PER_PTE]
    return NEXT


@step(whole="page_table_lock and zone->lock")
def zap_deposited_table(m: Words, r: Words) -> int:
    """zap_deposited_table(): the page table that was put by goes, and mm->nr_ptes counts it no more."""
    count_table(m, r[R_MM], -1)
    put_page(m, r, pmd_page(r[R_ENTRY]))
    return NEXT


@step(whole="page_table_lock: nobody looks at the ptes below a huge page")
def split_huge_pmd(m: Words, r: Words) -> int:
    """__split_huge_pmd(), page_table_lock held: the table that was put by takes the place of a huge page, if it is one.

    Its pages go to the LRU (lru_add_page_tail). One that is not accessible becomes so; kernels let its ptes fault.
    """
    entry = read_once(m, pmd_at(m, r[R_MM], r[R_ADDRESS]))
    if pmd_trans_huge(entry):
        for page in range(table_begins(m, r[R_MM], r[R_ADDRESS]), table_ends(m, r[R_ADDRESS])):
            frame = pte_page(m, read_once(m, pte_at(m, r[R_MM], page)))
            fetch_or(m, at(m, PAGE_FLAGS, frame), PG_LRU)
        set_pmd(m, r, mk_pmd(pmd_page(entry), 0))
    return NEXT


@step
def pmd_none_or_trans_huge(m: Words, r: Words) -> int:
    """if (pmd_none_or_trans_huge_or_clear_bad(pmd)) goto next, which is `skip_table`."""
    return NEXT if is_table(load(m, pmd_at(m, r[R_MM], r[R_ADDRESS]))) else SKIP_TABLE


@step(private=True)
def next_pte_in_table(m: Words, r: Words) -> int:
    """zap_pte_range: } while (pte++, addr += PAGE_SIZE, addr != end), within one page table."""
    r[R_ENTRY] = 0
    r[R_PAGE] = 0
    following = r[R_ADDRESS] + 1
    if following >= r[R_END] or following >= table_ends(m, r[R_ADDRESS]):
        return NEXT
    r[R_ADDRESS] = following
    return NEXT_PTE


@step(private=True)
def next_table(m: Words, r: Words) -> int:
    """zap_pmd_range: } while (pmd++, addr = next, addr != end)."""
    r[R_ADDRESS] = min(table_ends(m, r[R_ADDRESS]), r[R_END])
    r[R_ENTRY] = 0
    r[R_PAGE] = 0
    r[R_FREED] = 0
    return NEXT_PMD if r[R_ADDRESS] < r[R_END] else NEXT


# change_huge_pmd


@step
def if_huge_and_accessible(m: Words, r: Words) -> int:
    """change_huge_pmd(), the lock held: a huge page that is not PROT_NONE yet; anything else to `out_unlock`."""
    r[R_ENTRY] = load(m, pmd_at(m, r[R_MM], r[R_ADDRESS]))
    return NEXT if pmd_trans_huge(r[R_ENTRY]) and (r[R_ENTRY] & PMD_PROTNONE) == 0 else OUT_UNLOCK


@step(whole="page_table_lock: nobody looks at the ptes below a huge page")
def pmdp_huge_get_and_clear(m: Words, r: Words) -> int:
    """entry = pmdp_huge_get_and_clear_notify(mm, addr, pmd): as shipped up to 4.11; the entry is none for a while."""
    set_pmd(m, r, 0)
    return NEXT


@step(whole="page_table_lock: nobody looks at the ptes below a huge page")
def pmdp_invalidate(m: Words, r: Words) -> int:
    """pmdp_invalidate(vma, addr, pmd): the processor uses the entry no more, and nobody takes it for none (4.12)."""
    set_pmd(m, r, r[R_ENTRY] | PMD_INVALID)
    return NEXT


@step(whole="page_table_lock: nobody looks at the ptes below a huge page")
def set_pmd_protnone(m: Words, r: Words) -> int:
    """set_pmd_at(mm, addr, pmd, pmd_modify(entry, PROT_NONE))."""
    set_pmd(m, r, r[R_ENTRY] | PMD_PROTNONE)
    return NEXT
