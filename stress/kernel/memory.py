"""Faults and zaps (mm/memory.c): the steps between the accesses to the pte and the counting."""

from __future__ import annotations

from shm_layout.atomic import cmpxchg, load, read_once, write_once
from shm_layout.registers import (
    R_ADDRESS,
    R_CURRENT,
    R_END,
    R_ENTRY,
    R_FREED,
    R_MM,
    R_NEW,
    R_OLD_PAGE,
    R_PAGE,
    R_SLOT,
    R_WRITE,
)
from shm_layout.structs import (
    ANON_END,
    GHOST,
    NR_SWAP,
    PAGE_CONTENT,
    PAGE_COUNT,
    PRIVATE_END,
    PTE,
    SWAP_CONTENT,
    SWAP_PAGE,
    TASK_MM,
    WRITTEN,
    at,
)
from shm_layout.words import Words
from stress.kernel.bug import PFN_VALID, oops
from stress.kernel.page_alloc import fresh_content
from stress.kernel.pgtable import (
    DIRTY,
    NAMES_PAGE,
    PRESENT,
    WRITABLE,
    YOUNG,
    ZERO_PAGE,
    linear_page_index,
    mk_pte,
    pte_at,
    pte_counted,
    pte_page,
    pte_present,
    pte_to_slot,
)
from stress.kernel.rmap import page_anon
from stress.kernel.swap_state import read_swap_page, swap_free
from stress.labels import (
    COPY,
    DO_ANONYMOUS_PAGE,
    DO_NO_PAGE,
    DO_SWAP_PAGE,
    DO_WP_PAGE,
    DO_ZERO_PAGE,
    MAPPED,
    NEXT_PTE,
    OUT,
    OUT_UNLOCK,
    PTE_PRESENT,
    SKIP,
    SWAP_ENTRY,
)
from stress.step import NEXT, helper, step


@helper
def written_at(m: Words, mm: int, address: int) -> int:
    """Return the index of the word that says whether the user wrote to that virtual page; only where `GHOST` is set."""
    return m[WRITTEN] + pte_at(m, mm, address) - m[PTE]


@helper
def content_behind(m: Words, entry: int) -> int:
    """Return the content that a pte leads to, in memory or in swap; 0 for none."""
    if (entry & NAMES_PAGE) != 0:
        frame = pte_page(m, entry)
        return 0 if frame <= ZERO_PAGE else read_once(m, at(m, PAGE_CONTENT, frame))
    slot = pte_to_slot(entry)
    if entry == 0 or slot < 0 or slot >= m[NR_SWAP]:
        return 0
    frame = read_once(m, at(m, SWAP_PAGE, slot))
    if frame != 0:
        return read_once(m, at(m, PAGE_CONTENT, frame))
    return read_once(m, at(m, SWAP_CONTENT, slot))


@step(private=True)
def mmap_current(m: Words, r: Words) -> int:
    """mm = current->mm: the fault is the task's own."""
    r[R_MM] = m[at(m, TASK_MM, r[R_CURRENT])]
    return NEXT


@step(private=True)
def handle_pte_fault(m: Words, r: Words) -> int:
    """handle_pte_fault(): which kind of fault the entry that was read makes this."""
    entry = r[R_ENTRY]
    if pte_present(entry):
        return DO_WP_PAGE if r[R_WRITE] != 0 and (entry & WRITABLE) == 0 else PTE_PRESENT
    if entry != 0:
        return DO_SWAP_PAGE
    if r[R_ADDRESS] >= m[ANON_END]:
        return DO_NO_PAGE
    return DO_ANONYMOUS_PAGE if r[R_WRITE] != 0 else DO_ZERO_PAGE


@step(private=True)
def mk_anon_pte(m: Words, r: Words) -> int:
    """entry = maybe_mkwrite(pte_mkdirty(mk_pte(page))): private memory just written to."""
    r[R_NEW] = mk_pte(m, r[R_PAGE], WRITABLE | DIRTY | YOUNG)
    return NEXT


