"""The TLB of each CPU: what loads it, what goes through it, and its flushes (asm/tlbflush.h, mm/rmap.c).

It is there on a machine with mmu=True: as the cache that update_mmu_cache loads on ppc and others, and as the TLB that
the processor fills where a design has operation `user_write`, whose stores go through it. A flush reaches all CPUs and
is done when it returns. Reclaim may leave flushes for later, in a batch (4.3, 72b252aed506).
"""

from __future__ import annotations

from shm_layout.atomic import load, read_once, store, write_once
from shm_layout.registers import R_ADDRESS, R_CPU, R_FREED, R_MM, R_NEW
from shm_layout.structs import MM_FLUSH_BATCHED, MMU, MMU_ENTRY, NR_CPUS, NR_MMS, NR_PTES, at
from shm_layout.words import Words
from stress.kernel.bug import TLB, oops
from stress.kernel.pgtable import PRESENT, pte_page
from stress.labels import SKIP
from stress.step import NEXT, helper, step


@helper
def mmu_at(m: Words, cpu: int, mm: int, address: int) -> int:
    """Return the index of what a CPU's MMU cache holds for a virtual page of an mm."""
    return m[MMU_ENTRY] + (cpu * m[NR_MMS] + mm) * m[NR_PTES] + address


@helper
def tlb_maps(m: Words, frame: int) -> bool:
    """Whether some CPU still holds a translation to a frame, through which the user reaches it: check `tlb`."""
    if m[MMU] != 0:
        for word in range(m[MMU_ENTRY], m[MMU_ENTRY] + m[NR_CPUS] * m[NR_MMS] * m[NR_PTES]):
            cached = read_once(m, word)
            if (cached & PRESENT) != 0 and pte_page(m, cached) == frame:
                return True
    return False


@step(private=True)
def if_mmu_cache(m: Words, r: Words) -> int:
    """Does update_mmu_cache do anything on this machine? Else to `skip`."""
    return NEXT if m[MMU] != 0 else SKIP


@step
def update_mmu_cache(m: Words, r: Words) -> int:
    """update_mmu_cache(vma, address, entry): load the translation that was set."""
    if m[MMU] != 0 and (r[R_NEW] & PRESENT) != 0:
        write_once(m, mmu_at(m, r[R_CPU], r[R_MM], r[R_ADDRESS]), r[R_NEW])
    return NEXT


@step(whole="the interrupt to all CPUs: it is done when it returns")
def flush_tlb_page(m: Words, r: Words) -> int:
    """flush_tlb_page(vma, address): no CPU holds the translation any more."""
    if m[MMU] != 0:
        for cpu in range(m[NR_CPUS]):
            word = mmu_at(m, cpu, r[R_MM], r[R_ADDRESS])
            if read_once(m, word) != 0:
                write_once(m, word, 0)
    return NEXT


@step(whole="the interrupt to all CPUs: it is done when it returns")
def flush_tlb_mm(m: Words, r: Words) -> int:
    """flush_tlb_mm(mm): no CPU holds a translation of this mm any more."""
    if m[MMU] != 0:
        for cpu in range(m[NR_CPUS]):
            for address in range(m[NR_PTES]):
                word = mmu_at(m, cpu, r[R_MM], address)
                if read_once(m, word) != 0:
                    write_once(m, word, 0)
    return NEXT


# flushes that reclaim leaves for later: mm/rmap.c


@step
def set_tlb_ubc_flush_pending(m: Words, r: Words) -> int:
    """set_tlb_ubc_flush_pending(mm): a pte was cleared, and its flush is left to `try_to_unmap_flush`."""
    if m[MMU] != 0:
        r[R_FREED] = r[R_FREED] + 1
        store(m, at(m, MM_FLUSH_BATCHED, r[R_MM]), 1)
    return NEXT


@step(whole="the interrupt to all CPUs: it is done when it returns")
def try_to_unmap_flush(m: Words, r: Words) -> int:
    """try_to_unmap_flush(): if ptes were cleared since the last one, no CPU holds any translation any more."""
    if r[R_FREED] != 0:
        r[R_FREED] = 0
        for word in range(m[MMU_ENTRY], m[MMU_ENTRY] + m[NR_CPUS] * m[NR_MMS] * m[NR_PTES]):
            if read_once(m, word) != 0:
                write_once(m, word, 0)
    return NEXT


@step
def if_flush_batched(m: Words, r: Words) -> int:
    """flush_tlb_batched_pending(mm): if (mm->tlb_flush_batched), else to `skip`."""
    return NEXT if load(m, at(m, MM_FLUSH_BATCHED, r[R_MM])) != 0 else SKIP


@step
def clear_flush_batched(m: Words, r: Words) -> int:
    """flush_tlb_batched_pending(mm), after its flush_tlb_mm: mm->tlb_flush_batched = false."""
    store(m, at(m, MM_FLUSH_BATCHED, r[R_MM]), 0)
    return NEXT


@step(whole="a look at what is promised: no kernel does it")
def is_unreachable(m: Words, r: Words) -> int:
    """What munmap and madvise promise: no CPU reaches this page of the mm any more, check `tlb`."""
    if m[MMU] != 0:
        for cpu in range(m[NR_CPUS]):
            if (read_once(m, mmu_at(m, cpu, r[R_MM], r[R_ADDRESS])) & PRESENT) != 0:
                oops(r, TLB)
    return NEXT
