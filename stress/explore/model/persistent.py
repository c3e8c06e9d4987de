"""Which CPUs need to be tried from a state, and which sleep in the states that they lead to.

A *persistent set* is a set of CPUs whose next transitions depend on nothing that the others can do before one of them
moves. Every schedule from the state can then be changed into one that begins with one of them (Godefroid, Partial-Order
Methods for the Verification of Concurrent Systems, 1996). One CPU that makes such a set goes on alone
(`stress.explore.model.alone`); what is looked for here are sets of several.

A CPU *sleeps* in a state where its next transition was tried before this state was come to, and nothing since depends
on it: what begins with it has been tried. Why all checks have the same verdict is said in docs/reduction.md.
"""

from __future__ import annotations

from shm_layout.record import KIND, READ
from shm_layout.registers import R_OP
from shm_layout.words import Words
from stress.explore.model.alone import (
    A_AHEAD,
    A_FUTURE,
    A_NEVER,
    A_NOW,
    A_PLACES,
    A_REST,
    A_ROW,
    note_held,
    note_places,
    table_now,
)
from stress.explore.model.image import OP_READ, P_ALONE, P_CPUS, P_LOG, R_DONE, STRIDE
from stress.explore.model.log import LOG_COUNT, LOG_ENTRY, LOG_FIRST, LOG_TRUTH, TRUTH, bit
from stress.explore.model.primitives import window
from stress.explore.model.read_interval import operation_row
from stress.step import helper

AHEAD_KIND, AHEAD_ONWARD, AHEAD_BITS, AHEAD_TRUTH, AHEAD_COUNT, AHEAD_FIRST = range(6)
"""Words of what a CPU would do next: whether it can; whether it would not jump back; the checks that would break;
whether `TRUTH` would be read and written, as in the log; how many accesses, and for each its index and whether it
writes."""
ENDED, WOULD_WAIT, WOULD_MOVE = range(3)
AHEAD_MOST = 24
"""Accesses that are kept: a transition that makes more depends on all others."""
AHEAD_WORDS = AHEAD_FIRST + 2 * AHEAD_MOST
MOST_ASLEEP = 16
"""CPUs, at most, of which it is noted which sleep."""
EVERY = (1 << MOST_ASLEEP) - 1


@helper
def ahead_of(p: Words, cpu: int) -> Words:
    """Return what is noted of a CPU's next transition."""
    return window(p, p[P_ALONE] + p[p[P_ALONE] + A_AHEAD] + cpu * AHEAD_WORDS)


@helper
def note_ahead(p: Words, cpu: int, kind: int, onward: bool, bits: int) -> None:
    """Note what a CPU would do next, from the log of the transition that it has just made for a try."""
    ahead = ahead_of(p, cpu)
    ahead[AHEAD_KIND] = kind
    ahead[AHEAD_ONWARD] = onward
    ahead[AHEAD_BITS] = bits
    if kind == ENDED:
        return
    log = window(p, p[P_LOG])
    ahead[AHEAD_TRUTH] = log[LOG_TRUTH]
    count = min(log[LOG_COUNT], AHEAD_MOST + 1)
    ahead[AHEAD_COUNT] = count
    for i in range(min(count, AHEAD_MOST)):
        entry = LOG_FIRST + LOG_ENTRY * i
        ahead[AHEAD_FIRST + 2 * i] = log[entry]
        ahead[AHEAD_FIRST + 2 * i + 1] = (log[entry + 1] & KIND) != READ


@helper
def is_reading(p: Words, g: Words) -> bool:
    """Return whether a read is under way, whose interval holds what is true of the mapped pages meanwhile."""
    reading = False
    for cpu in range(p[P_CPUS]):
        r = window(g, cpu * STRIDE)
        reading |= r[R_OP] != 0 and p[operation_row(p, r[R_DONE], cpu) + OP_READ] != 0
    return reading


@helper
def depends_on_next(p: Words, one: int, other: int, reading: bool) -> bool:
    """Return whether the next transitions of two CPUs depend on each other."""
    mine = ahead_of(p, one)
    its = ahead_of(p, other)
    if mine[AHEAD_COUNT] > AHEAD_MOST or its[AHEAD_COUNT] > AHEAD_MOST:
        return True
    truth = mine[AHEAD_TRUTH] | its[AHEAD_TRUTH]
    both = mine[AHEAD_TRUTH] != 0 and its[AHEAD_TRUTH] != 0
    if both and (truth & 2) != 0 and (reading or (truth & 1) != 0):
        return True
    for i in range(mine[AHEAD_COUNT]):
        for k in range(its[AHEAD_COUNT]):
            writes = mine[AHEAD_FIRST + 2 * i + 1] | its[AHEAD_FIRST + 2 * k + 1]
            if writes != 0 and mine[AHEAD_FIRST + 2 * i] == its[AHEAD_FIRST + 2 * k]:
                return True
    return False


