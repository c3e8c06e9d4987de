"""N03: do_wp_page trusts an entry that is older than its lock."""

from __future__ import annotations

from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import FAULTS
from stress.findings.finding import Case, Finding
from stress.kernel.memory import wp_pfn_valid
from stress.kernel.pte_access import PTE_SAME
from stress.labels import DO_WP_PAGE

FINDING = Finding(
    id="N03",
    title="do_wp_page reuses a page by an entry that it read before it had the lock",
    point=(
        "The entry is read without the lock and do_wp_page takes page_table_lock afterwards. By then the page may"
        " have been swapped out and its frame given to another page; if that frame has one user, it is taken for"
        " reusable and mapped over the swap entry. pte_same under the lock is missing on this branch. What"
        " page_refs sees first is a reference that is taken on the frame by the stale entry after it was freed: whoever"
        " is given the frame next starts its count anew. On V12 the operations before || break rss_exact already (F06)."
    ),
    edit="do_wp_page does not recheck the entry when it has the lock",
    as_posted=lambda d: d.edit(
        "N03 as posted",
        "",
        **everywhere(FAULTS, lambda p: p.splice((wp_pfn_valid, PTE_SAME), wp_pfn_valid, within=DO_WP_PAGE)),
    ),
    case=Case("fault 0 w; swap_out; fault 0 || fault 0 w | swap_out; fault 1 w"),
    check="page_refs",
)
