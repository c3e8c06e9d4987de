"""F11: the page is on the LRU before its mapping is counted."""

from __future__ import annotations

from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import FAULTS
from stress.findings.finding import Case, Finding
from stress.kernel.rmap import page_add_anon_rmap
from stress.kernel.swap import lru_cache_add_active
from stress.labels import DO_ANONYMOUS_PAGE

FINDING = Finding(
    id="F11",
    title="lru_cache_add_active comes before page_add_anon_rmap",
    point=(
        "Once the page is on the LRU, vmscan can pick it, find the pte and unmap it; page_remove_rmap then meets "
        "a page whose mapping has not been counted in yet, and its BUG_ON fires. Adding to the LRU last closes "
        "the window."
    ),
    edit="the two calls change places again",
    as_posted=lambda d: d.edit(
        "F11 as posted",
        "",
        **everywhere(
            FAULTS, lambda p: p.swap(lru_cache_add_active, page_add_anon_rmap, within=DO_ANONYMOUS_PAGE)
        ),
    ),
    case=Case("fault 0 w | swap_out"),
    check="mapcount",
)
