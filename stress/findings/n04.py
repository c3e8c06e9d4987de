"""N04: ptep_xchg_flush on PAE exchanges half an entry at a time."""

from __future__ import annotations

from stress.findings.finding import Case, Finding
from stress.kernel.pte_access import PTEP_XCHG_FLUSH, PTEP_XCHG_FLUSH_LOW

FINDING = Finding(
    id="N04",
    title="ptep_xchg_flush on PAE shows half of one entry beside half of another",
    point=(
        "It exchanges the low half, then reads the old high half, then writes the new one. In between the entry "
        "is the old page's high half over a low half of 0: below 4 GiB that is no entry at all, so a fault "
        "without the lock fills it with a fresh page, and the swap entry's high half lands on top."
    ),
    edit="swap-out exchanges the entry half by half",
    as_posted=lambda d: d.edit(
        "N04 as posted", "", swap_out=lambda p: p.replace(PTEP_XCHG_FLUSH, PTEP_XCHG_FLUSH_LOW)
    ),
    case=Case("fault 0 w || fault 0 w | swap_out", {"arch": "pae", "above_4g": False}),
    check="page_refs",
)
