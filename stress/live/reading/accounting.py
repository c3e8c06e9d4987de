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

from stress.report.words import plural

INTERFACES = ("stat", "statm", "status", "psutil", "smaps_rollup")
"""The interfaces that are compared; psutil's memory_info reads statm."""
CACHED_FAULTS = 66
"""TASK_RSS_EVENTS_THRESH + 2."""
FAULT_AROUND_BYTES = 65536
LEAST_BATCH = 32


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


def percpu_batch(cpus: int) -> int:
    """compute_batch_value() of lib/percpu_counter.c for that many CPUs online."""
    return max(LEAST_BATCH, 2 * cpus)


def sums_precisely(version: tuple[int, int, int]) -> bool:
    """Whether statm and status of this version add up all CPUs (see the module's sources)."""
    series = version[:2]
    return series >= (6, 16) or (series == (6, 12) and version[2] >= 39) or (series == (6, 15) and version[2] >= 7)


def by_version(version: tuple[int, int, int], cpus: int) -> dict[str, Way]:
    """What an unpatched kernel of this version does, by interface."""
    exact = Way(Counting.EXACT)
    if version >= (6, 2, 0):
        approximate = Way(Counting.PERCPU, percpu_batch(cpus))
        shown = exact if sums_precisely(version) else approximate
    elif version >= (2, 6, 34):
        approximate = shown = Way(Counting.CACHED, CACHED_FAULTS)
    else:
        approximate = shown = exact
    return {"stat": approximate, "statm": shown, "status": shown, "psutil": shown, "smaps_rollup": exact}


def bound(way: Way, counters: int, cpus: int, threads: int, page: int) -> Bound:
    """The bound on the error of a figure that is the sum of `counters` counters.

    cpus: CPUs online; threads: threads of the process; page: bytes in a page.
    """
    if way.counting == Counting.EXACT:
        return Bound(0, "exact")
    if way.counting == Counting.PERCPU:
        per_cpu = way.batch - 1
        return Bound(
            per_cpu * cpus * counters,
            f"({way.batch} - 1) a CPU * {cpus} CPUs * {plural(counters, 'counter')}",
        )
    around = max(1, FAULT_AROUND_BYTES // page)
    return Bound(
        way.batch * threads * around,
        f"{way.batch} faults a thread * {threads} threads * {around} pages that a file fault maps",
    )


def decide(version: dict[str, Way], seen: dict[str, Way | None]) -> dict[str, Way]:
    """The way of each interface: what was seen where something was, else what the version says.

    psutil counts as statm does, which it reads.
    """
    ways = {name: seen.get(name) or way for name, way in version.items()}
    return {**ways, "psutil": ways["statm"]}


def disagreements(version: dict[str, Way], seen: dict[str, Way | None]) -> list[str]:
    """Where what was seen is not what the version says, as sentences."""
    return [
        f"{name}: this version counts {version[name]}, seen was {way}; what was seen decides"
        for name, way in seen.items()
        if way is not None and way != version[name]
    ]
