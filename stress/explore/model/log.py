"""What each transition accesses, kept while it is under way, and what was learned of each place in the programs.

The log holds the accesses of all steps of a transition, private ones and one that waits included. From it follows what
a CPU touches at a *place*: a row of code in one of the operations of the workload. `stress.explore.reduction` says who
may go on alone from what was touched at all places; a search in which something else is touched begins again.

What a read may show is judged by states in which other CPUs move (`stress.explore.model.read_interval`). That is no
access of a step, so it stands for one: word `TRUTH` is written by a transition that changes what is true of the
mapped pages, and by the begin and the end of an operation, which may be late; it is read where the interval of a read
begins and ends.
"""

from __future__ import annotations

from shm_layout.record import COUNT, ENTRIES, ENTRY, KIND, MOST, READ, REGISTERS_READ, STEP
from shm_layout.registers import R_CPU, R_LEVEL, R_OP, R_PC, R_RESIDENT, R_SCAN
from shm_layout.structs import FIRST_WORD, NR_ALL_PTES, PTE
from shm_layout.words import Words
from stress.explore.model.image import (
    OP_PC,
    OP_READ,
    OP_ROW,
    P_CPU,
    P_LEARNED,
    P_LOG,
    P_OPS,
    P_PLACES,
    P_RECORD,
    P_SPLIT,
    P_TOUCHED,
    P_TOUCHED_ROW,
    P_TRUTH,
    P_WORDS,
    R_DONE,
    STRIDE,
    SUMMED,
)
from stress.explore.model.primitives import window
from stress.explore.model.read_interval import operation_row
from stress.kernel.pgtable import PG_FILE, pte_counted, pte_page
from stress.kernel.proc import NOT_SHOWN
from stress.step import helper

LOG_COUNT, LOG_TRUTH, LOG_REGISTERS, LOG_FIRST = range(4)
"""Words of the log: how many accesses; whether `TRUTH` is read (bit 0) and written (bit 1); the registers by which a
step may have decided, a bit for each; the first access."""
LOG_ENTRY = 3
"""Words of an access: the index, the kind as in the record, what the word held before."""
LOG_MOST = 128
"""Accesses that are kept: a transition that makes more has no effect that could be known."""
LOG_WORDS = LOG_FIRST + LOG_ENTRY * LOG_MOST
TRUTH = 1
"""The word that stands for what is true of the mapped pages: a constant, which no step accesses."""
WAIT_WORD, WAITED, PASSED, SEEN, READS = range(5)
"""Words of what was touched at a place: the word that a step there waits for, with which values it waited, and with
which it did not, a bit for each; whether a transition began there; then bits for the words that were read and for
those that were written, and as many for those that were by every transition that was noted while learning."""
OF_A_LOOP = (1 << R_SCAN) | (1 << R_LEVEL)
"""Registers by which a step of this package may decide whether it waits. Others say for which word, and no more."""
WAIT_VALUES = 63
"""Values from 0 on that are told apart."""


@helper
def forget_log(p: Words) -> None:
    """Begin the log of a transition."""
    p[p[P_LOG] + LOG_COUNT] = 0
    p[p[P_LOG] + LOG_TRUTH] = 0
    p[p[P_LOG] + LOG_REGISTERS] = 0


@helper
def log_accesses(p: Words) -> None:
    """Add to the log what the record holds of a step."""
    record = window(p, p[P_RECORD])
    log = window(p, p[P_LOG])
    decides = OF_A_LOOP if record[STEP] < p[P_SPLIT] else ~(1 << R_CPU)
    log[LOG_REGISTERS] = log[LOG_REGISTERS] | (record[REGISTERS_READ] & decides)
    made = record[COUNT]
    count = log[LOG_COUNT]
    if made > MOST or count + made > LOG_MOST:
        log[LOG_COUNT] = LOG_MOST + 1
        return
    for i in range(made):
        index = record[ENTRIES + ENTRY * i]
        if index >= FIRST_WORD:
            entry = LOG_FIRST + LOG_ENTRY * count
            log[entry] = index
            log[entry + 1] = record[ENTRIES + ENTRY * i + 1]
            log[entry + 2] = record[ENTRIES + ENTRY * i + 3]
            count += 1
    log[LOG_COUNT] = count


