"""The figures that a process's memory is known by: what each may be off by on this kernel, and what to read instead.

`FIGURES` is the one table of them. `live`, `live --explain`, its recommendation, `stress.testing.rss_tolerance` and
docs/vmrss.md are made from it and from the ways of counting in `stress.live.reading.accounting`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shm_layout.errors import MachineError, UsageError
from stress.live.load.toucher import Toucher
from stress.live.probe import seen
from stress.live.reading.accounting import Bound, Counting, Way, bound, by_version, decide
from stress.live.reading.machine import MIB, kernel_release, kernel_version, online_cpus, page_size
from stress.report.words import did_you_mean, plural


@dataclass(frozen=True)
class Figure:
    """One figure that an interface gives."""

    interface: str
    name: str
    counters: int
    """How many of the kernel's three counters it is the sum of; 0 where none."""
    way: str
    """The interface that counts as it does: a key of the ways of `stress.live.reading.accounting`; empty for none."""
    means: str
    no_bound: str = ""
    """Why no bound on its error can be given."""

    def __str__(self) -> str:
        """As tables and errors name it: `status VmRSS`."""
        return f"{self.interface} {self.name}"


FIGURES = (
    Figure("stat", "rss", 3, "stat", "field 24 of /proc/PID/stat, in pages; Prometheus clients and libuv read it"),
    Figure("statm", "resident", 3, "statm", "field 2 of /proc/PID/statm, in pages; top, htop and psutil read it"),
    Figure("statm", "shared", 2, "statm", "field 3 of statm: file pages and shared memory"),
    Figure("status", "VmRSS", 3, "status", "the sum of RssAnon, RssFile and RssShmem; ps reads it"),
    Figure("status", "RssAnon", 1, "status", "anonymous pages"),
    Figure("status", "RssFile", 1, "status", "pages of files"),
    Figure("status", "RssShmem", 1, "status", "pages of shared memory and tmpfs"),
    Figure("psutil", "rss", 3, "psutil", "memory_info().rss, which reads statm"),
    Figure("smaps_rollup", "Rss", 3, "smaps_rollup", "a walk of the page tables (Linux 4.14)"),
    Figure("status", "VmHWM", 3, "stat", "the peak, noted from the counts as stat shows them before pages go"),
    Figure("getrusage", "ru_maxrss", 3, "stat", "the same peak, or that of the program before exec if it is larger"),
    Figure(
        "getrusage", "ru_maxrss of children", 0, "", "the largest peak of the children that were waited for",
        "it starts at the parent's peak at vfork and posix_spawn, and at fork and exec at what the child had resident",
    ),
    Figure(
        "cgroup", "memory.current", 0, "", "bytes charged to a cgroup (v2)",
        "it counts the page cache and the kernel's memory too, and each page where it was touched first",
    ),
)  # fmt: skip
"""All figures, in the order in which they are shown."""

BY_NAME = {(figure.interface, figure.name): figure for figure in FIGURES}
PEAKS = (("status", "VmHWM"), ("getrusage", "ru_maxrss"))
"""Figures that keep the largest size that was seen. What comes in while other pages go is in none of them."""
COUNTERS = {
    key: figure.counters for key, figure in BY_NAME.items() if figure.counters and key not in PEAKS
}  # fmt: skip
"""Every figure that says how many pages are mapped now, and how many of the kernel's counters it is the sum of."""


def bound_of(figure: Figure, ways: Mapping[str, Way], cpus: int, threads: int, page: int) -> Bound | None:
    """Return the bound on the error of a figure at rest; None where there is none, `Figure.no_bound` says why.

    cpus: CPUs online; threads: threads of the process, the main one too; page: bytes in a page.
    """
    singly = figure.name == "RssAnon"
    return bound(ways[figure.way], figure.counters, cpus, threads, page, singly=singly) if figure.way else None


def pages_text(pages: int, page: int) -> str:
    """Return a number of pages with its size: `186 pages, 0.7 MiB`."""
    return f"{plural(pages, 'page')}, {pages * page / MIB:.1f} MiB"


