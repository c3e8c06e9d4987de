"""F13: the two halves of a 64-bit pte, read without the lock."""

from __future__ import annotations

from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import FAULTS
from stress.findings.finding import Case, Finding
from stress.kernel.pte_access import GET_PTE_ATOMIC, READ_PTE

FINDING = Finding(
    id="F13",
    title="the halves of an entry read without the lock may be out of step",
    point=(
        "On PAE handle_pte_fault reads the entry by two loads. What relies on ptep_cmpxchg notices a mixture of "
        "two entries, but do_wp_page looks at its page frame at once: a frame that does not exist kills the "
        "process. get_64bit reads both halves at one moment."
    ),
    edit="handle_pte_fault reads the entry by two loads",
    as_posted=lambda d: d.edit(
        "F13 as posted", "", **everywhere(FAULTS, lambda p: p.replace(GET_PTE_ATOMIC, READ_PTE))
    ),
    case=Case("fault 0 || fault 0 w | fault 0 w", {"arch": "pae"}),
    check="pfn_valid",
)
