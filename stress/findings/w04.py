"""W04: page_table_lock is released by a store that is no release."""

from __future__ import annotations

from functools import partial

from stress import designs
from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import FAULTS
from stress.findings.finding import Case, Finding
from stress.kernel.spinlock import spin_unlock, spin_unlock_plain

FINDING = Finding(
    id="W04",
    title="a lock is seen free before what was stored under it",
    point=(
        "A lock that is released by a plain store is free for others before they can see what was stored under it, "
        "where stores may overtake each other: the next owner finds no pte, and maps a second page over the first. On "
        "x86 a plain store is enough, since stores leave in order."
    ),
    edit="spin_unlock is a plain store",
    as_posted=lambda d: d.edit(
        "W04 as posted", "", **everywhere(FAULTS, lambda p: p.replace(spin_unlock, spin_unlock_plain))
    ),
    case=Case("fault 0 w | fault 0 w"),
    check="page_refs",
    memory="pso",
    sound=partial(designs.get, "page_table_lock"),
)
