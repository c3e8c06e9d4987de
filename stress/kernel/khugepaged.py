"""khugepaged and files (mm/khugepaged.c of Linux 6.6): page tables are taken away while faults go on."""

from __future__ import annotations

from shm_layout.registers import R_ADDRESS, R_MM, R_PAGE
from shm_layout.structs import PRIVATE_END
from shm_layout.words import Words
from stress.kernel.pgalloc import table_begins, take_empty_table
from stress.labels import NOT_MAPPED
from stress.step import DONE, NEXT, step


@step(private=True)
def if_table_of_shared_file(m: Words, r: Words) -> int:
    """retract_page_tables(): only tables of a shared mapping, in which no anonymous page can be (vma->anon_vma)."""
    return NEXT if table_begins(m, 0, r[R_ADDRESS]) >= m[PRIVATE_END] else DONE


@step(whole="page_table_lock")
def retract_page_table(m: Words, r: Words) -> int:
    """pmdp_collapse_flush(), mm_dec_nr_ptes(): an empty page table is taken away, mmap_lock not held; it is in R_PAGE.

    The pages of the file have been unmapped before; a table in which one is mapped again stays, `not_mapped`.
    """
    table = take_empty_table(m, r[R_MM], r[R_ADDRESS])
    if table < 0:
        return NOT_MAPPED
    r[R_PAGE] = table
    return NEXT
