"""What is true of the page tables, noted by the step that changes a pte, for checks while workers run.

No design reads it. Each worker has four words for each mm: counted ptes set, counted ptes cleared, and the
same for pages of the file. They only grow, so that two readings of them bound what was true in between; only
that worker writes them. Copy-on-write sets one and clears one: counters that are changed for each of the two
show one, both or none on the way. Where register R_GHOST is 0 (explore) nothing is
kept.
"""

from __future__ import annotations

from shm_layout.atomic import read_half, read_once, write_once
from shm_layout.registers import R_GHOST
from shm_layout.words import Words
from stress.kernel.pgtable import COUNTS, pte_anon, pte_counted
from stress.step import helper

ACCOUNT_WORDS = 4
"""Words a worker keeps for each mm."""
SET, CLEARED, FILE_SET, FILE_CLEARED = range(ACCOUNT_WORDS)

NO_PAGE, ANON_PAGE, FILE_PAGE = range(3)


@helper
def pte_kind(m: Words, r: Words, entry: int) -> int:
    """Return what kind of page rss counts for this pte, `NO_PAGE` when it counts none, or nothing is kept."""
    if r[R_GHOST] == 0 or pte_counted(m, entry) == 0:
        return NO_PAGE
    return ANON_PAGE if pte_anon(m, entry) != 0 else FILE_PAGE


@helper
def before(m: Words, r: Words, pte: int) -> int:
    """Return the entry that a step is about to overwrite, for `note`; read only where an account is kept."""
    return 0 if r[R_GHOST] == 0 else read_once(m, pte)


@helper
def half_before(m: Words, r: Words, pte: int, h: int) -> int:
    """Return one half of such an entry."""
    return 0 if r[R_GHOST] == 0 else read_half(m, pte, h)


@helper
def note(m: Words, r: Words, mm: int, old: int, new: int, kind: int) -> None:  # noqa: PLR0917
    """Note that a pte of ``mm`` went from ``old`` to ``new``, which is of this ``kind``.

    The kind of ``new`` is asked before others can see the pte, and may free the page; that of ``old`` is asked here,
    as its page is still held by the reference of this pte.
    """
    if r[R_GHOST] == 0:
        return
    if old >> 12 == new >> 12 and (old & COUNTS) != 0 and (new & COUNTS) != 0:  # the same page
        return
    word = r[R_GHOST] + ACCOUNT_WORDS * mm
    was = pte_kind(m, r, old)
    if kind != NO_PAGE:
        write_once(m, word + SET, read_once(m, word + SET) + 1)
    if was != NO_PAGE:
        write_once(m, word + CLEARED, read_once(m, word + CLEARED) + 1)
    if kind == FILE_PAGE:
        write_once(m, word + FILE_SET, read_once(m, word + FILE_SET) + 1)
    if was == FILE_PAGE:
        write_once(m, word + FILE_CLEARED, read_once(m, word + FILE_CLEARED) + 1)