@helper
def is_overfull(p: Words) -> bool:
    """Return whether the transition made more accesses than a log keeps."""
    return p[p[P_LOG] + LOG_COUNT] > LOG_MOST


# what is true of the mapped pages


@helper
def log_truth(p: Words, bits: int) -> None:
    """Note that the transition reads (1) or writes (2) `TRUTH`."""
    p[p[P_LOG] + LOG_TRUTH] = p[p[P_LOG] + LOG_TRUTH] | bits


@helper
def bit(row: Words, index: int) -> bool:
    """Return bit ``index`` of a row of words."""
    return ((row[index >> 6] >> (index & 63)) & 1) != 0


@helper
def is_truth(p: Words, m: Words, index: int, before: int) -> bool:
    """Return whether the change of a word, from what it held before, changes what is true of the mapped pages.

    Which page a pte counts; whose page a frame is; which mm a task has; whether an mm exits.
    """
    of_pages = window(p, p[P_TRUTH])
    if not bit(of_pages, index):
        return False
    first = m[PTE]
    if first <= index < first + m[NR_ALL_PTES]:
        was = pte_page(m, before) if pte_counted(m, before) != 0 else 0
        now = pte_page(m, m[index]) if pte_counted(m, m[index]) != 0 else 0
        return was != now
    if bit(window(of_pages, (p[P_WORDS] >> 6) + 1), index):
        return ((before ^ m[index]) & PG_FILE) != 0
    return before != m[index]


@helper
def changes_truth(p: Words, m: Words) -> bool:
    """Return whether a transition changed what is true of the mapped pages. Asked at its end: the log is complete."""
    log = window(p, p[P_LOG])
    found = False
    for i in range(log[LOG_COUNT]):
        entry = LOG_FIRST + LOG_ENTRY * i
        if (log[entry + 1] & KIND) != READ:
            found |= is_truth(p, m, log[entry], log[entry + 2])
    return found


@helper
def log_truth_of(  # noqa: PLR0917
    p: Words, m: Words, g: Words, cpu: int, began: bool, done: int, shown: int
) -> None:
    """Note at the end of a transition whether it reads or writes `TRUTH`.

    ``began``: it began an operation; ``done``, ``shown``: `R_DONE` and `R_RESIDENT` of its CPU before it.
    """
    r = window(g, cpu * STRIDE)
    ended = r[R_DONE] != done
    if is_overfull(p) or began or ended or changes_truth(p, m):
        log_truth(p, 2)
    read = p[operation_row(p, done, cpu) + OP_READ]
    if read != 0:
        hidden = began or shown == NOT_SHOWN
        if began or (ended and (hidden or read == SUMMED)) or (hidden and r[R_RESIDENT] != NOT_SHOWN):
            log_truth(p, 1)


# places, and what is touched there


