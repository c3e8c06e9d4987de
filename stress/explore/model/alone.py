"""Which CPU may go on alone from a state, for that no other can do anything that its next transition depends on.

A CPU goes on alone where its transition is independent of all that the other CPUs can do before it moves: they write
no word that it accesses, and read none that it writes. Then every schedule from this state can be changed into one
that begins with it, and comes to the same; the others need not be tried first (a persistent set of one CPU:
Godefroid, Partial-Order Methods for the Verification of Concurrent Systems, 1996). Such states are passed through,
not kept. Why all checks have the same verdict is said in docs/reduction.md.

What others can do is what is touched at the places that their programs can come to, as far as they come: not past a
step that waits for a word as long as that has the value it has now, if only the CPU itself may change it.
`stress.explore.reduction` puts that into the image.
"""

from __future__ import annotations

from shm_layout.record import FAULT, KIND, READ
from shm_layout.registers import R_FILE_HIGH, R_OP, R_PC, R_RESIDENT, R_RSS_LOW
from shm_layout.words import Words
from stress.explore.model.check_bits import GOES_ON
from stress.explore.model.image import (
    OP_READ,
    P_ACCESSES,
    P_ALONE,
    P_ALONG,
    P_CPUS,
    P_LOG,
    P_ONE_MOVE,
    P_READS,
    P_RECORD,
    P_TOUCHED,
    P_TOUCHED_ROW,
    R_DONE,
    STRIDE,
)
from stress.explore.model.log import (
    LOG_COUNT,
    LOG_ENTRY,
    LOG_FIRST,
    LOG_MOST,
    LOG_TRUTH,
    READS,
    TRUTH,
    bit,
    is_overfull,
    log_truth_of,
    note_always,
    note_passes,
    note_touched,
    note_waits,
    place_of,
)
from stress.explore.model.primitives import call_move, window
from stress.explore.model.read_interval import operation_row
from stress.explore.model.transition import FINISHED, REFUSED, WAITS
from stress.step import helper

A_WAIT_WORDS, A_PLACES, A_ROW, A_DIGITS, A_FUTURE, A_WRITTEN, A_KEPT, A_CHAIN, A_NEVER, A_NOW, A_MADE = range(11)
A_AHEAD, A_REST, A_ASLEEP = 11, 12, 13
"""Words of what tells who may go on alone: how many words steps wait for; how many places; words of a row of bits;
and where, from here, lie: for each wait word its index and `VALUES` numbers, what each value adds to the number of
the table; in each table a row of bits for each place, words that can be read and words that can be written from there
on; for each row which of the wait words are written; room for registers; the CPUs that went on alone; in each table for
each place a bit for every other place that lets nobody at this one go on alone; the places of the CPUs now, the
number of the table, and which wait words hold somebody up; room for the accesses that the rules of steps look at
(`stress.explore.model.rules`), which are those of transitions from one and the same state; room for what the CPUs
would do next (`stress.explore.model.persistent`); whether states at rest are looked at; the CPUs that sleep, as bits,
in the state that a transition leads to: where one of these goes on alone, nothing is left to be tried (`ASLEEP`)."""
A_WORDS = 14
ASLEEP = -1
"""In place of the CPUs that sleep: one of them could have gone on alone."""
VALUES = 64
MOST_ALONG = 2048
"""Transitions in a row that go on alone, at most."""


@helper
def note_places(p: Words, g: Words) -> None:
    """Note the place of every CPU."""
    now = window(p, p[P_ALONE] + p[p[P_ALONE] + A_NOW])
    for cpu in range(p[P_CPUS]):
        now[cpu] = place_of(p, g, cpu)


@helper
def note_held(p: Words, m: Words) -> None:
    """Note the number of the table by the values that words have now, and which of them hold somebody up."""
    a = window(p, p[P_ALONE])
    now = window(a, a[A_NOW])
    table = 0
    held = 0
    for k in range(a[A_WAIT_WORDS]):
        digits = window(a, a[A_DIGITS] + k * (VALUES + 1))
        value = m[digits[0]]
        if 0 <= value < VALUES and digits[1 + value] != 0:
            table += digits[1 + value]
            held |= 1 << k
    now[p[P_CPUS]] = table
    now[p[P_CPUS] + 1] = held


