"""What every CPU would do next from the state that is visited, tried and put back; and in which order they are tried.

From it follows which CPUs need to be tried, and which sleep (`stress.explore.model.persistent`).
"""

# Compiled functions have no objects to keep their arrays in.
# ruff: noqa: PLR0917

from __future__ import annotations

from typing import Any

from shm_layout.registers import R_FILE_HIGH, R_PC, R_RSS_LOW
from stress.explore.model.alone import one_move
from stress.explore.model.image import P_CPUS, P_LOG, P_READS, R_DONE, STRIDE
from stress.explore.model.log import (
    LOG_COUNT,
    LOG_ENTRY,
    LOG_FIRST,
    is_overfull,
    note_passes,
    note_touched,
    place_of,
)
from stress.explore.model.persistent import (
    ENDED,
    WOULD_MOVE,
    WOULD_WAIT,
    note_ahead,
)
from stress.explore.model.primitives import window
from stress.explore.model.symmetry import put_in_order
from stress.explore.model.transition import FINISHED, REFUSED, WAITS
from stress.explore.searching.state import put_back
from stress.step import helper


@helper
def advanced(g: Any, cpu: int) -> int:
    """Return how far a CPU has come: more with every step that does not jump back and every operation that ends."""
    r = cpu * STRIDE
    return int((g[r + R_DONE] << 32) + g[r + R_PC])


@helper
def take_back(p: Any, m: Any, g: Any, kept_m: Any, kept_g: Any, cpu: int) -> None:
    """Undo the transition that a CPU has just made: the words of its log, its registers, and intervals of reads."""
    if is_overfull(p):
        put_back(p, m, g, kept_m, kept_g)
        return
    log = window(p, p[P_LOG])
    for i in range(log[LOG_COUNT]):
        index = log[LOG_FIRST + LOG_ENTRY * i]
        m[index] = kept_m[index]
    for i in range(cpu * STRIDE, (cpu + 1) * STRIDE):
        g[i] = kept_g[i]
    if p[P_READS] != 0:
        for other in range(p[P_CPUS]):
            for i in range(other * STRIDE + R_RSS_LOW, other * STRIDE + R_FILE_HIGH + 1):
                g[i] = kept_g[i]


@helper
def look_ahead(p: Any, m: Any, g: Any, kept_m: Any, kept_g: Any) -> bool:
    """Note what every CPU would do next; returns False where a step breaks the rules of steps."""
    for cpu in range(p[P_CPUS]):
        place = place_of(p, g, cpu)
        before = advanced(g, cpu)
        bits = one_move(p, m, g, cpu)
        if bits == REFUSED:
            return False
        if bits == FINISHED:
            note_ahead(p, cpu, ENDED, False, 0)
            continue
        note_touched(p, place)
        if bits == WAITS:
            note_ahead(p, cpu, WOULD_WAIT, False, 0)
        else:
            note_passes(p, place)
            note_ahead(p, cpu, WOULD_MOVE, advanced(g, cpu) > before, bits)
        take_back(p, m, g, kept_m, kept_g, cpu)
    return True


@helper
def in_turn(cpus: int, writing: int, turn: int) -> int:
    """Return which CPU is tried in this turn: first those that write nothing, of several the last first.

    ``writing``: those that write, as bits. Those that are tried later find the earlier ones asleep more often; the
    order makes a difference to that alone.
    """
    found = 0
    for writes in range(2):
        for back in range(cpus):
            cpu = cpus - 1 - back
            if ((writing >> cpu) & 1) == writes:
                if found == turn:
                    return cpu
                found += 1
    return 0


@helper
def ordered(p: Any, m: Any, g: Any, w: Any, sleeps: int) -> int:
    """Put interchangeable CPUs in order; return which CPUs sleep then, as bits, of those that slept before."""
    for cpu in range(p[P_CPUS]):
        w[cpu] = cpu
    put_in_order(p, m, g, w)
    asleep = 0
    for cpu in range(p[P_CPUS]):
        asleep |= ((sleeps >> w[cpu]) & 1) << cpu
    return asleep
