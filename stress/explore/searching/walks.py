"""Single schedules from the first state to an end, compiled: what random walk and PCT have in common."""

# Compiled functions have no objects to keep their arrays in.
# ruff: noqa: PLR0917

from __future__ import annotations

from typing import Any

from stress.explore.model.at_rest import at_rest, judge_rest
from stress.explore.model.check_bits import GOES_ON, NAMES, PROGRESS, wanted_at_rest, wanted_of_step
from stress.explore.model.image import P_CPUS, P_ENTRIES, P_LEARNED, P_MEMORY, P_MOVE, STRIDE
from stress.explore.model.primitives import call_move, window
from stress.explore.model.store_buffer import may_leave
from stress.explore.model.transition import FINISHED, REFUSED, WAITS
from stress.explore.searching.state import put_back
from stress.memory_model import PSO, SC
from stress.step import helper

# words of the walks' own state ``s``
SEED, STEPS, LONGEST, RUNS_DONE, WANTED, MOST, LENGTH = range(7)
"""`LENGTH`: steps so far of the schedule under way."""
S_WORDS = 8
ENDED = -3
"""In the place of a mover: nobody can move."""


@helper
def draw(s: Any, count: int) -> int:
    """Return a number from 0 to ``count`` - 1, by xorshift64* (Vigna 2016)."""
    x = s[SEED]
    x ^= (x >> 12) & 0xFFFFFFFFFFFFF
    x ^= x << 25
    x ^= (x >> 27) & 0x1FFFFFFFFF
    s[SEED] = x
    return int((((x * 2685821657736338717) >> 33) & 0x7FFFFFFF) % count)


@helper
def movers(p: Any) -> int:
    """Return how many there are that move: the CPUs, and after them the store buffer of each, where there are any."""
    cpus = int(p[P_CPUS])
    return cpus if p[P_MEMORY] == SC else 2 * cpus


@helper
def choice_of(s: Any, p: Any, m: Any, mover: int) -> int:
    """Return the choice that a mover makes: which store leaves a buffer is drawn where several may."""
    cpus = p[P_CPUS]
    if mover < cpus or p[P_MEMORY] != PSO:
        return mover
    leave = 0
    for number in range(p[P_ENTRIES]):
        leave += may_leave(p, m, mover - cpus, number)
    left = draw(s, leave) if leave > 1 else 0
    for number in range(p[P_ENTRIES]):
        if may_leave(p, m, mover - cpus, number):
            if left == 0:
                return int(mover + number * cpus)
            left -= 1
    return mover


@helper
def try_move(p: Any, m: Any, g: Any, kept: Any, choice: int) -> int:
    """Go on by a choice; the registers of the CPU are put back when it has to wait."""
    cpu = choice % p[P_CPUS]
    for i in range(STRIDE):
        kept[i] = g[cpu * STRIDE + i]
    bits = call_move(p[P_MOVE], p, m, g, choice)
    if bits == WAITS:
        for i in range(STRIDE):
            g[cpu * STRIDE + i] = kept[i]
    return bits


@helper
def note_walk(s: Any, found: Any, ways: Any, schedule: Any, bits: int, length: int, rest: bool) -> None:
    """Keep the shortest schedule that breaks each check: its length, whether at rest; the schedule in ``ways``."""
    for check in range(len(NAMES)):
        if (bits >> check) & 1 and (found[2 * check] < 0 or found[2 * check] > length):
            found[2 * check] = length
            found[2 * check + 1] = rest
            for i in range(length):
                ways[check * s[MOST] + i] = schedule[i]


@helper
def highest(priority: Any, tried: Any, count: int) -> int:
    """Return the mover of the highest priority that was not tried yet, -1 when all were."""
    best = -1
    for mover in range(count):
        if tried[mover] == 0 and (best < 0 or priority[mover] > priority[best]):
            best = mover
    return best


@helper
def walk(
    s: Any, p: Any, m: Any, g: Any, w: Any, kept: Any, found: Any, ways: Any, schedule: Any, priority: Any, change: Any
) -> None:
    """Draw one schedule. CPUs, and their store buffers, move by ``priority``, highest first.

    At step ``change[2 i]`` it becomes ``change[2 i + 1]`` for the one that moves there. Where ``change[0]`` is
    negative, priorities are drawn anew before each step.
    """
    count = movers(p)
    tried = window(kept, STRIDE)
    length = 0
    while length < s[MOST]:
        s[LENGTH] = length
        if at_rest(p, m, g):
            broken = wanted_at_rest(judge_rest(p, m, g, w), s[WANTED])
            note_walk(s, found, ways, schedule, broken, length, True)
        waiting = 0
        moved = ENDED
        choice = 0
        for mover in range(count):
            tried[mover] = 0
            if change[0] < 0:
                priority[mover] = draw(s, 1 << 30)
        bits = FINISHED
        for _ in range(count):
            mover = highest(priority, tried, count)
            tried[mover] = 1
            choice = choice_of(s, p, m, mover)
            bits = try_move(p, m, g, kept, choice)
            if bits == WAITS:
                waiting += 1
            elif bits != FINISHED:
                moved = mover
                break
        if bits == REFUSED or p[P_LEARNED] != 0:
            break
        if moved == ENDED:
            if waiting != 0:
                note_walk(s, found, ways, schedule, PROGRESS, length, True)
            break
        schedule[length] = choice
        length += 1
        if bits != 0:
            note_walk(s, found, ways, schedule, wanted_of_step(bits, s[WANTED]), length, False)
            if (bits & ~GOES_ON) != 0:
                break
        if change[0] >= 0:
            i = 0
            while change[2 * i] > 0:
                if change[2 * i] == length:
                    priority[moved] = change[2 * i + 1]
                i += 1
    s[STEPS] += length
    s[LONGEST] = max(s[LONGEST], length)
    s[RUNS_DONE] += 1


def random_walk(
    s: Any,
    p: Any,
    m: Any,
    g: Any,
    w: Any,
    first_m: Any,
    first_g: Any,
    kept: Any,
    found: Any,
    ways: Any,
    schedule: Any,
    priority: Any,
    change: Any,
    runs: int,
) -> None:
    """Draw ``runs`` schedules in which each CPU that can move is as likely as any other, at each step."""
    change[0] = -1
    for _ in range(runs):
        put_back(p, m, g, first_m, first_g)
        walk(s, p, m, g, w, kept, found, ways, schedule, priority, change)


def pct_walk(
    s: Any,
    p: Any,
    m: Any,
    g: Any,
    w: Any,
    first_m: Any,
    first_g: Any,
    kept: Any,
    found: Any,
    ways: Any,
    schedule: Any,
    priority: Any,
    change: Any,
    runs: int,
    depth: int,
) -> None:
    """Draw ``runs`` schedules of PCT for bugs of this depth. ``change``: room for 2 * depth words."""
    count = movers(p)
    for _ in range(runs):
        put_back(p, m, g, first_m, first_g)
        for mover in range(count):
            priority[mover] = depth + mover
        for i in range(count - 1):
            other = i + draw(s, count - i)
            swapped = priority[i]
            priority[i] = priority[other]
            priority[other] = swapped
        for i in range(depth - 1):
            change[2 * i] = 1 + draw(s, max(s[LONGEST], 1))
            change[2 * i + 1] = depth - 1 - i
        change[2 * (depth - 1)] = 0
        walk(s, p, m, g, w, kept, found, ways, schedule, priority, change)
