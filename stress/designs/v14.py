"""Patch set V14 of 4 January 2005, all seven patches.

The only declared change against V13 is the fourth level of page tables. The modelled machine has two: what V14 does
with pgd and pud entries it does with the pmd's here. The semicolon behind the `if` of the pgd as posted is a design of
its own, `v14_semicolon`, for it would hide everything else. Nonlinear mappings are not modelled. What is left is V13.
"""

from __future__ import annotations

from dataclasses import replace

from stress.designs.v13 import DESIGN as V13

DESIGN = replace(
    V13,
    name="v14",
    year=2005,
    source="page fault scalability patch V14 [1-7/7], 4 January 2005",
    base="v13",
    edits=(),
    summary="V13 for four levels of page tables, of which the machine has the last two; as posted",
)
