"""Telling the way of counting apart by what is seen: one page at a time, each interface read after each.

A count that is kept back and then folded shows nothing for a while and then jumps: the jump is the batch.
Whether a CPU or a thread keeps it shows when the thread changes CPU half way: what a thread keeps goes with
it, what a CPU keeps stays behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from stress.design import percpu_batch
from stress.live.load import request
from stress.live.load.crew import wait_at_rest
from stress.live.reading.accounting import CACHED_FAULTS, Counting, Way
from stress.live.reading.machine import online_cpus, page_size
from stress.live.reading.process import Process
from stress.system.cpus import allowed_cpus

FOLDS = 4
AREA_FOLDS = 12
"""Folds that fit into the probed area: 2 to start, FOLDS to look at, the others to see who keeps them."""


def probe_pages(cpus: int) -> int:
    """Return pages to touch on a machine with that many CPUs."""
    return AREA_FOLDS * max(CACHED_FAULTS, percpu_batch(cpus))


class Asked(Protocol):
    """A thread that touches pages on request: a `Channel` of a crew, or a `Toucher`."""

    def ask(self, *words: int) -> list[int]:
        """Send a request and wait for its reply."""


class _Area:
    """An anonymous area of the probed process; its pages are touched one after the other."""

    def __init__(self, channel: Asked, process: Process) -> None:
        self.channel = channel
        self.process = process
        self.touched = 0
        self.pages = probe_pages(online_cpus())
        channel.ask(request.MAP, 0, request.ANON, self.pages * page_size(), 0)

    def touch(self) -> None:
        self.channel.ask(request.TOUCH, 0, self.touched, 1, page_size(), 1)
        self.touched += 1
        wait_at_rest([self.process])

    @property
    def full(self) -> bool:
        return self.touched >= self.pages


def _until_jump(area: _Area, read: Callable[[], int]) -> int:
    """Touch pages until the figure jumps: how many it took; 0 if it never did."""
    before, start = read(), area.touched
    while not area.full:
        area.touch()
        if read() != before:
            return area.touched - start
    return 0


def _jumps(area: _Area, readers: dict[str, Callable[[], int]]) -> dict[str, Counter[int]]:
    """Touch pages until every figure has jumped often enough to judge: how far each jumped, how often."""
    jumps: dict[str, list[int]] = {name: [] for name in readers}
    before = {name: read() for name, read in readers.items()}
    most = area.pages * (FOLDS + 2) // AREA_FOLDS
    while area.touched < most and any(len(far) <= FOLDS for far in jumps.values()):
        area.touch()
        for name, read in readers.items():
            now = read()
            if now != before[name]:
                jumps[name].append(now - before[name])
            before[name] = now
    # The first says how full the count was, no more.
    return {name: Counter(far[1:]) for name, far in jumps.items()}


def _kept_by(area: _Area, read: Callable[[], int], batch: int) -> Counting | None:
    """Return whether a CPU or a thread keeps counts back, None when there is one CPU only or the area is full."""
    cpus = allowed_cpus()
    if len(cpus) < 2:
        return None
    for cpu in (cpus[1], cpus[0]):
        area.channel.ask(request.PIN, cpu)
        _until_jump(area, read)
    for _ in range(batch // 2):
        area.touch()
    area.channel.ask(request.PIN, cpus[1])
    took = _until_jump(area, read)
    if not took:
        return None
    return Counting.PERCPU if took > batch - batch // 4 else Counting.CACHED


def seen(channel: Asked, process: Process) -> dict[str, Way | None]:
    """Return how stat, statm and status of a worker count; None where it cannot be told.

    The worker's first slot is mapped anew for it, and unmapped again.
    """
    readers: dict[str, Callable[[], int]] = {
        "stat": lambda: process.stat().rss,
        "statm": lambda: process.statm()[0],
        "status": lambda: process.status().rss,
    }
    area = _Area(channel, process)
    channel.ask(request.PIN, allowed_cpus()[0])
    jumps = _jumps(area, readers)
    found: dict[str, Way | None] = {}
    by_batch: dict[int, Way | None] = {1: Way(Counting.EXACT)}
    for name, read in readers.items():
        batch = _batch(jumps[name])
        if batch is None:
            found[name] = None
            continue
        if batch not in by_batch:
            kept_by = _kept_by(area, read, batch)
            if kept_by is None:
                kept_by = Counting.CACHED if batch in (CACHED_FAULTS - 1, CACHED_FAULTS) else Counting.PERCPU
            by_batch[batch] = Way(kept_by, batch)
        found[name] = by_batch[batch]
    channel.ask(request.UNMAP, 0)
    channel.ask(request.PIN, -1)
    return found


def _batch(jumps: Counter[int]) -> int | None:
    """Return how far a figure jumps, as a rule; None where there is none."""
    if not jumps:
        return None
    batch, often = jumps.most_common(1)[0]
    return batch if batch > 0 and often >= min(2, jumps.total()) else None
