"""What is true of the page tables, noted by the step that changes a pte, for checks while workers run.

No design reads it. Each worker has four words for each mm: counted ptes set, counted ptes cleared, and the
same for pages of the file. They only grow, so that two readings of them bound what was true in between; only
that worker writes them. Where register R_GHOST is 0 (explore) nothing is kept.
"""

from __future__ import annotations

from shm_layout.atomic import read_once, write_once
from shm_layout.registers import R_GHOST
from shm_layout.words import Words
from stress.kernel.pgtable import pte_anon, pte_counted
from stress.step import helper

ACCOUNT_WORDS = 4
"""Words a worker keeps for each mm."""
SET, CLEARED, FILE_SET, FILE_CLEARED = range(ACCOUNT_WORDS)


@helper
def note(m: Words, r: Words, mm: int, old: int, new: int) -> None:
    """A pte of ``mm`` went from ``old`` to ``new``."""
    if r[R_GHOST] == 0:
        return
    word = r[R_GHOST] + ACCOUNT_WORDS * mm
    pages = pte_counted(m, new) - pte_counted(m, old)
    file = pages - pte_anon(m, new) + pte_anon(m, old)
    if pages > 0:
        write_once(m, word + SET, read_once(m, word + SET) + 1)
    elif pages < 0:
        write_once(m, word + CLEARED, read_once(m, word + CLEARED) + 1)
    if file > 0:
        write_once(m, word + FILE_SET, read_once(m, word + FILE_SET) + 1)
    elif file < 0:
        write_once(m, word + FILE_CLEARED, read_once(m, word + FILE_CLEARED) + 1)
