"""What the event loop is given and changes: parameters, lines, CPUs, and what it counts. All words are int64.

Times are picoseconds. NamedTuples, because compiled code takes them as they are. There their words are pointers:
Numba counts the references of arrays at every call.
"""

from __future__ import annotations

from typing import NamedTuple

from shm_layout.words import Words

MOST_LEVELS = 16

# Parameters, by their place in `Lines.costs`
OWN, OWN_ATOMIC, READ_BUSY, MEMORY, ENTRY, EXIT, CLEAR_BUSY, JITTER, NODE_CPUS, SET_WORDS, PARTS, LEVELS = range(12)
"""Costs in ps: an access to a line that the CPU has (plain, atomic); how long a read of a shared line occupies it; a
line from memory; private work before and after an operation; how long clearing a page occupies the node's memory;
JITTER in thousandths of private work; CPUs of a node; words of a set of sharers; parts of a CPU; number of levels."""
LEVEL_COST = LEVELS + 1
"""From here on, for each level: how many CPUs it spans, then what a line costs that crosses it, ps."""
COSTS = LEVEL_COST + 2 * MOST_LEVELS

# Sums, by their place in `Run.sums`
(
    FAULTS,
    ACCESSES,
    ATOMICS,
    TRANSFERS,
    WAITS,
    WORK_PS,
    OWN_PS,
    LINE_PS,
    QUEUE_PS,
    SPIN_PS,
    BEGAN,
    ENDED,
    WINDOW_BEGAN,
    WINDOW_ENDED,
    WINDOW_FIRST,
    WINDOW_LAST,
    NOW,
    RANDOM,
    SEQUENCE,
    STATUS,
    FREE_SETS,
    READS_DONE,
    READ_PS,
    SUMS,
) = range(24)
"""Faults done; accesses of steps, those that are atomic, those for which a line moved, times that a step waited.

Times of all CPUs together, ps: private work; accesses to own lines; lines under way; waiting for a line that others
were before; waiting for a lock. When the first operation began and the last ended; the window in which the rate is
measured, and the faults done at its ends. Reads (of /proc) done, and their time.
"""

OK, NO_SETS, FAULTY, NO_JUMP = range(4)
"""Status: fine; more lines are shared at a time than there are sets for; a step made a wrong access; a step had an
outcome that its program has no place for."""


class Lines(NamedTuple):
    """The cache lines. ``owner``: CPU that has the line alone, `NOBODY`, or `SHARED`.

    ``free``: when it has served those who asked. ``row``: where the line's set of sharers begins. ``sets``: bits of
    CPUs. ``spare``: sets not in use. ``low``, ``high``: least and greatest sharer. ``first``, ``last``: queue of
    waiters, -1 for none.
    """

    owner: Words
    free: Words
    row: Words
    low: Words
    high: Words
    first: Words
    last: Words
    sets: Words
    spare: Words


NOBODY, SHARED = -1, -2


class Cpus(NamedTuple):
    """The CPUs.

    ``registers``: `REGISTERS` words each. ``pc``: where its row of code begins, -1 when at rest. ``next``: who waits
    behind it, -1.

    ``since``: when it began to wait, -1. ``ready``: when its own look is over.
    ``part``: which of its parts is next. ``parts``: by CPU and part: next page, end, write, operation's first row,
    its number. ``done``: operations done. ``quota``: at most so many. ``near``: thousandths of its pages that lie
    near. ``reader``: 1 for a CPU whose operations are reads, not faults. ``began``: when its operation began.
    """

    registers: Words
    pc: Words
    next: Words
    since: Words
    ready: Words
    part: Words
    parts: Words
    done: Words
    quota: Words
    near: Words
    reader: Words
    began: Words


PART_PAGE, PART_END, PART_WRITE, PART_CODE, PART_NUMBER, PART_WORDS = range(6)


class Heap(NamedTuple):
    """Events, the earliest first: time, place among those of the same time, CPU. ``size[0]``: how many."""

    time: Words
    order: Words
    cpu: Words
    size: Words


class Run(NamedTuple):
    """Costs, sums, and work of a page by kind (`stress.scale.code`): near and far, ps."""

    costs: Words
    sums: Words
    work: Words
    until: int
    window: tuple[int, int]
