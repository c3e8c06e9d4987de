"""What a read may show: between the least and the greatest true value while it is under way.

The true value is the number of ptes of the mm that count. An operation under way that changes a pte may have been
counted or not, so that the value may be one less or one more for each pte that it changes: a fault whose page has been
swapped out again before it counted it is one less than none. Such an operation may also have changed one of two
counters and not the other, so what is shown as their difference may be off by one more for each.

Which ptes an operation of the workload changes does not follow from its name. It is learned from what its steps do
(`learn_changes`): a search that sees an operation change a pte that it was not known to change begins again. A design
can say instead by how many pages an operation may be late (``Design.late_by``).

What sums the counts of CPU after CPU sees what changes meanwhile in part: it may miss a page that is counted on a CPU
that it has been to, and still see the same page taken off on another. So what a precise sum shows
(``Design.exact_reads``) lies between the true value as it begins less all pages taken away until it ends, and that
value with all pages that came; `add_changes` keeps these.

The reader's registers R_RSS_LOW to R_FILE_HIGH keep both ends, from the state in which the read begins until what it
shows as resident is known.
"""

# Compiled functions have no objects to keep their arrays in.

from __future__ import annotations

from shm_layout.atomic import read_once
from shm_layout.registers import (
    R_ARG,
    R_CURRENT,
    R_FILE_HIGH,
    R_FILE_LOW,
    R_OP,
    R_RESIDENT,
    R_RSS_HIGH,
    R_RSS_LOW,
    R_SHARED,
)
from shm_layout.structs import MM_USERS, NR_ALL_PTES, NR_MMS, NR_PTES, PTE, TASK_MM, at
from shm_layout.words import Words
from stress.checks import counter_wrong, pair_wrong
from stress.explore.model.check_bits import READ_PAIR, READ_REGULAR
from stress.explore.model.image import (
    OP_LATE,
    OP_READ,
    OP_ROW,
    P_BOUND,
    P_CHANGE_WORDS,
    P_CHANGES,
    P_CPU,
    P_CPUS,
    P_ENTRIES,
    P_LEARNED,
    P_OPS,
    P_PTES,
    P_READS,
    P_SEEN,
    R_DONE,
    STRIDE,
    SUMMED,
)
from stress.explore.model.primitives import window
from stress.explore.model.store_buffer import (
    ENTRY_OF_BUFFER,
    PLACE,
    buffer_of,
    buffered,
    operation_of,
)
from stress.kernel.mm_types import MM_EXITING
from stress.kernel.pgtable import first_page, pte_anon, pte_at, pte_counted, pte_page
from stress.kernel.proc import NOT_SHOWN
from stress.step import helper

_FAR = 1 << 40
"""Beyond every count."""
BITS = 32
"""Bits of a word that are used: shifts of signed words stay clear of the sign, and a division is a shift."""


@helper
def operation_row(p: Words, done: int, cpu: int) -> int:
    """Return the index in ``p`` of the row of the operation that a CPU is in, or performs next, after ``done``."""
    return p[P_OPS] + OP_ROW * (p[P_CPU + 2 * cpu] + done)


@helper
def change_word(p: Words, row: int, pte: int, exiting: bool) -> int:
    """Return the index in ``p`` of the word that says whether an operation (`operation_row`) changes this pte.

    What changes while its mm exits is kept apart.
    """
    number = (row - p[P_OPS]) // OP_ROW
    return p[P_CHANGES] + (2 * number + exiting) * p[P_CHANGE_WORDS] + pte // BITS


@helper
def mm_exits(m: Words, mm: int) -> bool:
    """Return whether the last user of an mm is taking it down."""
    return m[at(m, MM_USERS, mm)] == MM_EXITING


@helper
def changes(p: Words, m: Words, row: int, mm: int, address: int) -> bool:
    """Return whether the operation of a row is known to change the pte of this page, as far as its mm has come.

    Pages that go with the mm alone are not late before it exits.
    """
    pte = pte_at(m, mm, address) - m[PTE]
    return changed_of(p, row, mm_exits(m, mm), pte, pte + 1) != 0