@step(private=True)
def mk_zero_pte(m: Words, r: Words) -> int:
    """entry = pte_wrprotect(mk_pte(ZERO_PAGE))."""
    r[R_NEW] = mk_pte(m, ZERO_PAGE, YOUNG)
    return NEXT


@helper
def mk_file_entry(m: Words, r: Words) -> int:
    """Return the entry for a page of the file: a shared mapping may write to it, a private one not."""
    shared = WRITABLE if r[R_ADDRESS] >= m[PRIVATE_END] else 0
    return mk_pte(m, r[R_PAGE], YOUNG | shared | (DIRTY if r[R_WRITE] != 0 else 0))


@step(private=True)
def mk_file_pte(m: Words, r: Words) -> int:
    """The entry for a page of the file: a shared mapping may write to it, a private one not."""
    r[R_NEW] = mk_file_entry(m, r)
    return NEXT


@step(private=True)
def mk_swapped_pte(m: Words, r: Words) -> int:
    """The entry for a page that was swapped in: not writable, so that do_wp_page decides at the next write."""
    r[R_NEW] = mk_pte(m, r[R_PAGE], YOUNG)
    return NEXT


@step(private=True)
def mk_young_pte(m: Words, r: Words) -> int:
    """entry = pte_mkyoung(entry), and pte_mkdirty on a write access."""
    r[R_NEW] = r[R_ENTRY] | YOUNG | (DIRTY if r[R_WRITE] != 0 else 0)
    return NEXT


@step(private=True)
def mk_reused_pte(m: Words, r: Words) -> int:
    """entry = maybe_mkwrite(pte_mkyoung(pte_mkdirty(entry))): do_wp_page keeps the page."""
    r[R_NEW] = r[R_ENTRY] | WRITABLE | DIRTY | YOUNG
    return NEXT


@step(private=True)
def wp_pfn_valid(m: Words, r: Words) -> int:
    """do_wp_page: if (!pfn_valid(pte_pfn(entry))), complain and let the process be killed."""
    r[R_OLD_PAGE] = pte_page(m, r[R_ENTRY])
    if r[R_OLD_PAGE] >= 0:
        return NEXT
    oops(r, PFN_VALID)
    return OUT_UNLOCK


@step(whole="the page lock")
def can_share_page(m: Words, r: Words) -> int:
    """do_wp_page: an anonymous page that nobody else maps or holds is reused; else to `copy`.

    The zero page is never reused. PageAnon cannot change while the page is mapped.
    """
    frame = r[R_OLD_PAGE]
    if frame == ZERO_PAGE or not page_anon(m, frame):
        return COPY
    return NEXT if load(m, at(m, PAGE_COUNT, frame)) == 1 else COPY


@step(private=True)
def if_reserved(m: Words, r: Words) -> int:
    """if (PageReserved(old_page)), the zero page; else to `mapped`."""
    return NEXT if r[R_OLD_PAGE] == ZERO_PAGE else MAPPED


@step(private=True)
def if_write_to_private(m: Words, r: Words) -> int:
    """do_no_page: a write to a private mapping makes a copy (go on), anything else maps the page (`mapped`)."""
    if r[R_WRITE] != 0 and r[R_ADDRESS] < m[PRIVATE_END]:
        r[R_OLD_PAGE] = r[R_PAGE]
        return NEXT
    return MAPPED


@step(whole="the page lock and tree_lock")
def swapin(m: Words, r: Words) -> int:
    """do_swap_page: find the page in the swap cache or read it; to `out` when the slot holds nothing (any more)."""
    r[R_PAGE] = read_swap_page(m, r, pte_to_slot(r[R_ENTRY]))
    return NEXT if r[R_PAGE] >= 0 else OUT


@step(whole="swap_list and tree_lock")
def swap_free_entry(m: Words, r: Words) -> int:
    """do_swap_page: swap_free(pte_to_swp_entry(entry)), with the reference that lookup_swap_cache took."""
    swap_free(m, r, pte_to_slot(r[R_ENTRY]), 1)
    return NEXT


