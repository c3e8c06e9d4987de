"""F10: update_mmu_cache comes after the pte is set, with no lock around both."""

from __future__ import annotations

from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import FAULTS
from stress.designs.v12_reviewed import MMU_CACHE_LOCKED
from stress.findings.finding import Case, Finding
from stress.kernel.tlb import update_mmu_cache

FINDING = Finding(
    id="F10",
    title="update_mmu_cache is not bracketed with setting the pte",
    point=(
        "Between ptep_cmpxchg and update_mmu_cache the page can be unmapped and every CPU flushed; the "
        "translation that is loaded then outlives its pte. Under page_table_lock, with another look at the pte, "
        "it cannot. Architectures whose update_mmu_cache does nothing have no such window."
    ),
    edit="update_mmu_cache follows ptep_cmpxchg without the lock",
    as_posted=lambda d: d.edit(
        "F10 as posted", "", **everywhere(FAULTS, lambda p: p.splice(MMU_CACHE_LOCKED, update_mmu_cache))
    ),
    case=Case("fault 0 w | swap_out", {"mmu": True}),
    check="mmu_cache",
    harmless=(("update_mmu_cache does nothing (i386)", Case("fault 0 w | swap_out", {"mmu": False})),),
)
