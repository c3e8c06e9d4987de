"""Telling the way of counting apart by what is seen: one page at a time, each interface read after each.

A count that is kept back and then folded shows nothing for a while and then jumps: the jump is the batch.
Whether a CPU or a thread keeps it shows when the thread changes CPU half way: what a thread keeps goes with
it, what a CPU keeps stays behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from stress.live.load import request
from stress.live.load.crew import Channel, wait_at_rest
from stress.live.reading.accounting import CACHED_FAULTS, Counting, Way, percpu_batch
from stress.live.reading.machine import online_cpus, page_size
from stress.live.reading.process import Process
from stress.system.cpus import allowed_cpus

FOLDS = 4
AREA_FOLDS = 10
"""Folds that fit into the probed area: 1 to start, FOLDS to look at, 4 to see who keeps them."""


def probe_pages(cpus: int) -> int:
    """Pages to touch on a machine with that many CPUs."""
    return AREA_FOLDS * max(CACHED_FAULTS, percpu_batch(cpus))


class _Area:
    """An anonymous area of the probed process; its pages are touched one after the other."""

    def __init__(self, channel: Channel, process: Process) -> None:
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


def _until_jump(area: _Area, read: Callable[[], int]) -> tuple[int, int]:
    """Touch pages until the figure jumps: how many it took, how far it jumped; (0, 0) if it never did."""
    before, start = read(), area.touched
    while not area.full:
        area.touch()
        now = read()
        if now != before:
            return area.touched - start, now - before
        before = now
    return 0, 0


def _kept_by(area: _Area, read: Callable[[], int], batch: int) -> Counting | None:
    """Whether a CPU or a thread keeps counts back, None when there is one CPU only or the area is full."""
    cpus = allowed_cpus()
    if len(cpus) < 2:
        return None
    for cpu in (cpus[1], cpus[0]):
        area.channel.ask(request.PIN, cpu)
        _until_jump(area, read)
    for _ in range(batch // 2):
        area.touch()
    area.channel.ask(request.PIN, cpus[1])
    took, _ = _until_jump(area, read)
    if not took:
        return None
    return Counting.PERCPU if took > batch - batch // 4 else Counting.CACHED


def seen(channel: Channel, process: Process) -> dict[str, Way | None]:
    """How stat, statm and status of a worker count; None where it cannot be told.

    The worker's first slot is mapped anew for it, and unmapped again.
    """
    readers: dict[str, Callable[[], int]] = {
        "stat": lambda: process.stat().rss,
        "statm": lambda: process.statm()[0],
        "status": lambda: process.status().rss,
    }
    found: dict[str, Way | None] = {}
    for name, read in readers.items():
        area = _Area(channel, process)
        channel.ask(request.PIN, allowed_cpus()[0])
        _until_jump(area, read)
        jumps = Counter(jump for jump in (_until_jump(area, read)[1] for _ in range(FOLDS)) if jump)
        found[name] = _judge(area, read, jumps)
        channel.ask(request.UNMAP, 0)
        channel.ask(request.PIN, -1)
    return found


def _judge(area: _Area, read: Callable[[], int], jumps: Counter[int]) -> Way | None:
    if not jumps:
        return None
    batch, often = jumps.most_common(1)[0]
    if batch == 1:
        return Way(Counting.EXACT)
    if batch < 2 or often < min(2, jumps.total()):
        return None
    kept_by = _kept_by(area, read, batch)
    if kept_by is None:
        kept_by = Counting.CACHED if batch in (CACHED_FAULTS - 1, CACHED_FAULTS) else Counting.PERCPU
    return Way(kept_by, batch)
