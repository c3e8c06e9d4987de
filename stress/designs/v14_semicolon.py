"""Patch set V14 with the semicolon that its patch has behind an `if`: a page table that was put in place is freed.

`if (!pgd_test_and_populate(mm, pgd, new)); pud_free(new);` frees the new table whether or not it was populated by
somebody else. It stands at the pgd; here it is modelled on the pmd, the upper of the machine's two levels.
"""

from __future__ import annotations

from dataclasses import replace

from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import FAULTS
from stress.designs.v14 import DESIGN as V14
from stress.kernel import pgalloc

DESIGN = replace(
    V14.edit(**everywhere(FAULTS, lambda p: p.after(pgalloc.pmd_test_and_populate, pgalloc.pte_free))),
    name="v14_semicolon",
    base="v14",
    edits=(),
    summary="V14 with the stray semicolon as posted: the table that was populated is freed at once",
)
