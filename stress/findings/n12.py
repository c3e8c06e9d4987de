"""N12: page tables are counted plainly and without a lock."""

from __future__ import annotations

from dataclasses import replace

from stress import designs
from stress.design import Design
from stress.designs.parts.correction import everywhere
from stress.designs.parts.operations import FAULTS
from stress.designs.v13 import PTE_ALLOC_MAP, with_page_tables
from stress.findings.finding import Case, Finding
from stress.kernel.pgalloc import inc_nr_ptes, mm_inc_nr_ptes, read_nr_ptes
from stress.kernel.spinlock import down_read
from stress.machine_kind import TWO_LEVELS
from stress.program import Program

PLAINLY = (read_nr_ptes, inc_nr_ptes)


def sound_two_levels() -> Design:
    """Return v12_sound with the page tables of V14, counted by an atomic operation."""
    d = designs.get("v12_sound")
    table = Program(PTE_ALLOC_MAP).splice(PLAINLY, mm_inc_nr_ptes)
    made = everywhere(FAULTS, lambda p: p.after(down_read, table))
    d = d.edit("page tables", "they are populated as V14 does it", **made)
    return replace(d, programs=with_page_tables(d.programs), machine=TWO_LEVELS)


def _as_posted(d: Design) -> Design:
    return d.edit("N12 as posted", "", **everywhere(FAULTS, lambda p: p.replace(mm_inc_nr_ptes, *PLAINLY)))


FINDING = Finding(
    id="N12",
    title="page tables are counted plainly and without a lock",
    point=(
        "V13 and V14 put a page table in its place by a compare and exchange, where page_table_lock was held before, "
        "and then do mm->nr_ptes += 1. Two faults that need two tables lose one of the counts; when the mm ends, "
        "nr_ptes is not 0. Mend: an atomic count, as Linux has it since 3.13 (e1f56c89b040)."
    ),
    edit="mm->nr_ptes += 1 without page_table_lock",
    as_posted=_as_posted,
    case=Case("fault 0 w | fault 1 w", {"ptrs_per_pte": 1}),
    check="page_tables",
    harmless=(("both pages lie in one table", Case("fault 0 w | fault 1 w")),),
    sound=sound_two_levels,
    shipped="v15_current",
)