def why(way: Way, cpus: int) -> str:
    """Return who keeps counts back in a way of counting, as a sentence."""
    if way.counting == Counting.PERCPU:
        return f"Each of {plural(cpus, 'CPU')} keeps up to {way.batch - 1} pages of each of three counters to itself."
    if way.counting == Counting.CACHED:
        return f"Each thread keeps the pages of its last {way.batch} faults to itself (cached per thread)."
    return "Nobody keeps counts to itself, so every reader sees all that is counted."


@dataclass(frozen=True)
class Explanation:
    """What figures can be off by on one kernel, of a process with some threads at rest."""

    kernel: str
    cpus: int
    threads: int
    page: int
    """Bytes in a page."""
    ways: Mapping[str, Way]
    learned: tuple[str, ...]
    """Interfaces whose way of counting was seen on the running kernel; that of others follows from its version."""

    def bound(self, figure: Figure) -> Bound | None:
        """Return the bound on the error of a figure, None where there is none."""
        return bound_of(figure, self.ways, self.cpus, self.threads, self.page)

    def instead(self, figure: Figure) -> str:
        """Return what to read instead of a figure that can be off; empty where there is no need, or nothing."""
        limit = self.bound(figure)
        if limit is None:
            return "memory.stat, anon" if figure.interface == "cgroup" else "VmHWM of the child, before it ends"
        if not limit.pages:
            return ""
        if (figure.interface, figure.name) in PEAKS:
            return "the largest of many reads of an exact figure"
        return self._exact(figure)

    def _exact(self, figure: Figure) -> str:
        """Return an exact figure of the same pages."""
        same = {1: ("status RssAnon", "smaps_rollup Anonymous"), 2: ("statm shared", "smaps")}
        cheap, walk = same.get(figure.counters, ("statm resident", "smaps_rollup Rss"))
        interface = cheap.partition(" ")[0]
        if figure.name in ("RssFile", "RssShmem"):
            walk = "smaps"
        return walk if self.ways[interface].counting != Counting.EXACT else cheap

    def recommendation(self) -> str:
        """Return one sentence: which figure to trust, by how much the others may be off."""
        resident = BY_NAME["status", "VmRSS"]
        limit, stat = self.bound(resident), self.bound(BY_NAME["stat", "rss"])
        assert limit is not None
        assert stat is not None
        if not stat.pages:
            return "VmRSS, statm and stat are exact on this kernel."
        if not limit.pages:
            return (
                f"VmRSS is exact on this kernel; field 24 of stat may be off by {pages_text(stat.pages, self.page)}: "
                f"do not use it."
            )
        return (
            f"VmRSS, statm and stat may each be off by {pages_text(limit.pages, self.page)}, on this kernel: "
            f"where that is too much, read Rss of smaps_rollup, which is exact."
        )


def explain(threads: int = 1) -> Explanation:
    """Explain the running kernel: how it counts is learned from a small process that touches pages one by one.

    threads: threads of the process that is asked about, the main one too. Takes a fraction of a second, more on a
    machine with hundreds of CPUs. Raises MachineError when it cannot be done.
    """
    release, cpus = kernel_release(), online_cpus()
    version = by_version(kernel_version(release), cpus)
    with Toucher() as toucher:
        found = seen(toucher, toucher.process)
    learned = tuple(name for name, way in found.items() if way is not None)
    return Explanation(release, cpus, threads, page_size(), decide(version, found), learned)


def find_figure(name: str) -> Figure:
    """Return a figure by its interface (its resident size), its own name, or both: `stat`, `VmHWM`, `statm shared`.

    Large and small letters are the same. Raises UsageError for a name that no figure has, MachineError for a figure
    whose error has no bound.
    """
    names = {str(figure).lower(): figure for figure in reversed(FIGURES)}
    names |= {figure.name.lower(): figure for figure in reversed(FIGURES)}
    names |= {figure.interface: figure for figure in reversed(FIGURES)}
    if name.lower() not in names:
        raise UsageError(f"no figure {name!r}{did_you_mean(name, names)}")
    figure = names[name.lower()]
    if figure.no_bound:
        raise MachineError(f"{figure} has no bound: {figure.no_bound}")
    return figure
