"""F15: `lock` here, LOCK_PREFIX there."""

from __future__ import annotations

from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import FAULTS
from stress.findings.finding import Case, Finding
from stress.kernel.pte_access import (
    GET_PTE_ATOMIC,
    GET_PTE_NOLOCK,
    PTEP_CMPXCHG,
    PTEP_CMPXCHG_NOLOCK,
    SET_PTE_ATOMIC,
    SET_PTE_NOLOCK,
)
from stress.program import Program


def _without_lock(p: Program) -> Program:
    p = p.replace(GET_PTE_ATOMIC, GET_PTE_NOLOCK).replace(SET_PTE_ATOMIC, SET_PTE_NOLOCK)
    return p.replace(PTEP_CMPXCHG, PTEP_CMPXCHG_NOLOCK)


FINDING = Finding(
    id="F15",
    title="cmpxchg8b without the lock prefix is a read and a write",
    point=(
        "LOCK_PREFIX is empty in a kernel built for one CPU, a literal lock is not. On more than one CPU the "
        "prefix is what makes cmpxchg8b one access: without it two faults can both take the same empty entry. On "
        "one CPU nothing comes in between, and the literal lock is only cost."
    ),
    edit="get_64bit, set_64bit and ptep_cmpxchg lose the lock prefix",
    as_posted=lambda d: d.edit("F15 without lock", "", **everywhere(FAULTS, _without_lock)),
    case=Case("fault 0 w | fault 0 w", {"arch": "pae"}),
    check="page_refs",
    harmless=(("one CPU", Case("fault 0 w; fault 0 w; zap 0", {"arch": "pae"})),),
)
