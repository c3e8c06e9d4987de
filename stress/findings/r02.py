"""R02: two faults read one swap slot without the swap cache."""

from __future__ import annotations

from stress.design import Design
from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import FAULTS
from stress.findings.finding import Case, Finding
from stress.findings.r01 import linux_6_8
from stress.kernel.swap_sync import if_swap_is_fast, swapcache_clear, swapcache_prepare
from stress.program import Program


def _without_place(p: Program) -> Program:
    return p.replace(swapcache_prepare, if_swap_is_fast).drop(swapcache_clear)


def _as_shipped(d: Design) -> Design:
    return d.edit("R02 as shipped", "", **everywhere(FAULTS, _without_place))


FINDING = Finding(
    id="R02",
    title="a slot is used again while a fault still holds what it read from it",
    point=(
        "From a fast device a fault reads the slot into a page of its own, without the swap cache, then compares the "
        "pte under the lock and maps the page. Meanwhile another fault may read the slot, map its page and free the "
        "slot, the page be written and swapped out again, to the same slot: the pte is the same, and the first fault "
        "maps what was there before. Shipped from 4.15 (2018) to 6.7; 13ddaf26be32 (6.8) takes the slot's place in "
        "the swap cache first, and who does not get it tries again."
    ),
    edit="the slot is read without its place in the swap cache",
    as_posted=_as_shipped,
    case=Case("fault 0 w; swap_out || fault 0 | fault 0 w; swap_out"),
    check="data_kept",
    sound=linux_6_8,
    shipped=None,
)
