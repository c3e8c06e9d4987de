"""What a read may show: between the least and the greatest true value while it is under way.

The true value is the number of ptes of the mm that count. An operation under way that changes a pte may have been
counted or not, so that the value may be one less or one more for each pte that it changes: a fault whose page has been
swapped out again before it counted it is one less than none. Such an operation may also have changed one of two
counters and not the other, so what is shown as their difference may be off by one more for each.

Which ptes an operation of the workload changes is not told by its name. It is learned from what its steps do
(`learn_changes`): a search that sees an operation change a pte that it was not known to change begins again. A design
can say instead by how many pages an operation may be late (``Design.late_by``).

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
from shm_layout.structs import MM_STRIDE, MM_USERS, NR_ALL_PTES, NR_MMS, NR_PTES, PTE, TASK_MM, TASK_STRIDE, at
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
    P_LEARNED,
    P_OPS,
    P_PTES,
    P_SEEN,
    R_DONE,
    STRIDE,
)
from stress.explore.model.primitives import window
from stress.kernel.mm_types import MM_EXITING
from stress.kernel.pgtable import first_page, pte_anon, pte_at, pte_counted, pte_page
from stress.kernel.proc import NOT_SHOWN
from stress.step import helper

_FAR = 1 << 40
"""Beyond every count."""
BITS = 62
"""Bits of a word that are used: shifts of signed words stay clear of the sign."""


@helper
def operation_row(p: Words, r: Words, cpu: int) -> int:
    """Index in ``p`` of the row of the operation that a CPU is in, or performs next."""
    return p[P_OPS] + OP_ROW * (p[P_CPU + 2 * cpu] + r[R_DONE])


@helper
def change_word(p: Words, r: Words, cpu: int, pte: int, exiting: bool) -> int:
    """Index in ``p`` of the word that says whether the operation that a CPU is in changes this pte.

    What changes while its mm exits is kept apart.
    """
    row = (operation_row(p, r, cpu) - p[P_OPS]) // OP_ROW
    return p[P_CHANGES] + (2 * row + exiting) * p[P_CHANGE_WORDS] + pte // BITS


@helper
def mm_exits(m: Words, mm: int) -> bool:
    """Whether the last user of an mm is taking it down."""
    return m[at(m, MM_USERS, MM_STRIDE, mm)] == MM_EXITING


@helper
def changes(p: Words, m: Words, r: Words, cpu: int, mm: int, address: int) -> bool:  # noqa: PLR0917
    """Whether the operation that a CPU is in is known to change the pte of this page, as far as its mm has come.

    Pages that go with the mm alone are not late before it exits.
    """
    pte = pte_at(m, mm, address) - m[PTE]
    if (p[change_word(p, r, cpu, pte, False)] >> (pte % BITS)) & 1 != 0:
        return True
    return mm_exits(m, mm) and (p[change_word(p, r, cpu, pte, True)] >> (pte % BITS)) & 1 != 0


@helper
def keep_ptes(p: Words, m: Words) -> None:
    """Keep all ptes as they are before a transition."""
    kept = p[P_PTES]
    for pte in range(m[NR_ALL_PTES]):
        p[kept + pte] = m[m[PTE] + pte]


@helper
def learn_changes(p: Words, m: Words, r: Words, cpu: int) -> None:
    """Learn which ptes the operation that a CPU is in changes: it has just taken a step. Flags are no change."""
    for mm in range(m[NR_MMS]):
        for address in range(first_page(m, mm), m[NR_PTES]):
            pte = pte_at(m, mm, address) - m[PTE]
            old = p[p[P_PTES] + pte]
            new = m[m[PTE] + pte]
            was = pte_page(m, old) if pte_counted(m, old) != 0 else 0
            now = pte_page(m, new) if pte_counted(m, new) != 0 else 0
            if was != now and not changes(p, m, r, cpu, mm, address):
                word = change_word(p, r, cpu, pte, mm_exits(m, mm))
                p[word] = p[word] | (1 << (pte % BITS))
                p[P_LEARNED] = 1


@helper
def may_be_late(p: Words, m: Words, g: Words, cpu: int, mm: int) -> int:
    """Pages of an mm that the operations of the other CPUs may have counted before their ptes say so, or after."""
    pages = 0
    for other in range(p[P_CPUS]):
        r = window(g, other * STRIDE)
        if other == cpu or r[R_OP] == 0:
            continue
        late = p[operation_row(p, r, other) + OP_LATE]
        if late >= 0:
            pages += late
            continue
        for address in range(first_page(m, mm), m[NR_PTES]):
            pages += changes(p, m, r, other, mm, address)
    return pages


@helper
def widen_read(p: Words, m: Words, g: Words, cpu: int) -> None:
    """Take the present state into the interval of the read that a CPU is in, if it is in one."""
    r = window(g, cpu * STRIDE)
    if r[R_OP] == 0 or p[operation_row(p, r, cpu) + OP_READ] == 0 or r[R_RESIDENT] != NOT_SHOWN:
        return
    mm = r[R_ARG] - 1
    if mm < 0:
        mm = m[at(m, TASK_MM, TASK_STRIDE, r[R_CURRENT])]
    if mm >= m[NR_MMS]:
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
    under_way = 0
    for other in range(p[P_CPUS]):
        if other != cpu and g[other * STRIDE + R_OP] != 0:
            under_way += 1
    r[R_FILE_LOW] = min(r[R_FILE_LOW], file_pages - maybe - under_way)
    r[R_FILE_HIGH] = max(r[R_FILE_HIGH], file_pages + maybe + under_way)


@helper
def begin_read(p: Words, m: Words, g: Words, cpu: int) -> None:
    """A read begins: nothing shown, and the interval is the present state."""
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
def judge_read(p: Words, r: Words) -> int:
    """The checks that what a read shows breaks, see `stress.checks.counter_wrong` and `pair_wrong`."""
    broken = 0
    bound = p[P_BOUND]
    see_read(p, r, r[R_OP])
    shown = r[R_RESIDENT]
    if shown != NOT_SHOWN and counter_wrong(shown, r[R_RSS_LOW], r[R_RSS_HIGH], bound):
        broken |= READ_REGULAR
    shown = r[R_SHARED]
    if shown != NOT_SHOWN and pair_wrong(shown, r[R_FILE_LOW], r[R_FILE_HIGH], bound):
        broken |= READ_PAIR
    return broken
