"""F01: ptep_cmpxchg on PAE forgets to use cmpxchg8b."""

from __future__ import annotations

from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import FAULTS
from stress.findings.finding import Case, Finding
from stress.kernel.pte_access import PTEP_CMPXCHG, PTEP_CMPXCHG_LOW

FINDING = Finding(
    id="F01",
    title="ptep_cmpxchg on PAE compares and writes only the low half",
    point=(
        "The 32-bit cmpxchg leaves the high half of the entry alone, so a new entry for a page above 4 GiB names "
        "a page that it should not; and its result is compared with the whole old entry, so that above 4 GiB an "
        "update that was made is reported as failed. Below 4 GiB high halves are 0 and nothing shows."
    ),
    edit="ptep_cmpxchg is a cmpxchg of the low half again",
    as_posted=lambda d: d.edit(
        "F01 as posted",
        "",
        **everywhere(FAULTS, lambda p: p.replace(PTEP_CMPXCHG, PTEP_CMPXCHG_LOW)),
    ),
    case=Case("fault 0 w | fault 0 w", {"arch": "pae", "above_4g": True}),
    check="page_refs",
    harmless=(("all pages below 4 GiB", Case("fault 0 w | fault 0 w", {"arch": "pae", "above_4g": False})),),
)
