"""The right to store to a page, taken and given back (mm/mprotect.c), on a machine whose VMAs say so (vmas=True)."""

from __future__ import annotations

from shm_layout.atomic import load, read_once, write_once
from shm_layout.registers import R_ADDRESS, R_END, R_ENTRY, R_FREED, R_MM, R_NEW, R_SCRATCH, R_WRITE
from shm_layout.structs import MM_USERS, MMU, NR_CPUS, NR_MMS, NR_PTES, PRIVATE_END, PTE, at
from shm_layout.words import Words
from stress.kernel.bug import TLB, oops
from stress.kernel.memory import mk_file_entry
from stress.kernel.mm_types import MM_FREE
from stress.kernel.pgtable import PRESENT, WRITABLE, first_page, prot_at, pte_at, pte_present
from stress.kernel.tlb import mmu_at
from stress.labels import OUT, SKIP, WP_PAGE_SHARED
from stress.step import NEXT, helper, step

READ_ONLY = 1
"""In the words of a VMA: nobody may store there."""


@helper
def is_read_only(m: Words, mm: int, address: int) -> bool:
    """Whether the user may not store to a virtual page of an mm."""
    return read_once(m, prot_at(m, mm, address)) == READ_ONLY


@step
def if_vma_allows(m: Words, r: Words) -> int:
    """access_error(): a store that the VMA does not allow is a fault of the user's, `out`."""
    return OUT if r[R_WRITE] != 0 and is_read_only(m, r[R_MM], r[R_ADDRESS]) else NEXT


@step
def mk_file_pte_of_vma(m: Words, r: Words) -> int:
    """mk_pte(page, vma->vm_page_prot): as `mk_file_pte`, and not writable where the VMA does not allow it."""
    entry = mk_file_entry(m, r)
    r[R_NEW] = entry & ~WRITABLE if is_read_only(m, r[R_MM], r[R_ADDRESS]) else entry
    return NEXT


@step(whole="mmap_lock, held for write")
def set_vm_flags(m: Words, r: Words) -> int:
    """vma->vm_flags = newflags: stores to the range are allowed (R_WRITE) or not. R_SCRATCH is where it begins."""
    r[R_SCRATCH] = r[R_ADDRESS]
    for page in range(r[R_ADDRESS], r[R_END]):
        write_once(m, prot_at(m, r[R_MM], page), READ_ONLY if r[R_WRITE] == 0 else 0)
    return NEXT


@step(private=True)
def if_taken_away(m: Words, r: Words) -> int:
    """change_protection: where stores are allowed again ptes stay as they are, to `out`; the next store faults."""
    return NEXT if r[R_WRITE] == 0 else OUT


@step(private=True)
def if_vma_shared(m: Words, r: Words) -> int:
    """do_wp_page: if (vma->vm_flags & VM_SHARED), to `wp_page_shared`: the page is not copied."""
    return WP_PAGE_SHARED if r[R_ADDRESS] >= m[PRIVATE_END] else NEXT


@step(private=True)
def if_pte_present(m: Words, r: Words) -> int:
    """change_pte_range: if (pte_present(oldpte)), else to `skip`: a swap entry allows nothing."""
    return NEXT if pte_present(r[R_ENTRY]) else SKIP


@step(private=True)
def pte_wrprotect(m: Words, r: Words) -> int:
    """ptent = pte_wrprotect(ptent); pages++."""
    r[R_NEW] = r[R_ENTRY] & ~WRITABLE
    r[R_FREED] = r[R_FREED] + 1
    return NEXT


@step(private=True)
def if_pages_changed(m: Words, r: Words) -> int:
    """change_protection: if (pages) flush_tlb_range(); where no pte was changed there is nothing to flush, `skip`."""
    return NEXT if r[R_FREED] != 0 else SKIP


@helper
def read_only_ptes(m: Words) -> int:
    """At rest, where a VMA allows no store the pte allows none: `HOLDS`, -1, or the first pte that does."""
    for mm in range(m[NR_MMS]):
        if read_once(m, at(m, MM_USERS, mm)) == MM_FREE:
            continue
        for page in range(first_page(m, mm), m[NR_PTES]):
            entry = read_once(m, pte_at(m, mm, page))
            if is_read_only(m, mm, page) and pte_present(entry) and (entry & WRITABLE) != 0:
                return pte_at(m, mm, page) - m[PTE]
    return -1


@step(whole="a look at what is promised: no kernel does it")
def is_unwritable(m: Words, r: Words) -> int:
    """What mprotect promises when it returns: no CPU stores to these pages any more, by its TLB or the pte; `tlb`."""
    for page in range(r[R_SCRATCH], r[R_END]):
        allowed = load(m, pte_at(m, r[R_MM], page)) & WRITABLE
        if m[MMU] != 0:
            for cpu in range(m[NR_CPUS]):
                cached = read_once(m, mmu_at(m, cpu, r[R_MM], page))
                allowed |= cached & WRITABLE if (cached & PRESENT) != 0 else 0
        if allowed != 0:
            oops(r, TLB)
    return NEXT
