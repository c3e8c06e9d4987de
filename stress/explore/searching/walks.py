"""Single schedules from the first state to an end, compiled: what random walk and PCT have in common."""

# Compiled functions have no objects to keep their arrays in.
# ruff: noqa: PLR0917

from __future__ import annotations

from typing import Any

from stress.explore.model.at_rest import at_rest, judge_rest
from stress.explore.model.check_bits import GOES_ON, NAMES, PROGRESS, wanted_at_rest, wanted_of_step
from stress.explore.model.image import P_CPUS, P_LEARNED, STRIDE
from stress.explore.model.primitives import window
from stress.explore.model.transition import FINISHED, REFUSED, WAITS, transition
from stress.explore.searching.state import put_back
from stress.step import helper

# words of the walks' own state ``s``
SEED, STEPS, LONGEST, RUNS_DONE, WANTED, MOST, LENGTH = range(7)
"""`LENGTH`: steps so far of the schedule under way."""
S_WORDS = 8
ENDED = -3
"""In the place of a CPU: nobody can move."""


@helper
def draw(s: Any, count: int) -> int:
    """A number from 0 to ``count`` - 1, by xorshift64* (Vigna 2016)."""
    x = s[SEED]
    x ^= (x >> 12) & 0xFFFFFFFFFFFFF
    x ^= x << 25
    x ^= (x >> 27) & 0x1FFFFFFFFF
    s[SEED] = x
    return int((((x * 2685821657736338717) >> 33) & 0x7FFFFFFF) % count)


@helper
def try_move(p: Any, m: Any, g: Any, kept: Any, cpu: int) -> int:
    """Let a CPU move; its registers are put back when it has to wait."""
    for i in range(STRIDE):
        kept[i] = g[cpu * STRIDE + i]
    bits = transition(p, m, g, cpu)
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
def highest(priority: Any, tried: Any, cpus: int) -> int:
    """The CPU of the highest priority that was not tried yet, -1 when all were."""
    best = -1
    for cpu in range(cpus):
        if tried[cpu] == 0 and (best < 0 or priority[cpu] > priority[best]):
            best = cpu
    return best


@helper
def walk(
    s: Any, p: Any, m: Any, g: Any, w: Any, kept: Any, found: Any, ways: Any, schedule: Any, priority: Any, change: Any
) -> None:
    """One schedule. CPUs move by ``priority``, highest first, which at step ``change[2 i]`` becomes ``change[2 i + 1]``
    for the CPU that moves there; where ``change[0]`` is negative, priorities are drawn anew before each step.
    """
    cpus = p[P_CPUS]
    tried = window(kept, STRIDE)
    length = 0
    while length < s[MOST]:
        s[LENGTH] = length
        if at_rest(p, g):
            broken = wanted_at_rest(judge_rest(p, m, g, w), s[WANTED])
            note_walk(s, found, ways, schedule, broken, length, True)
        waiting = 0
        moved = ENDED
        for cpu in range(cpus):
            tried[cpu] = 0
            if change[0] < 0:
                priority[cpu] = draw(s, 1 << 30)
        bits = FINISHED
        for _ in range(cpus):
            cpu = highest(priority, tried, cpus)
            tried[cpu] = 1
            bits = try_move(p, m, g, kept, cpu)
            if bits == WAITS:
                waiting += 1
            elif bits != FINISHED:
                moved = cpu
                break
        if bits == REFUSED or p[P_LEARNED] != 0:
            break
        if moved == ENDED:
            if waiting != 0:
                note_walk(s, found, ways, schedule, PROGRESS, length, True)
            break
        schedule[length] = moved
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
    """``runs`` schedules in which each CPU that can move is as likely as any other, at each step."""
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
    """``runs`` schedules of PCT for bugs of this depth. ``change``: room for 2 * depth words."""
    cpus = p[P_CPUS]
    for _ in range(runs):
        put_back(p, m, g, first_m, first_g)
        for cpu in range(cpus):
            priority[cpu] = depth + cpu
        for i in range(cpus - 1):
            other = i + draw(s, cpus - i)
            swapped = priority[i]
            priority[i] = priority[other]
            priority[other] = swapped
        for i in range(depth - 1):
            change[2 * i] = 1 + draw(s, max(s[LONGEST], 1))
            change[2 * i + 1] = depth - 1 - i
        change[2 * (depth - 1)] = 0
        walk(s, p, m, g, w, kept, found, ways, schedule, priority, change)