@helper
def depends_on_future(p: Words, cpu: int, other: int, table: int, reading: bool) -> bool:
    """Return whether the next transition of a CPU depends on anything that another can do."""
    a = window(p, p[P_ALONE])
    now = window(a, a[A_NOW])
    never = window(a, a[A_NEVER] + (table * a[A_PLACES] + now[cpu]) * ((a[A_PLACES] >> 6) + 1))
    ahead = ahead_of(p, cpu)
    if ahead[AHEAD_COUNT] > AHEAD_MOST or bit(never, now[other]):
        return True
    reads = window(a, a[A_FUTURE] + (table * a[A_PLACES] + now[other]) * a[A_ROW])
    writes = window(reads, a[A_ROW] >> 1)
    truth = ahead[AHEAD_TRUTH]
    if (truth & 2) != 0 and bit(reads, TRUTH):
        return True
    if truth != 0 and ((truth & 1) != 0 or reading) and bit(writes, TRUTH):
        return True
    for i in range(ahead[AHEAD_COUNT]):
        index = ahead[AHEAD_FIRST + 2 * i]
        if bit(writes, index) or (ahead[AHEAD_FIRST + 2 * i + 1] != 0 and bit(reads, index)):
            return True
    return False


@helper
def with_dependent(p: Words, m: Words, cpus: int, reading: bool) -> int:
    """Return these CPUs, as bits, and those that can do something on which the next transition of one depends."""
    grows = True
    while grows:
        grows = False
        table = table_now(p, m, cpus)
        for cpu in range(p[P_CPUS]):
            if ((cpus >> cpu) & 1) == 0:
                continue
            for other in range(p[P_CPUS]):
                if ((cpus >> other) & 1) != 0 or ahead_of(p, other)[AHEAD_KIND] == ENDED:
                    continue
                if depends_on_future(p, cpu, other, table, reading):
                    cpus |= 1 << other
                    grows = True
    return cpus


@helper
def may_do(p: Words, g: Words, cpus: int) -> bool:
    """Return whether a persistent set may stand for all CPUs.

    Not where a check breaks, which may end the path; not where all jump back, so that nobody is passed over for ever;
    and only with one in the midst of an operation, so that no state at rest is passed over, if these are looked at.
    """
    onward = False
    amidst = p[p[P_ALONE] + A_REST] == 0
    for cpu in range(p[P_CPUS]):
        if ((cpus >> cpu) & 1) != 0:
            ahead = ahead_of(p, cpu)
            if ahead[AHEAD_KIND] == WOULD_MOVE:
                if ahead[AHEAD_BITS] != 0:
                    return False
                onward |= ahead[AHEAD_ONWARD] != 0
            amidst |= g[cpu * STRIDE + R_OP] != 0
    return onward and amidst


@helper
def moving(p: Words) -> int:
    """Return the CPUs that can move, as bits."""
    found = 0
    for cpu in range(p[P_CPUS]):
        if ahead_of(p, cpu)[AHEAD_KIND] == WOULD_MOVE:
            found |= 1 << cpu
    return found


@helper
def writing(p: Words) -> int:
    """Return the CPUs, as bits, whose next transitions write."""
    found = 0
    for cpu in range(p[P_CPUS]):
        ahead = ahead_of(p, cpu)
        if ahead[AHEAD_KIND] == ENDED:
            continue
        writes = ahead[AHEAD_COUNT] > AHEAD_MOST
        for i in range(min(ahead[AHEAD_COUNT], AHEAD_MOST)):
            writes |= ahead[AHEAD_FIRST + 2 * i + 1] != 0
        if writes:
            found |= 1 << cpu
    return found


@helper
def count_of(cpus: int) -> int:
    """Return how many CPUs these bits are."""
    count = 0
    for cpu in range(MOST_ASLEEP):
        count += (cpus >> cpu) & 1
    return count


@helper
def persistent_set(p: Words, m: Words, g: Words, reading: bool) -> int:
    """Return the CPUs that can move, as bits, of the smallest persistent set that is found, or of all.

    All that they would do next is noted (`note_ahead`).
    """
    note_places(p, g)
    note_held(p, m)
    movers = moving(p)
    best = movers
    least = count_of(best)
    for back in range(p[P_CPUS]):
        cpu = p[P_CPUS] - 1 - back
        if least < 2:
            break
        if ((movers >> cpu) & 1) == 0:
            continue
        found = with_dependent(p, m, 1 << cpu, reading)
        count = count_of(found & movers)
        if count < least and may_do(p, g, found):
            best = found & movers
            least = count
    return best


@helper
def asleep_after(p: Words, cpu: int, tried: int, reading: bool) -> int:
    """Return which of the CPUs that were tried sleep, as bits, once a CPU has made its next transition."""
    asleep = 0
    for other in range(p[P_CPUS]):
        if other != cpu and ((tried >> other) & 1) != 0 and not depends_on_next(p, cpu, other, reading):
            asleep |= 1 << other
    return asleep