@helper
def table_now(p: Words, m: Words, cpus: int) -> int:
    """Return the number of the table that says what others than these CPUs, as bits, can do while these do not move.

    Words that others may write do not hold anybody up.
    """
    a = window(p, p[P_ALONE])
    now = window(a, a[A_NOW])
    table = now[p[P_CPUS]]
    held = now[p[P_CPUS] + 1]
    while held != 0:
        written = 0
        for other in range(p[P_CPUS]):
            if ((cpus >> other) & 1) == 0:
                written |= a[a[A_WRITTEN] + table * a[A_PLACES] + now[other]]
        free = held & written
        if free == 0:
            break
        for k in range(a[A_WAIT_WORDS]):
            if ((free >> k) & 1) != 0:
                digits = window(a, a[A_DIGITS] + k * (VALUES + 1))
                table -= digits[1 + m[digits[0]]]
        held &= ~free
    return table


@helper
def is_hopeless(p: Words, cpu: int, table: int) -> bool:
    """Return whether it is known before its transition that a CPU may not go on alone."""
    a = window(p, p[P_ALONE])
    now = window(a, a[A_NOW])
    words = (a[A_PLACES] >> 6) + 1
    row = window(a, a[A_NEVER] + (table * a[A_PLACES] + now[cpu]) * words)
    hopeless = False
    for other in range(p[P_CPUS]):
        hopeless |= other != cpu and bit(row, now[other])
    return hopeless


@helper
def is_independent(p: Words, g: Words, cpu: int, table: int) -> bool:
    """Return whether the transition that a CPU has just made depends on nothing that others could have done before.

    Two changes of what is true of the mapped pages depend on each other where a read is under way: its interval holds
    what is true between them.
    """
    log = window(p, p[P_LOG])
    if is_overfull(p):
        return False
    count = log[LOG_COUNT]
    a = window(p, p[P_ALONE])
    now = window(a, a[A_NOW])
    half = a[A_ROW] >> 1
    reading = False
    for other in range(p[P_CPUS]):
        r = window(g, other * STRIDE)
        reading |= other != cpu and r[R_OP] != 0 and p[operation_row(p, r[R_DONE], other) + OP_READ] != 0
    for other in range(p[P_CPUS]):
        if other == cpu:
            continue
        reads = window(a, a[A_FUTURE] + (table * a[A_PLACES] + now[other]) * a[A_ROW])
        writes = window(reads, half)
        truth = log[LOG_TRUTH]
        if truth != 0:
            if (truth & 2) != 0 and bit(reads, TRUTH):
                return False
            if ((truth & 1) != 0 or reading) and bit(writes, TRUTH):
                return False
        for i in range(count):
            entry = LOG_FIRST + LOG_ENTRY * i
            index = log[entry]
            if bit(writes, index) or ((log[entry + 1] & KIND) != READ and bit(reads, index)):
                return False
    return True


@helper
def one_move(p: Words, m: Words, g: Words, cpu: int) -> int:
    """Let a CPU make a transition, and log what it does to what is true of the mapped pages."""
    r = window(g, cpu * STRIDE)
    done = r[R_DONE]
    shown = r[R_RESIDENT]
    began = r[R_OP] == 0
    bits = call_move(p[P_ONE_MOVE], p, m, g, cpu)
    if p[P_READS] != 0 and bits not in (FINISHED, WAITS, REFUSED):
        log_truth_of(p, m, g, cpu, began, done, shown)
    return bits


@helper
def keep_registers(p: Words, g: Words, cpu: int) -> None:
    """Keep what a transition of a CPU may change of the registers: its own, and the intervals of reads of others."""
    kept = window(p, p[P_ALONE] + p[p[P_ALONE] + A_KEPT])
    for i in range(STRIDE):
        kept[i] = g[cpu * STRIDE + i]
    if p[P_READS] != 0:
        for other in range(p[P_CPUS]):
            for i in range(R_RSS_LOW, R_FILE_HIGH + 1):
                kept[(other + 1) * STRIDE + i] = g[other * STRIDE + i]


