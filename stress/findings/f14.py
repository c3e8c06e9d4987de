"""F14: reading whole helps only where the other side writes whole."""

from __future__ import annotations

from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import FAULTS
from stress.findings.finding import Case, Finding
from stress.kernel.pte_access import SET_PTE, SET_PTE_ATOMIC

FINDING = Finding(
    id="F14",
    title="an atomic read needs an atomic set_pte on the other side",
    point=(
        "set_pte by two stores under page_table_lock shows a reader without the lock the new high half beside the"
        " old low one, however the reader reads. In the places that a fault may meet, set_pte has to be "
        "set_64bit."
    ),
    edit="set_pte in the fault path is two stores under the lock",
    as_posted=lambda d: d.edit(
        "F14 as posted", "", **everywhere(FAULTS, lambda p: p.replace(SET_PTE_ATOMIC, SET_PTE))
    ),
    case=Case("fault 0 || fault 0 w | fault 0 w", {"arch": "pae"}),
    check="pfn_valid",
)