@helper
def changed_of(p: Words, row: int, exits: bool, first: int, end: int) -> int:
    """Return how many ptes from ``first`` to ``end`` the operation of a row `changes`; ``exits``: their mm exits."""
    sure = change_word(p, row, 0, False)
    more = change_word(p, row, 0, True) if exits else sure
    changed = 0
    for pte in range(first, end):
        changed += ((p[sure + pte // BITS] | p[more + pte // BITS]) >> (pte % BITS)) & 1
    return changed


@helper
def keep_ptes(p: Words, m: Words) -> None:
    """Keep all ptes as they are before a transition."""
    kept = p[P_PTES]
    for pte in range(m[NR_ALL_PTES]):
        p[kept + pte] = m[m[PTE] + pte]


@helper
def ptes_changed(p: Words, m: Words) -> bool:
    """Return whether a transition changed any pte since `keep_ptes`; most do not."""
    different = 0
    for pte in range(m[NR_ALL_PTES]):
        different |= p[p[P_PTES] + pte] ^ m[m[PTE] + pte]
    return different != 0


@helper
def learn_changes(p: Words, m: Words, row: int) -> None:
    """Learn which ptes the operation of a row changes: a step of it was just taken. Flags are no change."""
    if not ptes_changed(p, m):
        return
    for mm in range(m[NR_MMS]):
        for address in range(first_page(m, mm), m[NR_PTES]):
            pte = pte_at(m, mm, address) - m[PTE]
            old = p[p[P_PTES] + pte]
            new = m[m[PTE] + pte]
            was = pte_page(m, old) if pte_counted(m, old) != 0 else 0
            now = pte_page(m, new) if pte_counted(m, new) != 0 else 0
            if was != now and not changes(p, m, row, mm, address):
                word = change_word(p, row, pte, mm_exits(m, mm))
                p[word] = p[word] | (1 << (pte % BITS))
                p[P_LEARNED] = 1


@helper
def first_under_way(p: Words, m: Words, g: Words, cpu: int) -> int:
    """Return how many operations of a CPU are done and over: those whose stores are all in the memory, too."""
    done = g[cpu * STRIDE + R_DONE]
    if p[P_ENTRIES] != 0:
        for i in range(buffered(p, m, cpu)):
            done = min(done, operation_of(buffer_of(p, m, cpu)[ENTRY_OF_BUFFER * i + PLACE]))
    return done


@helper
def first_over(p: Words, g: Words, cpu: int, reader: int) -> int:
    """Return how many operations of a CPU are done or under way, not counting the one that a reader reads by."""
    return g[cpu * STRIDE + R_DONE] + (cpu != reader and g[cpu * STRIDE + R_OP] != 0)


@helper
def may_be_late(p: Words, m: Words, g: Words, cpu: int, mm: int) -> int:
    """Return pages of an mm that operations beside a CPU's own may have counted before their ptes say so, or after.

    Operations under way, and those that have ended with stores left in the buffer of their CPU; of the CPU itself,
    too, which sees its own stores before they are in the memory.
    """
    exits = mm_exits(m, mm)
    first = pte_at(m, mm, first_page(m, mm)) - m[PTE]
    end = pte_at(m, mm, m[NR_PTES]) - m[PTE]
    pages = 0
    for other in range(p[P_CPUS]):
        for done in range(first_under_way(p, m, g, other), first_over(p, g, other, cpu)):
            row = operation_row(p, done, other)
            late = p[row + OP_LATE]
            if late >= 0:
                pages += late
                continue
            pages += changed_of(p, row, exits, first, end)
    return pages


@helper
def operations_under_way(p: Words, m: Words, g: Words, cpu: int) -> int:
    """Return how many operations beside a CPU's own are under way, or have stores left in a buffer."""
    under_way = 0
    for other in range(p[P_CPUS]):
        under_way += first_over(p, g, other, cpu) - first_under_way(p, m, g, other)
    return under_way


@helper
def read_mm(m: Words, r: Words) -> int:
    """Return the mm that a read is of; one that is not there where there is none."""
    mm = r[R_ARG] - 1
    if mm < 0:
        mm = m[at(m, TASK_MM, r[R_CURRENT])]
    return mm if mm >= 0 else m[NR_MMS]


@helper
def add_changes(p: Words, m: Words, r: Words, mm: int) -> None:
    """Take what a transition changed, since `keep_ptes`, into the interval of a precise sum that is under way."""
    if not ptes_changed(p, m):
        return
    for address in range(first_page(m, mm), m[NR_PTES]):
        pte = pte_at(m, mm, address) - m[PTE]
        old = p[p[P_PTES] + pte]
        new = m[m[PTE] + pte]
        was = pte_page(m, old) if pte_counted(m, old) != 0 else 0
        now = pte_page(m, new) if pte_counted(m, new) != 0 else 0
        if was != now:
            r[R_RSS_LOW] = r[R_RSS_LOW] - (was != 0)
            r[R_RSS_HIGH] = r[R_RSS_HIGH] + (now != 0)
            pages = (was != 0) + (now != 0)
            r[R_FILE_LOW] = r[R_FILE_LOW] - pages
            r[R_FILE_HIGH] = r[R_FILE_HIGH] + pages


@helper
def widen_read(p: Words, m: Words, g: Words, cpu: int) -> None:
    """Take the present state into the interval of the read that a CPU is in, if it is in one."""
    r = window(g, cpu * STRIDE)
    if r[R_OP] == 0:
        return
    kind = p[operation_row(p, r[R_DONE], cpu) + OP_READ]
    mm = read_mm(m, r)
    if kind == 0 or mm >= m[NR_MMS]:
        return
    if kind == SUMMED and r[R_RSS_LOW] != _FAR:
        add_changes(p, m, r, mm)
        return
    if r[R_RESIDENT] != NOT_SHOWN:
        return
    pages = 0
    file_pages = 0
    maybe = may_be_late(p, m, g, cpu, mm)
    for address in range(first_page(m, mm), m[NR_PTES]):
        entry = read_once(m, pte_at(m, mm, address))
        counted = pte_counted(m, entry)
        pages += counted
        file_pages += counted - pte_anon(m, entry)
    r[R_RSS_LOW] = min(r[R_RSS_LOW], pages - maybe)
    r[R_RSS_HIGH] = max(r[R_RSS_HIGH], pages + maybe)
    under_way = operations_under_way(p, m, g, cpu)
    r[R_FILE_LOW] = min(r[R_FILE_LOW], file_pages - maybe - under_way)
    r[R_FILE_HIGH] = max(r[R_FILE_HIGH], file_pages + maybe + under_way)


@helper
def widen_reads(p: Words, m: Words, g: Words) -> None:
    """Take the present state into the intervals of all reads that are under way. Called after every transition."""
    if p[P_READS] != 0:
        for cpu in range(p[P_CPUS]):
            widen_read(p, m, g, cpu)


@helper
def begin_read(p: Words, m: Words, g: Words, cpu: int) -> None:
    """Begin a read: nothing is shown yet, and the interval is the present state."""
    r = window(g, cpu * STRIDE)
    r[R_RESIDENT] = NOT_SHOWN
    r[R_SHARED] = NOT_SHOWN
    r[R_RSS_LOW] = _FAR
    r[R_RSS_HIGH] = -_FAR
    r[R_FILE_LOW] = _FAR
    r[R_FILE_HIGH] = -_FAR
    widen_read(p, m, g, cpu)


@helper
def see_read(p: Words, r: Words, number: int) -> None:
    """Note that a read came to an end, and whether it showed a value; ``number`` as `P_SEEN` says."""
    seen = 1
    if r[R_RESIDENT] != NOT_SHOWN or r[R_SHARED] != NOT_SHOWN:
        seen = 3
    p[P_SEEN] = p[P_SEEN] | (seen << (2 * number))


@helper
def judge_read(p: Words, m: Words, g: Words, cpu: int) -> int:
    """Return the checks that what a read shows breaks, see `stress.checks.counter_wrong` and `pair_wrong`.

    What operations have counted already whose ptes a precise sum saw unchanged to its end is allowed for here.
    """
    broken = 0
    r = window(g, cpu * STRIDE)
    bound = p[P_BOUND]
    late = 0
    under_way = 0
    if p[operation_row(p, r[R_DONE], cpu) + OP_READ] == SUMMED:
        bound = 0
        mm = read_mm(m, r)
        late = may_be_late(p, m, g, cpu, mm) if mm < m[NR_MMS] else 0
        under_way = operations_under_way(p, m, g, cpu)
    see_read(p, r, r[R_OP])
    shown = r[R_RESIDENT]
    if shown != NOT_SHOWN and counter_wrong(shown, r[R_RSS_LOW] - late, r[R_RSS_HIGH] + late, bound):
        broken |= READ_REGULAR
    shown = r[R_SHARED]
    late += under_way
    if shown != NOT_SHOWN and pair_wrong(shown, r[R_FILE_LOW] - late, r[R_FILE_HIGH] + late, bound):
        broken |= READ_PAIR
    return broken
