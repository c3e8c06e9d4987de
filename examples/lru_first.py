"""A page goes on the LRU list before its mapping is counted, and vmscan unmaps it first.

    $ pte-stress explore lru_first.py:LRU_FIRST "fault 0 w | swap_out"
    ...
    mapcount: never below zero; at rest equal to the ptes that map the page: broken by the last step
    ...
    complete: every state that can be reached was visited
"""

from stress.designs import get
from stress.kernel.rmap import page_add_anon_rmap
from stress.kernel.swap import lru_cache_add_active
from stress.labels import DO_ANONYMOUS_PAGE

LRU_FIRST = get("v12_sound").edit(
    "lru_first",
    "the page goes on the LRU before its mapping is counted",
    name="lru_first",
    fault=lambda p: p.swap(lru_cache_add_active, page_add_anon_rmap, within=DO_ANONYMOUS_PAGE),
)
