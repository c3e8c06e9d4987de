"""W01: set_pte on PAE writes its two halves without a write barrier between them."""

from __future__ import annotations

from stress import designs
from stress.design import Design
from stress.designs.parts.correction import Correction, everywhere
from stress.designs.parts.operations import FAULTS
from stress.findings.finding import Case, Finding
from stress.kernel.memory import user_access, user_access_anywhere
from stress.kernel.pte_access import SET_PTE, SET_PTE_UNORDERED


def _sound() -> Design:
    """Return page_table_lock, with a processor that stores wherever an entry points."""
    change = everywhere(FAULTS, lambda p: p.replace(user_access, user_access_anywhere))
    return Correction("walk", "the processor stores wherever an entry points", change).apply(
        designs.get("page_table_lock")
    )


FINDING = Finding(
    id="W01",
    title="the low half of a pte is seen before its high half",
    point=(
        "On PAE set_pte stores the high half first and the low half, with the present bit, after a write barrier. "
        "The processor walks the page table without any lock: where stores may overtake each other and the barrier "
        "is left out, it finds an entry that is present and names a frame by its old high half. x86 keeps stores in "
        "order, so that only the compiler needs to be told there."
    ),
    edit="no write barrier between the two stores of set_pte",
    as_posted=lambda d: d.edit(
        "W01 as posted", "", **everywhere(FAULTS, lambda p: p.replace(SET_PTE, SET_PTE_UNORDERED))
    ),
    case=Case("fault 0 w | zap 0; fault 0 w", {"arch": "pae", "above_4g": True}),
    check="pfn_valid",
    harmless=(("a pte that is one word", Case("fault 0 w | zap 0; fault 0 w", {"arch": "64"})),),
    memory="pso",
    sound=_sound,
)
