"""What a read may show: between the least and the greatest true value while it is under way.

The true value is the number of ptes of the mm that count. An operation under way that is at a pte may have been
counted or not, so that the value may be one less or one more for each: a fault whose page has been swapped out again
before it counted it is one less than none. Such an operation may also have changed one of two counters and not the
other, so what is shown as their difference may be off by one more for each. The reader's registers R_RSS_LOW to
R_FILE_HIGH keep both ends, from the state in which the read begins until what it shows as resident is known.
"""

# Compiled functions have no objects to keep their arrays in.
# ruff: noqa: PLR0917

from __future__ import annotations

from shm_layout.atomic import read_once
from shm_layout.registers import (
    R_ADDRESS,
    R_ARG,
    R_CHILD,
    R_CURRENT,
    R_FILE_HIGH,
    R_FILE_LOW,
    R_MM,
    R_OP,
    R_RESIDENT,
    R_RSS_HIGH,
    R_RSS_LOW,
    R_SHARED,
)
from shm_layout.structs import MM_STRIDE, MM_USERS, NR_MMS, NR_PTES, TASK_MM, TASK_STRIDE, at
from shm_layout.words import Words
from stress.checks import counter_wrong, pair_wrong
from stress.explore.calls import window
from stress.explore.image import (
    COVERS_ANY,
    COVERS_CHILD,
    COVERS_NOTHING,
    COVERS_PAGE,
    COVERS_PAGE_OF_ALL,
    COVERS_RANGE,
    OP_ADDRESS,
    OP_COVERS,
    OP_END,
    OP_READ,
    OP_ROW,
    P_BOUND,
    P_CPU,
    P_CPUS,
    P_OPS,
    P_SEEN,
    R_DONE,
    STRIDE,
)
from stress.explore.verdict import READ_PAIR, READ_REGULAR
from stress.kernel.mm_types import MM_EXITING
from stress.kernel.pgtable import first_page, pte_anon, pte_at, pte_counted
from stress.kernel.proc import NOT_SHOWN
from stress.step import helper

_FAR = 1 << 40
"""Beyond every count."""


@helper
def operation_row(p: Words, r: Words, cpu: int) -> int:
    """Index in ``p`` of the row of the operation that a CPU is in, or performs next."""
    return p[P_OPS] + OP_ROW * (p[P_CPU + 2 * cpu] + r[R_DONE])


@helper
def covers(p: Words, m: Words, g: Words, cpu: int, mm: int, address: int) -> bool:
    """Whether the operation that a CPU is in may be about to count or uncount this pte."""
    r = window(g, cpu * STRIDE)
    if r[R_OP] == 0:
        return False
    row = operation_row(p, r, cpu)
    kind = p[row + OP_COVERS]
    within = p[row + OP_ADDRESS] <= address < p[row + OP_END]
    if kind == COVERS_PAGE and r[R_MM] == mm and r[R_ADDRESS] == address:
        return True
    if kind == COVERS_RANGE and r[R_MM] == mm and within:
        return True
    if kind == COVERS_CHILD and r[R_CHILD] == mm and within:
        return True
    if kind == COVERS_PAGE_OF_ALL and r[R_ADDRESS] == address:
        return True
    if kind == COVERS_ANY and (within or r[R_ADDRESS] == address):
        return True
    # exit_mmap: its last user is at all of its ptes.
    return kind != COVERS_NOTHING and r[R_MM] == mm and m[at(m, MM_USERS, MM_STRIDE, mm)] == MM_EXITING


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
    maybe = 0
    for address in range(first_page(m, mm), m[NR_PTES]):
        for other in range(p[P_CPUS]):
            if other != cpu and covers(p, m, g, other, mm, address):
                maybe += 1
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
