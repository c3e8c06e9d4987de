"""Patch set V14 without its last patch, which splits the counters: do_anonymous_page counts on the mm, plainly."""

from __future__ import annotations

from stress.design import Design
from stress.designs.page_table_lock import MM_COUNTER
from stress.designs.parts.operations import operations
from stress.designs.v13 import ACCESSES_OF_V13, fault_of_v13, with_page_tables
from stress.machine_kind import TWO_LEVELS

DESIGN = Design(
    name="v14_unsplit",
    year=2005,
    source="page fault scalability patch V14 [1-6/7], 4 January 2005",
    summary="V14 up to its sixth patch: mm->rss += 1 and mm->anon_rss += 1 without a lock; as posted",
    programs=with_page_tables(operations(fault_of_v13(MM_COUNTER), MM_COUNTER, ACCESSES_OF_V13)),
    machine=TWO_LEVELS,
)
"""It is held to exact counts: nothing in the six patches says that counts may be lost, and the seventh is on top."""
