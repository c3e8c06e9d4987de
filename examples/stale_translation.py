"""A fault loads the MMU cache with a translation whose pte is gone again.

    $ pte-stress explore stale_translation.py:STALE "fault 0 w | swap_out" --mmu
    ...
    tlb: no page is freed or given out, and no munmap returns, while some CPU's TLB maps it: broken by the last step
    ...
    complete: every state that can be reached was visited
"""

from stress.designs import get
from stress.kernel.pte_access import PTE_STILL_NEW
from stress.labels import DO_ANONYMOUS_PAGE

STALE = get("v12_sound").edit(
    "no second look",
    "update_mmu_cache runs under page_table_lock, but nobody looks whether the pte is still the one that was set",
    name="stale_translation",
    fault=lambda p: p.drop(PTE_STILL_NEW, within=DO_ANONYMOUS_PAGE),
)