@step(whole="swap_list, tree_lock and zone->lock")
def free_swap_and_cache(m: Words, r: Words) -> int:
    """zap_pte_range: free_swap_and_cache(pte_to_swp_entry(entry))."""
    swap_free(m, r, pte_to_slot(r[R_ENTRY]), 0)
    return NEXT


@helper
def user_write(m: Words, r: Words, entry: int) -> None:
    """Write to the page that a writable entry maps; a new version of its content where `GHOST` is set.

    The version that is expected from then on follows the one that was expected before: writes go to bytes of their own,
    and one that was lost is not made good by the next.
    """
    if (entry & (PRESENT | WRITABLE)) != (PRESENT | WRITABLE) or pte_counted(m, entry) == 0:
        return
    word = at(m, PAGE_CONTENT, pte_page(m, entry))
    content = load(m, word)
    if m[GHOST] == 0:
        fresh = fresh_content(linear_page_index(m, r[R_MM], r[R_ADDRESS]))
        if content == fresh:
            cmpxchg(m, word, fresh, fresh + 1)
    elif r[R_ADDRESS] < m[PRIVATE_END]:
        write_once(m, word, content + 1)
        own = written_at(m, r[R_MM], r[R_ADDRESS])
        write_once(m, own, (content if m[own] <= 0 else m[own]) + 1)


@step(whole="the processor: it walks the page table and stores at once")
def user_access(m: Words, r: Words) -> int:
    """The instruction that faulted runs again: the hardware walks the page table and the store is made.

    A write that finds no writable pte would fault again; here the operation just ends. Where `GHOST` is set
    every write makes a new version of the content, so that an old one shows.
    """
    if r[R_WRITE] != 0:
        user_write(m, r, load(m, pte_at(m, r[R_MM], r[R_ADDRESS])))
    return NEXT


@step(whole="the processor: it walks the page table and stores at once")
def user_access_anywhere(m: Words, r: Words) -> int:
    """The instruction runs again on a processor that stores wherever the entry points, be the frame there or not."""
    if r[R_WRITE] != 0:
        entry = load(m, pte_at(m, r[R_MM], r[R_ADDRESS]))
        if (entry & (PRESENT | WRITABLE)) == (PRESENT | WRITABLE) and pte_page(m, entry) < 0:
            oops(r, PFN_VALID)
        user_write(m, r, entry)
    return NEXT


@helper
def expect_no_data(m: Words, r: Words) -> None:
    """Note that the user no longer expects what was written to this virtual page; only where `GHOST` is set."""
    if m[GHOST] != 0:
        write_once(m, written_at(m, r[R_MM], r[R_ADDRESS]), 0)


@step(private=True)
def zap_entry(m: Words, r: Words) -> int:
    """zap_pte_range: what the entry was that has been cleared. The user no longer expects its data."""
    expect_no_data(m, r)
    if pte_present(r[R_ENTRY]):
        return NEXT
    return SKIP if r[R_ENTRY] == 0 else SWAP_ENTRY


@step(private=True)
def if_not_reserved(m: Words, r: Words) -> int:
    """zap_pte_range: if (pfn_valid(pfn) && !PageReserved(page)), else to `skip`: the zero page is not counted."""
    r[R_PAGE] = pte_page(m, r[R_ENTRY])
    return NEXT if r[R_PAGE] > ZERO_PAGE else SKIP


@step(private=True)
def count_freed(m: Words, r: Words) -> int:
    """tlb->freed++."""
    r[R_FREED] = r[R_FREED] + 1
    return NEXT


@step(private=True)
def next_pte(m: Words, r: Words) -> int:
    """} while (address += PAGE_SIZE, address < end)."""
    r[R_ADDRESS] = r[R_ADDRESS] + 1
    r[R_ENTRY] = 0
    r[R_PAGE] = 0
    r[R_SLOT] = 0
    return NEXT_PTE if r[R_ADDRESS] < r[R_END] else NEXT
