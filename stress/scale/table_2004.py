"""Rows of the tables of December 2004 as the simulator gives them: start, faults, exit.

A row is: so many threads are started one after the other, and spin in user mode until all are there; each touches its
part of the memory; the process ends, and one CPU frees all pages. This, ``rep`` times.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import median

from stress.design import Design
from stress.report.published import Published
from stress.scale.machine import ScaleMachine
from stress.scale.simulation import Given, simulate

RAN = 128
"""Threads that ran in the published rows of more, as far as these rows can be explained (docs/scale.md)."""
PAGES: Mapping[str, int] = {"v11_sloppy": 2}
"""Pages that a fault maps in a design's table, where not 1. The table of V11 was taken with a prefault patch: two pages
a fault is what its rows of 16 and 32 GiB look like."""
GIB = 1 << 30


@dataclass(frozen=True)
class Predicted:
    """A row as simulated; seconds. ``per_wall_s``: faults a second of wall time, all threads together."""

    threads: int
    wall_s: float
    user_s: float
    system_s: float
    per_wall_s: float


def predict(
    design: Design,
    machine: ScaleMachine,
    *,
    gb: float,
    rep: int,
    threads: int,
    faults: int | None = None,
    seed: int = 1,
) -> Predicted:
    """Simulate a row: ``gb`` GiB, touched ``rep`` times by ``threads`` threads. ``faults``: how many are simulated."""
    per_second = simulate(
        design, machine, Given(threads, faults=faults, gib=gb, pages=PAGES.get(design.name, 1), seed=seed)
    ).per_second
    pages = gb * GIB / machine.fault.page_bytes
    start = threads * machine.process.thread_ns * 1e-9
    touching = pages / per_second
    end = pages * machine.process.free_ns * 1e-9
    wall = rep * (start + touching + end)
    return Predicted(
        threads,
        wall_s=wall,
        user_s=rep * threads * start / 2,
        system_s=rep * (threads * touching + end),
        per_wall_s=rep * pages / wall,
    )


def as_published(
    design: Design,
    machine: ScaleMachine,
    *,
    gb: float,
    rep: int,
    threads: int,
    faults: int | None = None,
    seed: int = 1,
) -> Predicted:
    """The same row as it is published: at most `RAN` threads ran, each its part; the rate takes all pages for done."""
    if threads <= RAN:
        return predict(design, machine, gb=gb, rep=rep, threads=threads, faults=faults, seed=seed)
    ran = predict(design, machine, gb=gb * RAN / threads, rep=rep, threads=RAN, faults=faults, seed=seed)
    return replace(ran, threads=threads, per_wall_s=ran.per_wall_s * threads / RAN)


def thread_ns(rows: Iterable[Published]) -> float:
    """Time to start a thread, ns, read off the User column: half of all starts is waited for by each thread."""
    rows = list(rows)
    alone = {(row.design, row.gb): row.user_s for row in rows if row.threads == 1}
    found = [
        (row.user_s - alone[row.design, row.gb]) * 2e9 / (row.rep * row.threads**2)
        for row in rows
        if RAN // 2 <= row.threads <= RAN
    ]
    return median(found)


def free_ns(rows: Iterable[Published]) -> float:
    """Time to free a page at exit, ns: what is left of wall time that so many CPUs at once cannot have spent."""
    rows = list(rows)
    each = thread_ns(rows) * 1e-9
    found = []
    for row in rows:
        n = row.threads
        if 2 <= n <= RAN:
            start = row.rep * n * each
            alone = (n * row.wall_s - (row.user_s + row.system_s) - n * start / 2) / (n - 1)
            found.append(alone / row.faults * 1e9)
    return median(found)
