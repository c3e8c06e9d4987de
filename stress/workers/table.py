"""One row of the table of 2004: workers touch pages, and the time that it takes is measured."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, NamedTuple

from stress.errors import DesignBroken
from stress.report.words import plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from stress.design import Design
    from stress.workers.server.client import ForkServer
    from stress.workers.work import Work

PAGES_PER_GB = 1 << 18
"""Pages of 4 KiB."""


class Row(NamedTuple):
    """One line of the table; times in seconds. ``threads`` are worker processes."""

    gb: float
    rep: int
    threads: int
    user: float
    system: float
    wall: float
    flt_cpu_s: float
    fault_wsec: float
    bare_fault_wsec: float = math.nan
    """Faults a second of wall time without private work; NaN where not measured."""
    work: float = 0.0
    """Share of the workers' CPU time: private work."""
    atomics: float = math.nan
    """The steps themselves, as one worker without work takes them."""
    waiting: float = math.nan
    """The rest: waiting for lines that others have, and for locks."""
    rates: tuple[float, ...] = ()
    """Faults a second of wall time, repetition by repetition."""


class Given(NamedTuple):
    """What a row is measured with."""

    workers: int
    pages: int
    rep: int
    arch: str
    placement: str
    seed: int


def with_shares(row: Row, bare: Row, alone: Row, bare_alone: Row) -> Row:
    """Say where the time of a row goes.

    ``bare``: the same without work. ``alone``, ``bare_alone``: both with one worker.
    """
    total, steps = 1 / row.flt_cpu_s, 1 / bare_alone.flt_cpu_s
    work = min(max(1 / alone.flt_cpu_s - steps, 0.0), total)
    steps = min(steps, total - work)
    return row._replace(
        bare_fault_wsec=bare.fault_wsec,
        work=work / total,
        atomics=steps / total,
        waiting=max(total - work - steps, 0.0) / total,
    )


def measure(  # noqa: PLR0917
    design: Design,
    kind: str,
    given: Given,
    server: ForkServer,
    done: Callable[[], None] = lambda: None,
    work: Work | None = None,
) -> Row:
    """Let workers fault in ``given.pages`` pages, each its own part, ``rep`` times; call ``done()`` after each time.

    ``work``: the private work of a fault, None for none.
    Raises `DesignBroken` when they get stuck, or a page is not mapped at the end, and what `Pool` raises.
    """
    import numpy as np

    from shm_layout.placement import PLACEMENTS
    from stress.workers import fault_kinds
    from stress.workers.loop.page_work import working
    from stress.workers.pool import Pool
    from stress.workers.work import set_work

    workers, pages, rep, arch, placement, seed = given
    chosen = fault_kinds.KINDS[kind]
    batch = design.bound.batch(workers)
    machine = fault_kinds.machine_for(chosen, workers=workers, pages=pages, arch=arch, batch=batch)
    machine = design.machine.of_real_size(machine)
    if work is not None and work.name != "none":
        design = working(design, traps=work.name == "trap+clear")
    else:
        work = None
    rng = np.random.default_rng(seed)
    cpu = system = wall = 0.0
    rates: list[float] = []
    with Pool(
        fault_kinds.touching(design),
        machine,
        workers,
        placement=PLACEMENTS[placement],
        operations=[fault_kinds.TOUCH],
        server=server,
        judge=False,
    ) as pool:
        if work is not None:
            set_work(pool, work)
        for turn in range(-1, rep):
            fault_kinds.prepare(pool, chosen)
            scripts = {w: fault_kinds.script(chosen, pages, w, workers, rng) for w in range(workers)}
            before, began = pool.cpu_times(), time.perf_counter()
            pool.perform({w: calls for w, calls in scripts.items() if calls})
            ended, after = time.perf_counter(), pool.cpu_times()
            if pool.stuck:
                raise DesignBroken(
                    f"design {design.name} with {plural(workers, 'worker')} goes no further: {pool.stuck}"
                )
            if turn >= 0:  # the first time the real kernel maps the segment to the workers page by page
                wall += ended - began
                rates.append(pages / (ended - began))
                cpu, system = cpu + after[0] - before[0], system + after[1] - before[1]
                done()
        mapped, expected = pool.truth(0).resident, fault_kinds.resident(chosen, pages)
        if mapped != expected:
            raise DesignBroken(f"design {design.name} mapped {mapped:,} pages of {expected:,}: faults went wrong")
    faults, system = pages * rep, min(system, cpu)
    row = Row(pages / PAGES_PER_GB, rep, workers, cpu - system, system, wall, faults / cpu, faults / wall)
    return row._replace(rates=tuple(rates))
