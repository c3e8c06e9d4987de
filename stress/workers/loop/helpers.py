"""What the generated loop of a worker calls: random numbers, the barrier, waiting, beginning and ending operations.

Compiled together with the steps; ``m`` is the memory, ``b`` the worker's block (`stress.workers.loop.block`), ``r`` its
registers. Importing this module imports numba.
"""

from __future__ import annotations

from shm_layout.atomic import cmpxchg, cpu_relax, fetch_add, load, read_once, sched_yield, store, write_once
from shm_layout.registers import (
    KEPT,
    R_ADDRESS,
    R_ARG,
    R_END,
    R_ENTRY,
    R_MM,
    R_OOPS,
    R_OP,
    R_PC,
    R_RESIDENT,
    R_SHARED,
    R_WRITE,
    REGISTERS,
)
from shm_layout.structs import ANON_END, NR_PTES, STOP
from shm_layout.words import Words
from stress.compiling.clock import nap
from stress.compiling.program_loop import SPINS
from stress.compiling.random_numbers import draw
from stress.kernel.pgtable import WRITABLE, first_page, pte_present
from stress.kernel.proc import NOT_SHOWN
from stress.step import helper
from stress.workers.loop import block

ABORTED = -1
"""An operation was given up in the middle because the run was stopped: the machine is not at rest."""
ENDED = 0
"""An operation has ended."""
WITHOUT_EFFECT = 1
"""A fault ended without effect: another was faster, or there was no memory."""

NAPS = 1000
"""Tries after which the worker sleeps between two: with many workers on few CPUs, yielding is not enough."""

ANY_MM = -1
"""In POT_MM."""


@helper
def barrier(m: Words, b: Words, time: int) -> bool:
    """Wait until all workers of this command have come here ``time`` times, or are to rest.

    False when the run is stopped first.
    """
    if b[block.WAIT_FOR] == 0:
        return True
    word = b[block.SHARED] + block.ARRIVED
    fetch_add(m, word, 1)
    spins = 0
    while load(m, word) < time * b[block.WAIT_FOR]:
        if read_once(m, STOP) != 0:
            return False
        if read_once(m, b[block.SHARED] + block.PAUSE) != 0:
            return True
        cpu_relax()
        spins += 1
        if spins > SPINS:
            nap()
    return True


@helper
def keep_waiting(m: Words, r: Words, spins: int, pc: int) -> bool:
    """Spend the time between two tries of the step ``pc``; False when the run is stopped.

    Once the wait is long the step stands in R_PC (+ 1), to tell which worker waits where.
    """
    if read_once(m, STOP) != 0:
        return False
    cpu_relax()
    if spins >= SPINS:
        r[R_PC] = pc + 1
        if spins < NAPS:
            sched_yield()
        else:
            nap()
    return True


@helper
def own_begins(r: Words, place: int) -> None:
    """Note that a step of the design's own begins, which may never end. ``place``: among `Design.own_steps`, + 1."""
    write_once(r, block.OWN_BEGUN - block.REGISTERS_AT, r[block.OWN_BEGUN - block.REGISTERS_AT] + 1)
    store(r, block.OWN - block.REGISTERS_AT, place)


@helper
def own_ended(r: Words) -> None:
    """It has ended."""
    store(r, block.OWN - block.REGISTERS_AT, 0)


@helper
def pausing(m: Words, b: Words) -> bool:
    """Return the launcher wants all workers at rest."""
    return read_once(m, b[block.SHARED] + block.PAUSE) != 0 or read_once(m, STOP) != 0


@helper
def begin(b: Words, r: Words, number: int, mm: int, plus: int, minus: int) -> None:  # noqa: PLR0917
    """Note that an operation starts, and how many pages of an mm it may set and clear.

    The numbers of pages are stored before the mm is: who loads the mm first never sees too small a number.
    """
    r[R_OP] = number
    store(b, block.POT_PLUS, plus)
    store(b, block.POT_MINUS, minus)
    store(b, block.POT_MM, mm)


@helper
def fault_kind(m: Words, r: Words) -> int:
    """Return which of `stress.workers.loop.block.KINDS` the fault that just ended was."""
    entry = r[R_ENTRY]
    if entry == 0:
        if r[R_ADDRESS] >= m[ANON_END]:
            return 2
        return 0 if r[R_WRITE] != 0 else 1
    if not pte_present(entry):
        return 3
    return 4 if r[R_WRITE] != 0 and (entry & WRITABLE) == 0 else 5


@helper
def first_broken(m: Words, b: Words) -> None:
    """Note what all workers are doing when a check is seen broken, the first time that any worker sees one."""
    if cmpxchg(m, b[block.SHARED] + block.SEEN, 0, 1) != 0:
        return
    for worker in range(b[block.WORKERS]):
        theirs = b[block.BLOCKS] + worker * b[block.STRIDE]
        registers = theirs + block.REGISTERS_AT
        note = theirs + block.UNDER_WAY
        write_once(m, note, read_once(m, registers + R_OP))
        write_once(m, note + 1, read_once(m, registers + R_ADDRESS))
        write_once(m, note + 2, read_once(m, registers + R_END))
        write_once(m, note + 3, read_once(m, registers + R_WRITE))
        write_once(m, note + 4, read_once(m, registers + R_ARG))
        write_once(m, note + 5, read_once(m, registers + R_MM))


@helper
def end(m: Words, b: Words, r: Words, number: int, oops_before: int) -> None:
    """End an operation: count it, note what it broke first, clear its registers."""
    store(b, block.POT_PLUS, 0)
    store(b, block.POT_MINUS, 0)
    store(b, block.FINISHED, b[block.FINISHED] + 1)
    b[block.OPS + number - 1] += 1
    if r[R_OOPS] != oops_before and b[block.OOPS_OP] == 0:
        b[block.OOPS_OP] = number
        b[block.OOPS_ADDRESS] = r[R_ADDRESS]
        first_broken(m, b)
    for i in range(KEPT, REGISTERS):
        r[i] = 0


# what a random operation is given


@helper
def random_page(m: Words, b: Words, r: Words, x: int, mm: int) -> None:
    """Draw a virtual page of the worker's area, and whether it is written to.

    Where ``mm`` does not have that page, the page as far after its first one, round and round.
    """
    address = b[block.FIRST] + draw(x, b[block.END] - b[block.FIRST])
    first = first_page(m, mm)
    if address < first:
        address = first + address % (m[NR_PTES] - first)
    r[R_ADDRESS] = address
    r[R_WRITE] = 1 if (x & 1023) < b[block.WRITES] else 0


@helper
def random_range(m: Words, b: Words, r: Words, x: int, mm: int) -> None:
    """Draw a range of 1 to SPAN pages that ``mm`` has."""
    random_page(m, b, r, x, mm)
    end = b[block.END] if r[R_ADDRESS] < b[block.END] else m[NR_PTES]
    r[R_END] = min(end, r[R_ADDRESS] + 1 + draw(x << 20, b[block.SPAN]))


@helper
def random_read(b: Words, r: Words, x: int) -> None:
    """Read of the task's own mm, or (where it cannot end meanwhile) of mm 0."""
    r[R_ARG] = 0 if b[block.ONLY_OWN] != 0 or (x & 1024) != 0 else 1
    r[R_RESIDENT] = NOT_SHOWN
    r[R_SHARED] = NOT_SHOWN
