"""How kernels count resident pages, and the bound on the error that each way implies.

Sources, by what they changed:

- 2.6.34, commit 34e55232e59f "mm: avoid false-sharing of mm_counter": a thread keeps its counts to itself
  and folds them into the mm on entering a fault with `task->rss_stat.events++ > TASK_RSS_EVENTS_THRESH`
  (64), which sets events to 0 and comes before that fault counts (mm/memory.c, check_sync_rss_stat()): so
  it happens at every 66th fault, and 66 can be missing. A read fault on a file maps the pages around it
  too, and counts each (fault_around_bytes, 64 KiB unless changed in debugfs).
- 6.2, commit f1a7941243c1 "mm: convert mm's rss stats into percpu_counter": a CPU keeps its count until it
  reaches percpu_counter_batch = max(32, 2 * CPUs online) (lib/percpu_counter.c), so at most batch - 1 per
  CPU and counter are missing. Readers take the central count, negative shown as 0.
- 6.16, commit 82241a83cd15 "mm: fix the inaccurate memory statistics issue for users", also in 6.12.39 and
  6.15.7: task_mem() (status) and task_statm() (statm) sum all CPUs; do_task_stat() (stat) still takes
  get_mm_rss(), the central counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from stress.design import percpu_batch
from stress.live.reading.machine import fault_around_bytes
from stress.report.words import plural

INTERFACES = ("stat", "statm", "status", "psutil", "smaps_rollup")
"""The interfaces that are compared; psutil's memory_info reads statm."""
CACHED_FAULTS = 66
"""TASK_RSS_EVENTS_THRESH + 2."""


class Counting(StrEnum):
    """A way of counting, as one interface shows it."""

    EXACT = "exact"
    CACHED = "cached per thread"
    PERCPU = "per CPU"


@dataclass(frozen=True)
class Way:
    """How one interface counts: the way, and the batch that goes from a CPU (or thread) to all at once."""

    counting: Counting
    batch: int = 1

    def __str__(self) -> str:
        """As tables show it."""
        return str(self.counting) if self.counting == Counting.EXACT else f"{self.counting}, batch {self.batch}"


@dataclass(frozen=True)
class Bound:
    """The largest error at rest, in pages, and how it is computed."""

    pages: int
    how: str


@dataclass(frozen=True)
class Era:
    """Kernels that count in one way, from a version on, up to that of the next era."""

    since: tuple[int, int, int]
    counting: Counting
    sums: bool
    """Whether statm and status add up what is kept back; stat never does."""
    bound: str
    """The most that a reader that does not add up misses, for one counter."""


ERAS = (
    Era((0, 0, 0), Counting.EXACT, True, "0"),
    Era((2, 6, 34), Counting.CACHED, False, f"{CACHED_FAULTS} faults a thread"),
    Era((6, 2, 0), Counting.PERCPU, False, "(batch - 1) * CPUs"),
    Era((6, 16, 0), Counting.PERCPU, True, "(batch - 1) * CPUs"),
)
"""What unpatched kernels do (see the module's sources), oldest first."""
BACKPORTS = ((6, 12, 39), (6, 15, 7))
"""Stable series that add up from this release on, as the last era does."""


def era_of(version: tuple[int, int, int]) -> Era:
    """Return the era that a version belongs to."""
    if any(version[:2] == since[:2] and version >= since for since in BACKPORTS):
        return ERAS[-1]
    return next(era for era in reversed(ERAS) if version >= era.since)


def era_rows() -> list[tuple[str, str, str, str, str]]:
    """Return a row for each era: kernels, who keeps counts back, the most that is missed, how stat and statm count."""

    def name(version: tuple[int, int, int]) -> str:
        return ".".join(map(str, version[: 2 + bool(version[2])]))

    def before(version: tuple[int, int, int]) -> str:
        last = (*version[:2], version[2] - 1) if version[2] else (version[0], version[1] - 1, 0)
        return name(last)

    kernels = [f"{name(era.since)} to {before(later.since)}" for era, later in pairwise(ERAS)]
    kernels[0] = f"before {name(ERAS[1].since)}"
    backports = " and ".join(f"{name(since)}" for since in BACKPORTS)
    kernels.append(f"{name(ERAS[-1].since)} on; also {backports}, with what follows in their series")
    keeps = {
        Counting.EXACT: "nobody",
        Counting.CACHED: f"each thread, until its {CACHED_FAULTS}th fault",
        Counting.PERCPU: "each CPU, until its count reaches the batch",
    }
    return [
        (which, keeps[era.counting], era.bound, _off(era.bound == "0"), _off(era.sums))
        for which, era in zip(kernels, ERAS, strict=True)
    ]


def _off(exact: bool) -> str:
    return "exact" if exact else "off"


def by_version(version: tuple[int, int, int], cpus: int) -> dict[str, Way]:
    """Return what an unpatched kernel of this version does, by interface."""
    era = era_of(version)
    exact = Way(Counting.EXACT)
    batches = {Counting.EXACT: 1, Counting.CACHED: CACHED_FAULTS, Counting.PERCPU: percpu_batch(cpus)}
    approximate = Way(era.counting, batches[era.counting])
    shown = exact if era.sums else approximate
    return {"stat": approximate, "statm": shown, "status": shown, "psutil": shown, "smaps_rollup": exact}


def bound(way: Way, counters: int, cpus: int, threads: int, page: int, *, singly: bool = False) -> Bound:
    """Return the bound on the error at rest of a figure that is the sum of `counters` counters.

    cpus: CPUs online; threads: threads of the process, the main one too; page: bytes in a page; singly: no fault
    counts more than one page of it, as for anonymous pages.
    """
    if way.counting == Counting.EXACT:
        return Bound(0, "exact")
    if way.counting == Counting.PERCPU:
        per_cpu = way.batch - 1
        return Bound(
            per_cpu * cpus * counters,
            f"({way.batch} - 1) a CPU * {cpus} CPUs * {plural(counters, 'counter')}",
        )
    around = max(1, fault_around_bytes() // page)
    if singly:
        return Bound(way.batch * threads, f"{way.batch} faults a thread * {plural(threads, 'thread')}")
    return Bound(
        way.batch * threads * around,
        f"{way.batch} faults a thread * {plural(threads, 'thread')} * {plural(around, 'page')} that a file fault maps",
    )


def decide(version: dict[str, Way], seen: dict[str, Way | None]) -> dict[str, Way]:
    """Return the way of each interface: what was seen where something was, else what the version says.

    psutil counts as statm does, which it reads.
    """
    ways = {name: seen.get(name) or way for name, way in version.items()}
    return {**ways, "psutil": ways["statm"]}


def disagreements(version: dict[str, Way], seen: dict[str, Way | None]) -> list[str]:
    """Return where what was seen is not what the version says, as sentences."""
    return [
        f"{name}: this version counts {version[name]}, seen was {way}; what was seen decides"
        for name, way in seen.items()
        if way is not None and way != version[name]
    ]
