"""The costs of this machine, measured: accesses, a line between two cores, clearing pages, a fault's entry and exit.

Two threads run compiled code at once without the interpreter's lock. Importing this module imports numba.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from time import perf_counter_ns
from typing import Any

import numpy as np

from shm_layout.atomic import cmpxchg, fetch_add, load
from shm_layout.words import Words
from stress.report.words import plural
from stress.scale.machine import Fault, Level, Line, Memory, Process, ScaleMachine
from stress.system.fault_cost import POOL, clear_ns, trap_ns

BURSTS = 20_000
SECONDS = 3.0
"""Short measurements, at most so many and so long, of which the least counts: other processes disturb the others."""
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


@cache
def _compiled() -> Any:
    from stress.compiling.modules import compiled_module

    source = "@njit\ndef hand(array, mine, count):\n    return pass_line(words(array, 0), mine, count)\n"
    source += "@njit\ndef own(array, count):\n    return add_own(words(array, 0), count)\n"
    return compiled_module("scale_measure", source, {"pass_line": pass_line, "add_own": add_own})


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


def _together_gb_s(cpus: int) -> float:
    """What clearing by all CPUs at once comes to."""
    rates: list[float] = []
    threads = [threading.Thread(target=lambda: rates.append(4096 / clear_ns(4096, POOL // 2))) for _ in range(cpus)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(rates)


def measure_machine() -> ScaleMachine:
    """Measure this machine as one node of one level. The line's cost is that between the two CPUs that it may use."""
    cpus = len(os.sched_getaffinity(0))
    page = os.sysconf("SC_PAGE_SIZE")
    one = page / clear_ns(page)
    trap = trap_ns()
    line_ns = _line_ns() if cpus > 1 else 0.0
    return ScaleMachine(
        name=f"this machine, {plural(cpus, 'CPU')}",
        source="measured by `pte-stress scale --measure`; own_ns, memory_ns, thread_ns and free_ns are assumed",
        cpus=cpus,
        levels=(Level("machine", cpus, round(line_ns, 1)),),
        line=replace(
            Line(1.0, 0.0, 90.0, 0.0), own_atomic_ns=round(_own_atomic_ns(), 2), read_busy_ns=round(line_ns, 1)
        ),
        memory=Memory(cpus, round(one, 3), round(one, 3), round(max(_together_gb_s(cpus), one), 3), 1024.0),
        fault=Fault(round(trap * 0.6, 1), round(trap * 0.4, 1), page, 0.1),
        process=Process(20_000.0, 100.0),
    )
