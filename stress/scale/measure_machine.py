"""The costs of this machine, measured: accesses, a line between two cores, clearing pages, a fault's entry and exit.

Two threads run compiled code at once without the interpreter's lock. Importing this module imports numba.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from statistics import median
from time import perf_counter_ns
from typing import Any

import numpy as np

from shm_layout.atomic import cmpxchg, fetch_add, load
from shm_layout.words import Words
from stress.compiling.clock import ticks_per_ns
from stress.compiling.private_work import spend, touch_page
from stress.report.words import plural
from stress.scale.machine import Fault, Level, Line, Memory, Process, ScaleMachine
from stress.system.fault_cost import POOL, clear_ns, trap_ns

BURSTS = 20_000
SECONDS = 3.0
"""Short measurements, at most so many and so long, of which the least counts: other processes disturb the others."""
PAGES = 1 << 14
"""Pages that are cleared one at a time in a measurement, of which the middle of `TURNS` counts."""
TURNS = 9
FAULTED = POOL
"""Bytes of the pool that they are in. It is mapped once in a process."""
HANDS = 50
"""Times that a line changes hands in a burst, or that an own word is changed."""


def pass_line(m: Words, mine: int, count: int) -> int:
    """Take word 0 from ``1 - mine`` to ``mine``, so often, until word 8 is set; the other thread takes it back."""
    done = 0
    while done < count and load(m, 8) == 0:
        if cmpxchg(m, 0, 1 - mine, mine) == 1 - mine:
            done += 1
    return done


def add_own(m: Words, count: int) -> int:
    """Add to a word that nobody else wants, so often."""
    for _ in range(count):
        fetch_add(m, 0, 1)
    return count


def work_of_faults(m: Words, ticks: int, size: int, pool: int, count: int) -> int:
    """Do the private work of so many faults: the trap for so many ticks, a page cleared, and an atomic operation.

    That operation waits until the page is cleared, as the next one of a fault does.
    """
    for _ in range(count):
        if ticks != 0:
            spend(ticks)
        touch_page(size, pool, 0)
        fetch_add(m, 0, 1)
    return count


@cache
def _compiled() -> Any:
    from stress.compiling.modules import compiled_module

    source = "@njit\ndef hand(array, mine, count):\n    return pass_line(words(array, 0), mine, count)\n"
    source += "@njit\ndef own(array, count):\n    return add_own(words(array, 0), count)\n"
    source += "@njit\ndef work(array, ticks, size, pool, count):\n"
    source += "    return work_of_faults(words(array, 0), ticks, size, pool, count)\n"
    steps = {f.__name__: f for f in (pass_line, add_own, work_of_faults)}
    return compiled_module("scale_measure", source, steps)


def _bursts(once: Callable[[], float]) -> float:
    ends = perf_counter_ns() + SECONDS * 1e9
    found = [once()]
    while len(found) < BURSTS and perf_counter_ns() < ends:
        found.append(once())
    return min(found)


def _line_ns() -> float:
    """What a line costs that goes from one CPU to another: the other thread runs on, and short bursts are timed."""
    hand, word = _compiled()["hand"], np.zeros(16, np.int64)
    hand(np.ones(16, np.int64), 0, 1)
    allowed = os.sched_getaffinity(0)
    first, second, *_ = sorted(allowed)

    def hand_back() -> None:
        os.sched_setaffinity(0, {second})  # of this thread alone
        hand(word, 0, 1 << 60)

    other = threading.Thread(target=hand_back)
    os.sched_setaffinity(0, {first})
    other.start()

    def once() -> float:
        began = perf_counter_ns()
        hand(word, 1, HANDS)
        return (perf_counter_ns() - began) / (2 * HANDS)

    try:
        return _bursts(once)
    finally:
        word[8] = 1
        os.sched_setaffinity(0, allowed)
        other.join()


def _own_atomic_ns() -> float:
    own, word = _compiled()["own"], np.zeros(8, np.int64)
    own(word, 1)

    def once() -> float:
        began = perf_counter_ns()
        own(word, HANDS)
        return (perf_counter_ns() - began) / HANDS

    return _bursts(once)


def time_work(page_bytes: int, pages: int = PAGES) -> Callable[[int], float]:
    """Return a function that times the private work of so many faults, ns each, given the ticks that a trap takes.

    The pages are those of a pool that stays mapped. Behind a trap a page takes longer to clear than one of many in a
    row: `benchmarks/scale_here.py` prints both.
    """
    work, word = _compiled()["work"], np.zeros(8, np.int64)

    def each(ticks: int) -> float:
        began = perf_counter_ns()
        work(word, ticks, page_bytes, FAULTED, pages)
        return (perf_counter_ns() - began) / pages

    each(0)
    return each


def _together_gb_s(cpus: int) -> float:
    """What clearing by all CPUs at once comes to."""
    rates: list[float] = []
    threads = [threading.Thread(target=lambda: rates.append(4096 / clear_ns(4096, POOL // 2))) for _ in range(cpus)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(rates)


def fault_of(trap: float, page_bytes: int) -> Fault:
    """Return a fault whose entry and exit take ``trap`` ns together; how it is divided is assumed."""
    return Fault(round(trap * 0.6, 1), round(trap * 0.4, 1), page_bytes, 0.1)


def measure_machine() -> ScaleMachine:
    """Measure this machine as one node of one level. The line's cost is that between the two CPUs that it may use."""
    cpus = len(os.sched_getaffinity(0))
    page = os.sysconf("SC_PAGE_SIZE")
    trap, each = trap_ns(), time_work(page)
    ticks = round(trap * ticks_per_ns())
    # Where the clock cannot be read no trap is spent, and the page alone is timed.
    one = page / (median(each(ticks) for _ in range(TURNS)) - (trap if ticks else 0))
    more = max(_together_gb_s(cpus) * clear_ns(page) / page, 1.0)  # than one CPU
    line_ns = _line_ns() if cpus > 1 else 0.0
    return ScaleMachine(
        name=f"this machine, {plural(cpus, 'CPU')}",
        source="measured by `pte-stress scale --measure`; own_ns, memory_ns, thread_ns and free_ns are assumed",
        cpus=cpus,
        levels=(Level("machine", cpus, round(line_ns, 1)),),
        line=replace(
            Line(1.0, 0.0, 90.0, 0.0), own_atomic_ns=round(_own_atomic_ns(), 2), read_busy_ns=round(line_ns, 1)
        ),
        memory=Memory(cpus, round(one, 3), round(one, 3), round(one * more, 3), 1024.0),
        fault=fault_of(trap, page),
        process=Process(20_000.0, 100.0),
    )
