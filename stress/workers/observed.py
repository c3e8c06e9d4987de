"""What a pool of workers has come to, as data: all that the verdicts are made from."""

from __future__ import annotations

from dataclasses import dataclass

from shm_layout.layout import Layout
from stress.design import Design
from stress.workers.records import Shown, Truth


@dataclass(frozen=True)
class BrokenReads:
    """Reads of one kind that showed what was never true, with the first of one worker.

    ``operation`` of ``worker`` showed ``shown`` pages of ``mm``; from ``low`` to ``high`` pages were true meanwhile.
    Operations under way may be late by ``late_low`` pages below that and ``late_high`` above. ``times``: how many reads
    of all workers.
    """

    times: int
    worker: int
    operation: str
    shown: int
    low: int
    high: int
    mm: int
    late_low: int
    late_high: int


@dataclass(frozen=True)
class WorkerSaw:
    """What the steps of one worker saw broken: bits of register R_OOPS, and at what work it saw the first of them."""

    oops: int
    where: str


@dataclass(frozen=True)
class MmAtRest:
    """An address space at rest: what its page table says, and what the design's reads show.

    ``on_cpus``: a CPU held counts of it when it was read. ``exact`` and ``bounded``: by the design's reads of these
    names; None where it was not read, because nothing is promised of it or a read before it did not end.
    """

    in_use: bool
    on_cpus: bool
    truth: Truth
    exact: Shown | None = None
    bounded: Shown | None = None


@dataclass(frozen=True)
class Observed:
    """What was seen of a pool since its last reset, for `stress.workers.verdicts.judge`.

    ``exact`` and ``bound``: what the design promises at rest here; see `stress.workers.memory.Memory`. ``reads`` and
    ``pairs``: how many were compared with the truth while workers ran, ``worst`` by how many pages one was off.
    ``broken_reads``: by check. ``stuck``: who waits where, or which check or read at rest did not end. ``places``: what
    each check at rest gave (`stress.checks.check_functions`), up to one that did not end. ``mms``: every address space,
    empty where the workers are not at rest.
    """

    design: Design
    layout: Layout
    exact: bool
    bound: int | None
    reads: int
    pairs: int
    worst: int
    broken_reads: dict[str, BrokenReads]
    workers: tuple[WorkerSaw, ...]
    stuck: str
    places: tuple[int, ...] = ()
    mms: tuple[MmAtRest, ...] = ()
