"""The loops of workers that count and read, compiled once: each counter's steps are called by their address.

A worker's words ``w`` (see `stress.rss.arena`) say what it does; ``r`` are its registers. Errors are in pages.
"""

from __future__ import annotations

from typing import Any

from numba import types

from shm_layout.atomic import fetch_add, load, sched_yield, store
from shm_layout.lowering import words
from shm_layout.registers import R_CPU, R_CURRENT, R_FREED, R_MM, R_RESIDENT
from stress.compiling import random_numbers
from stress.compiling.beside import Task
from stress.compiling.calling import call_at
from stress.compiling.disk_cache import left_to_compile
from stress.compiling.modules import dispatcher, inner, outer
from stress.rss.arena import (
    BASE,
    BLOCK_WORDS,
    COUNT,
    CPU_PLACES,
    EVERY,
    FILL_ONLY,
    FIRST_BLOCK,
    HOP,
    MINUS_BEGUN,
    MINUS_DONE,
    NEGATIVE,
    PLACES,
    PLUS_BEGUN,
    PLUS_DONE,
    READS,
    REGISTERS_AT,
    REST,
    REST_PRECISE,
    SAMPLES,
    SAMPLES_AT,
    SEED,
    STAY_TABLE,
    TASK_PLACES,
    TICK,
    WORKER,
    WORKERS,
    WORST,
)

rand, draw = dispatcher(random_numbers.rand), dispatcher(random_numbers.draw)


@outer
def meet(array: Any, shared: int, workers: int) -> int:
    """Return once so many workers have come here; ``shared`` is the word that they count in."""
    m = words(array, 0)
    fetch_add(m, shared, 1)
    while load(m, shared) < workers:
        sched_yield()
    return 0


@inner
def judge(m: Any, w: Any, r: Any, read: int) -> Any:
    """Read the counter; return how far what it shows lies outside of what was true while it was read."""
    low = high = 0
    for k in range(w[WORKERS]):
        theirs = w[FIRST_BLOCK] + k * BLOCK_WORDS
        low += load(m, theirs + PLUS_DONE)
        high -= load(m, theirs + MINUS_DONE)
    r[R_MM] = 0
    call_at(read, (m, r))
    shown = r[R_RESIDENT]
    for k in range(w[WORKERS]):
        theirs = w[FIRST_BLOCK] + k * BLOCK_WORDS
        low -= load(m, theirs + MINUS_BEGUN)
        high += load(m, theirs + PLUS_BEGUN)
    low += w[BASE]
    high += w[BASE]
    if shown < 0:
        w[NEGATIVE] += 1
    return max(low - shown, shown - high, 0)


@outer
def run(array: Any, first: int, up: int, down: int, read: int, tick: int) -> int:  # noqa: PLR0917
    """Count pages up and down, from CPU to CPU, and read now and then; returns the number of changes.

    ``first``: of the worker's block; the others are addresses of the counter's fragments.
    """
    m = words(array, 0)
    w = words(array, first)
    r = words(array, first + REGISTERS_AT)
    x = w[SEED]
    place = held = cycle = number = reads = 0
    stay = left = m[w[STAY_TABLE] + r[R_CPU]]
    falling = False
    while number < w[COUNT]:
        if left <= 0:
            if w[HOP] != 0:
                place += 1
                if place == w[PLACES]:
                    place = 0
                    cycle += 1
                    falling = (cycle & 1) != 0
                r[R_CPU] = w[WORKER] + w[WORKERS] * (place % w[CPU_PLACES])
                r[R_CURRENT] = w[WORKER] + w[WORKERS] * (place % w[TASK_PLACES])
            else:
                cycle += 1
                falling = (cycle & 1) != 0
            if w[FILL_ONLY] != 0 and cycle > 0:
                break
            x = rand(x)
            stay = m[w[STAY_TABLE] + r[R_CPU]]
            left = stay if (cycle & 2) == 0 else 1 + draw(x, 2 * stay)
        r[R_MM] = 0
        if falling and held > 0:
            x = rand(x)
            pages = min(held, 1 + draw(x, 2 * stay))
            store(w, MINUS_BEGUN, w[MINUS_BEGUN] + pages)
            r[R_FREED] = pages
            call_at(down, (m, r))
            store(w, MINUS_DONE, w[MINUS_DONE] + pages)
            held -= pages
            left -= pages
        else:
            store(w, PLUS_BEGUN, w[PLUS_BEGUN] + 1)
            call_at(up, (m, r))
            store(w, PLUS_DONE, w[PLUS_DONE] + 1)
            held += 1
            left -= 1
        number += 1
        if number % TICK == 0:
            r[R_MM] = 0
            call_at(tick, (m, r))
        if number % w[EVERY] == 0:
            error = judge(m, w, r, read)
            w[SAMPLES_AT + reads % SAMPLES] = error
            reads += 1
            w[WORST] = max(w[WORST], error)
    w[READS] = reads
    w[SEED] = x
    return number


@outer
def give(array: Any, first: int, pages: int, down: int) -> int:
    """Count pages on the mm that stay."""
    m = words(array, 0)
    r = words(array, first + REGISTERS_AT)
    r[R_MM] = 0
    r[R_FREED] = -pages
    call_at(down, (m, r))
    r[R_FREED] = 0
    return 0


@outer
def at_rest(array: Any, first: int, read: int, precise: int) -> int:
    """Read while nobody counts, and write both errors into the worker's block."""
    m = words(array, 0)
    w = words(array, first)
    r = words(array, first + REGISTERS_AT)
    w[REST] = judge(m, w, r, read)
    w[REST_PRECISE] = judge(m, w, r, precise)
    return 0


def missing_work() -> list[Task]:
    """Return what is to be done for the loops that are not on disk: compile them, the longest first."""
    array = types.Array(types.int64, 1, "C")
    numbers = {run: 5, at_rest: 3, give: 3, meet: 2}
    return [task for loop, count in numbers.items() for task in left_to_compile(loop, (array, *[types.int64] * count))]
