"""The per-CPU MMU cache that update_mmu_cache loads, and its flushes (asm/tlbflush.h).

On i386 update_mmu_cache does nothing; a machine with mmu=hash has a cache, as ppc and others do. A flush reaches
all CPUs and is done when it returns.
"""

from __future__ import annotations

from shm_layout.atomic import read_once, write_once
from shm_layout.registers import R_ADDRESS, R_CPU, R_MM, R_NEW
from shm_layout.structs import MMU, MMU_ENTRY, NR_CPUS, NR_MMS, NR_PTES
from shm_layout.words import Words
from stress.kernel.pgtable import PRESENT
from stress.labels import SKIP
from stress.step import NEXT, helper, step


@helper
def mmu_at(m: Words, cpu: int, mm: int, address: int) -> int:
    """Index of what a CPU's MMU cache holds for a virtual page of an mm."""
    return m[MMU_ENTRY] + (cpu * m[NR_MMS] + mm) * m[NR_PTES] + address


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