@helper
def undo(p: Words, m: Words, g: Words, cpu: int) -> None:
    """Undo the last transition, of a CPU: by its log, and by the registers that were kept.

    One that overfilled the log is not undone. It was learned that this happens, so that the search begins again.
    """
    log = window(p, p[P_LOG])
    count = min(log[LOG_COUNT], LOG_MOST)
    for back in range(count):
        entry = LOG_FIRST + LOG_ENTRY * (count - 1 - back)
        if (log[entry + 1] & KIND) != READ:
            m[log[entry]] = log[entry + 2]
    kept = window(p, p[P_ALONE] + p[p[P_ALONE] + A_KEPT])
    if p[P_READS] != 0:
        for other in range(p[P_CPUS]):
            for i in range(R_RSS_LOW, R_FILE_HIGH + 1):
                g[other * STRIDE + i] = kept[(other + 1) * STRIDE + i]
    for i in range(STRIDE):
        g[cpu * STRIDE + i] = kept[i]


@helper
def has_no_undo(p: Words, place: int) -> bool:
    """Return whether a transition from a place was seen to access more than a log keeps: all is touched there."""
    return p[p[P_TOUCHED] + place * p[P_TOUCHED_ROW] + READS] == -1


@helper
def goes_alone(p: Words, m: Words, g: Words, cpu: int) -> bool:
    """Let a CPU make its next transition if it may go on alone; return whether it did.

    Only in the midst of an operation, so that no state at rest is passed over; not where a check breaks, which may
    end the path; and not back in its program, so that nobody goes round in circles while others wait.
    """
    r = window(g, cpu * STRIDE)
    if r[R_OP] == 0 or has_no_undo(p, p[p[P_ALONE] + p[p[P_ALONE] + A_NOW] + cpu]):
        return False
    table = table_now(p, m, 1 << cpu)
    if is_hopeless(p, cpu, table):
        return False
    keep_registers(p, g, cpu)
    before = (r[R_DONE] << 32) + r[R_PC]
    bits = one_move(p, m, g, cpu)
    if bits == REFUSED:
        return False
    now = window(p, p[P_ALONE] + p[p[P_ALONE] + A_NOW])
    note_touched(p, now[cpu])
    if bits == WAITS:
        undo(p, m, g, cpu)
        return False
    note_passes(p, now[cpu])
    onward = (r[R_DONE] << 32) + r[R_PC] > before
    if bits == 0 and onward and is_independent(p, g, cpu, table):
        now[cpu] = place_of(p, g, cpu)
        return True
    undo(p, m, g, cpu)
    return False


@helper
def go_along(p: Words, m: Words, g: Words, cpu: int) -> None:
    """After a transition of a CPU let CPUs go on alone as long as one may: that one first, then those after it."""
    chain = window(p, p[P_ALONE] + p[p[P_ALONE] + A_CHAIN])
    cpus = p[P_CPUS]
    note_places(p, g)
    for length in range(MOST_ALONG):
        found = -1
        note_held(p, m)
        for turn in range(cpus):
            at = cpu + turn if cpu + turn < cpus else cpu + turn - cpus
            if goes_alone(p, m, g, at):
                found = at
                break
            if p[p[P_RECORD] + FAULT] != 0:
                return
        if found < 0:
            return
        cpu = found
        asleep = p[p[P_ALONE] + A_ASLEEP]
        if ((asleep >> cpu) & 1) != 0:
            p[p[P_ALONE] + A_ASLEEP] = ASLEEP
            return
        chain[length] = cpu
        p[P_ALONG] = length + 1


@helper
def move_on(p: Words, m: Words, g: Words, cpu: int) -> int:
    """Let a CPU make a transition, and then those go on that may alone; returns as `transition.move` does.

    What is touched is noted. Where there are no tables yet (`P_ALONE`), that is all.
    """
    place = place_of(p, g, cpu)
    p[P_ALONG] = 0
    bits = one_move(p, m, g, cpu)
    if bits in (FINISHED, REFUSED):
        return bits
    note_touched(p, place)
    if bits == WAITS:
        if p[P_ALONE] == 0:
            note_waits(p, m, place)
        return bits
    note_passes(p, place)
    if p[P_ALONE] == 0:
        note_always(p, place)
    elif (bits & ~GOES_ON) == 0:
        made = p[P_ACCESSES]
        p[P_ACCESSES] = p[P_ALONE] + p[p[P_ALONE] + A_MADE]
        go_along(p, m, g, cpu)
        p[P_ACCESSES] = made
    return bits
