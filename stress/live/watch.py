"""`pte-stress live --pid`: the resident size of running processes against the page walk, sample by sample."""

from __future__ import annotations

import contextlib
import os
import select
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shm_layout.available import memory_charged
from shm_layout.errors import MachineError, UsageError
from stress.live.reading.machine import cgroup_of
from stress.live.reading.page_walk import rollup
from stress.live.reading.process import Process, ProcessEnded


@dataclass(frozen=True)
class Sample:
    """One look at one process; sizes in pages, costs in microseconds."""

    at: float
    """Seconds since the first sample."""
    pid: int
    name: str
    vmrss: int
    stat: int
    walk: int
    """Pages that the walk found, taken right after the counters."""
    moved: int
    """By how much the walk before the counters differs: more than 0 when the process was at work."""
    vmrss_us: float
    walk_us: float
    source: str
    """Which walk: smaps_rollup or smaps."""
    peak: int = 0
    """VmHWM."""
    kib: Mapping[str, int] = field(default_factory=dict)
    """What the walk found beside Rss, in KiB: see `stress.live.reading.page_walk.Walk`."""
    wall: float = 0.0
    """When it was taken, in seconds since 1970."""
    cgroup: str | None = None
    charged: int | None = None
    """memory.current of its cgroup, in bytes."""

    def off(self, figure: int) -> int:
        """By how much a figure lies outside of what was mapped while it was read: 0 when inside."""
        low, high = sorted((self.walk, self.walk - self.moved))
        return figure - high if figure > high else min(0, figure - low)


def take(process: Process, start: float) -> Sample:
    """Look at a process: walk, counters, walk. Raises ProcessEnded, MachineError when refused."""
    before = rollup(process).rss
    clock = time.perf_counter_ns()
    status = process.status()
    read = time.perf_counter_ns()
    stat = process.stat()
    walk_start = time.perf_counter_ns()
    walk = rollup(process)
    end = time.perf_counter_ns()
    return Sample(
        time.monotonic() - start,
        process.pid,
        process.name,
        status.rss,
        stat.rss,
        walk.rss,
        walk.rss - before,
        (read - clock) / 1000,
        (end - walk_start) / 1000,
        walk.source,
        status.peak or 0,
        walk.kib,
        time.time(),
        cgroup_of(Path(process.folder)),
        memory_charged(Path(process.folder, "cgroup")),
    )


@dataclass
class Watch:
    """The processes that are watched, and their samples."""

    pids: Sequence[int]
    tree: bool = False
    root: str = "/proc"
    until_exit: bool = False
    """End when the named processes have ended, whatever children still run."""
    samples: dict[int, list[Sample]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find the processes. Raises UsageError or MachineError when one cannot be watched."""
        self._watched = {pid: Process(pid, self.root) for pid in dict.fromkeys(self.pids)}
        self._passed_over: set[int] = set()
        self._through: dict[int, int] = {}

    def _find_children(self, note: Callable[[str], None]) -> None:
        """Add the descendants of what is watched."""
        import psutil

        for pid in list(self._watched):
            try:
                children = psutil.Process(pid).children(recursive=True)
            except psutil.Error:
                continue
            for child in children:
                if child.pid in self._watched or child.pid in self._passed_over:
                    continue
                try:
                    self._watched[child.pid] = Process(child.pid, self.root)
                except UsageError:  # it has ended meanwhile
                    continue
                except MachineError as why:
                    self._passed_over.add(child.pid)
                    note(f"left out: {why}")

    def tick(self, start: float, note: Callable[[str], None]) -> list[Sample]:
        """Return one sample of every process that still runs. Raises MachineError when a named one is refused."""
        if self.tree:
            self._find_children(note)
        taken = []
        for pid, process in list(self._watched.items()):
            try:
                sample = take(process, start)
            except ProcessEnded as why:
                del self._watched[pid]
                had = len(self.samples.get(pid, []))
                note(f"{why}; " + (f"its last sample, number {had}, is kept" if had else "no sample of it was taken"))
                continue
            except MachineError as why:
                if pid in self.pids:
                    raise
                del self._watched[pid]
                self._passed_over.add(pid)
                note(f"left out: {why}")
                continue
            if process.thread is not None and self._through.get(pid) != process.thread:
                self._through[pid] = process.thread
                note(f"pid {pid} ({process.name}): its main thread has ended; read through thread {process.thread}")
            self.samples.setdefault(pid, []).append(sample)
            taken.append(sample)
        return taken

    @property
    def over(self) -> bool:
        """Whether nothing is left to watch."""
        return not self._watched or (self.until_exit and not self._watched.keys() & set(self.pids))

    def _sleep(self, seconds: float) -> None:
        """Sleep until `seconds` are over, or a process ends meanwhile (Linux 5.3)."""
        with contextlib.ExitStack() as stack:
            poll = select.poll()
            for pid, process in self._watched.items():
                if process.thread is not None:  # its main thread has ended, which would wake us at once
                    continue
                try:
                    fd = os.pidfd_open(pid)
                except ProcessLookupError:  # it has ended: the next look will say
                    return
                except OSError:  # an older kernel, or no more files
                    continue
                stack.callback(os.close, fd)
                poll.register(fd, select.POLLIN)
            poll.poll(seconds * 1000)

    def run(self, interval: float, count: int | None, note: Callable[[str], None]) -> Iterator[list[Sample]]:
        """Samples every `interval` seconds, `count` times or until all processes have ended."""
        start = time.monotonic()
        done = 0
        while not self.over and (count is None or done < count):
            taken = self.tick(start, note)
            done += 1
            if taken:
                yield taken
            if not self.over and done != count:
                self._sleep(max(0.0, start + done * interval - time.monotonic()))


def summary(samples: Sequence[Sample]) -> dict[str, float]:
    """Return worst and median error of VmRSS and stat and peaks, in pages, and the median costs, in microseconds."""
    vmrss = [abs(s.off(s.vmrss)) for s in samples]
    stat = [abs(s.off(s.stat)) for s in samples]
    return {
        "samples": len(samples),
        "peak": max(s.peak for s in samples),
        "walk_peak": max(s.walk for s in samples),
        "vmrss_worst": max(vmrss),
        "vmrss_median": statistics.median(vmrss),
        "stat_worst": max(stat),
        "stat_median": statistics.median(stat),
        "vmrss_us": statistics.median(s.vmrss_us for s in samples),
        "walk_us": statistics.median(s.walk_us for s in samples),
    }
