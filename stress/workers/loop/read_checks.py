"""Checks `read_regular` and `read_pair` while workers run, compiled into the generated loop of a worker.

What a read shows must lie between the least and the greatest true value during the read, where an operation
under way may count or not. Each worker counts the pages that it has set and cleared (`stress.kernel.account`)
and says how many the operation under way may still change (POT_PLUS, POT_MINUS). All these counts only grow, so

- at least the pages set before the read, without those of operations under way, are counted as set, and at
  most those set when it is over, with those of operations then under way;
- likewise for the pages cleared; and for the pages of the file.
"""

from __future__ import annotations

from shm_layout.atomic import load
from shm_layout.registers import R_RESIDENT, R_SHARED
from shm_layout.words import Words
from stress.checks import counter_wrong, pair_wrong
from stress.kernel.account import ACCOUNT_WORDS, CLEARED, FILE_CLEARED, FILE_SET, SET
from stress.kernel.proc import NOT_SHOWN
from stress.step import helper
from stress.workers.loop import block
from stress.workers.loop.helpers import ANY_MM, first_broken


@helper
def before_read(m: Words, b: Words, mm: int) -> None:
    """Note what is true of an mm before a read: the counts first, then what is under way."""
    plus = minus = file_plus = file_minus = widen = late_plus = late_minus = 0
    for worker in range(b[block.WORKERS]):
        theirs = b[block.BLOCKS] + worker * b[block.STRIDE]
        account = theirs + block.ACCOUNT + ACCOUNT_WORDS * mm
        set_ = load(m, account + SET)
        cleared = load(m, account + CLEARED)
        file_plus += load(m, account + FILE_SET)
        file_minus += load(m, account + FILE_CLEARED)
        widen -= set_ + cleared + load(m, theirs + block.FINISHED)
        where = load(m, theirs + block.POT_MM)
        if where in (mm, ANY_MM):
            may_set = load(m, theirs + block.POT_PLUS)
            may_clear = load(m, theirs + block.POT_MINUS)
            late_plus += may_set
            late_minus += may_clear
            widen += may_set + may_clear
        plus += set_
        minus += cleared
    b[block.PLUS] = plus
    b[block.MINUS] = minus
    b[block.LATE_PLUS] = late_plus
    b[block.LATE_MINUS] = late_minus
    b[block.FILE_PLUS] = file_plus
    b[block.FILE_MINUS] = file_minus
    b[block.WIDEN] = widen


@helper
def after_read(m: Words, b: Words, r: Words, mm: int, number: int, bound: int) -> None:  # noqa: PLR0917
    """Judge what the read shows by what is true after it: what is under way first, then the counts.

    ``bound``: how far this read may be off, pages; -1 where the design promises nothing.
    """
    resident = r[R_RESIDENT]
    shared = r[R_SHARED]
    if resident == NOT_SHOWN:
        return
    plus = minus = file_plus = file_minus = 0
    late_low, late_high = b[block.LATE_PLUS], b[block.LATE_MINUS]
    widen = b[block.WIDEN]
    for worker in range(b[block.WORKERS]):
        theirs = b[block.BLOCKS] + worker * b[block.STRIDE]
        account = theirs + block.ACCOUNT + ACCOUNT_WORDS * mm
        where = load(m, theirs + block.POT_MM)
        if where in (mm, ANY_MM):
            may_set = load(m, theirs + block.POT_PLUS)
            may_clear = load(m, theirs + block.POT_MINUS)
            late_high += may_set
            late_low += may_clear
            widen += may_set + may_clear
        set_ = load(m, account + SET)
        cleared = load(m, account + CLEARED)
        plus += set_
        minus += cleared
        file_plus += load(m, account + FILE_SET)
        file_minus += load(m, account + FILE_CLEARED)
        widen += set_ + cleared + load(m, theirs + block.FINISHED)
    low = b[block.PLUS] - minus
    high = plus - b[block.MINUS]
    b[block.READS] += 1
    b[block.WORST] = max(b[block.WORST], low - late_low - resident, resident - high - late_high)
    if mm == 0:
        b[block.LAST_RESIDENT] = resident
    if counter_wrong(resident, low - late_low, high + late_high, bound):
        note_broken(m, b, block.REGULAR, resident, low, high, mm, number)
        note_late(b, block.REGULAR, late_low, late_high)
    if shared == NOT_SHOWN:
        return
    b[block.PAIRS] += 1
    low = b[block.FILE_PLUS] - file_minus
    high = file_plus - b[block.FILE_MINUS]
    if pair_wrong(shared, low - widen, high + widen, bound):
        note_broken(m, b, block.PAIR, shared, low, high, mm, number)
        note_late(b, block.PAIR, widen, widen)


@helper
def note_late(b: Words, record: int, low: int, high: int) -> None:
    """Keep by how much the first broken read might have been lower and higher than the truth."""
    if b[record + block.BROKEN] == 1:
        b[record + block.LATE_LOW] = low
        b[record + block.LATE_HIGH] = high


@helper
def note_broken(m: Words, b: Words, record: int, shown: int, low: int, high: int, mm: int, number: int) -> None:  # noqa: PLR0917
    """Count a broken check in REGULAR or PAIR, and keep the first."""
    b[record + block.BROKEN] += 1
    if b[record + block.BROKEN] == 1:
        b[record + block.SHOWN] = shown
        b[record + block.LOW] = low
        b[record + block.HIGH] = high
        b[record + block.WHERE] = mm
        b[record + block.BY] = number
        first_broken(m, b)