@helper
def place_of(p: Words, g: Words, cpu: int) -> int:
    """Return the place of a CPU's next transition, 0 when it has none."""
    r = window(g, cpu * STRIDE)
    if r[R_OP] == 0 and r[R_DONE] == p[P_CPU + 2 * cpu + 1]:
        return 0
    row = operation_row(p, r[R_DONE], cpu)
    pc = p[row + OP_PC] if r[R_OP] == 0 else r[R_PC]
    return p[p[P_PLACES] + (row - p[P_OPS]) // OP_ROW] + pc


@helper
def touch(p: Words, touched: Words, index: int, writes: bool) -> None:
    """Note that a word is read or written at a place; one that was not before is learned."""
    word = READS + (index >> 6)
    if writes:
        word += (p[P_TOUCHED_ROW] - READS) >> 2
    if ((touched[word] >> (index & 63)) & 1) == 0:
        touched[word] = touched[word] | (1 << (index & 63))
        p[P_LEARNED] = 1


@helper
def note_touched(p: Words, place: int) -> None:
    """Note what the last transition, which began at a place, accessed. What makes too many accesses touches all."""
    log = window(p, p[P_LOG])
    touched = window(p, p[P_TOUCHED] + place * p[P_TOUCHED_ROW])
    if is_overfull(p):
        for i in range(READS, p[P_TOUCHED_ROW]):
            if touched[i] != -1:
                touched[i] = -1
                p[P_LEARNED] = 1
        touched[SEEN] = 1
        return
    for i in range(log[LOG_COUNT]):
        kind = log[LOG_FIRST + LOG_ENTRY * i + 1] & KIND
        touch(p, touched, log[LOG_FIRST + LOG_ENTRY * i], kind != READ)
    if log[LOG_TRUTH] != 0:
        if (log[LOG_TRUTH] & 1) != 0:
            touch(p, touched, TRUTH, False)
        if (log[LOG_TRUTH] & 2) != 0:
            touch(p, touched, TRUTH, True)


@helper
def note_always(p: Words, place: int) -> None:
    """Note which words are touched by this transition as by all before it from a place. It is called while learning.

    What is no longer right later says too little of who may go on alone, and never too much.
    """
    log = window(p, p[P_LOG])
    touched = window(p, p[P_TOUCHED] + place * p[P_TOUCHED_ROW])
    words = (p[P_TOUCHED_ROW] - READS) >> 2
    if is_overfull(p):
        return
    for word in range(2 * words):
        now = 0
        writes = word >= words
        for i in range(log[LOG_COUNT]):
            index = log[LOG_FIRST + LOG_ENTRY * i]
            if writes == ((log[LOG_FIRST + LOG_ENTRY * i + 1] & KIND) != READ) and index >> 6 == word - writes * words:
                now |= 1 << (index & 63)
        if word == writes * words and ((log[LOG_TRUTH] >> writes) & 1) != 0:
            now |= 1 << TRUTH
        always = READS + 2 * words + word
        touched[always] = now if touched[SEEN] == 0 else touched[always] & now
    touched[SEEN] = 1


@helper
def note_waits(p: Words, m: Words, place: int) -> None:
    """Note at a place what the step there, which has just returned WAIT, waits for: one word, and its value.

    Nothing where it may wait by its registers, too, such as for the turn of its ticket: at another time these differ.
    """
    log = window(p, p[P_LOG])
    touched = window(p, p[P_TOUCHED] + place * p[P_TOUCHED_ROW])
    word = log[LOG_FIRST]
    single = log[LOG_COUNT] != 0 and log[LOG_COUNT] <= LOG_MOST and log[LOG_REGISTERS] == 0
    for i in range(min(log[LOG_COUNT], LOG_MOST)):
        single = single and log[LOG_FIRST + LOG_ENTRY * i] == word
    if not single or (touched[WAIT_WORD] != 0 and touched[WAIT_WORD] != word):
        touched[PASSED] = -1
    else:
        touched[WAIT_WORD] = word
        if 0 <= m[word] < WAIT_VALUES:
            touched[WAITED] = touched[WAITED] | (1 << m[word])


@helper
def note_passes(p: Words, place: int) -> None:
    """Note that the step at a place where some waited did not: what was taken for a reason to wait may be none."""
    log = window(p, p[P_LOG])
    touched = window(p, p[P_TOUCHED] + place * p[P_TOUCHED_ROW])
    if touched[WAITED] == 0 or touched[PASSED] == -1:
        return
    value = log[LOG_FIRST + 2]
    if log[LOG_COUNT] == 0 or is_overfull(p) or log[LOG_FIRST] != touched[WAIT_WORD]:
        touched[PASSED] = -1
        p[P_LEARNED] = 1
    elif 0 <= value < WAIT_VALUES and ((touched[PASSED] >> value) & 1) == 0:
        touched[PASSED] = touched[PASSED] | (1 << value)
        if ((touched[WAITED] >> value) & 1) != 0:
            p[P_LEARNED] = 1
