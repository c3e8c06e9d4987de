"""N13: a stray semicolon frees the page table that was just put in place."""

from __future__ import annotations

from stress.design import Design
from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import FAULTS
from stress.findings.finding import Case, Finding
from stress.findings.n12 import sound_two_levels
from stress.kernel.pgalloc import pmd_test_and_populate, pte_free


def _as_posted(d: Design) -> Design:
    free = everywhere(FAULTS, lambda p: p.after(pmd_test_and_populate, pte_free))
    return d.edit("N13 as posted", "", **free)


FINDING = Finding(
    id="N13",
    title="a stray semicolon frees the page table that was just put in place",
    point=(
        "V14 has `if (!pgd_test_and_populate(mm, pgd, new)); pud_free(new);`, punctuation as posted: the new table is "
        "freed whether somebody else was first or not. It stands at the pgd; here the pmd, the upper of two levels, "
        "has it. The first fault of a process frees the table that its page is mapped in. Mend: no semicolon."
    ),
    edit="the new table is freed also where it was put in place",
    as_posted=_as_posted,
    case=Case("fault 0 w"),
    check="page_refs",
    sound=sound_two_levels,
    shipped="v14_semicolon",
)
