"""What one run of `pte-stress live` measured."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from stress.live.reading.accounting import INTERFACES, Bound, Way

COUNTERS = {
    ("stat", "rss"): 3,
    ("statm", "resident"): 3,
    ("statm", "shared"): 2,
    ("status", "VmRSS"): 3,
    ("status", "RssAnon"): 1,
    ("status", "RssFile"): 1,
    ("status", "RssShmem"): 1,
    ("psutil", "rss"): 3,
    ("smaps_rollup", "Rss"): 3,
}
"""Every figure that is compared, and how many of the kernel's counters it is the sum of."""


@dataclass
class Errors:
    """What one figure was off by, in pages, round by round and process by process."""

    interface: str
    name: str
    bound: Bound
    errors: list[int] = field(default_factory=list)

    @property
    def now(self) -> int:
        """The last error, with its sign: what the interface says less what is mapped."""
        return self.errors[-1] if self.errors else 0

    @property
    def worst(self) -> int:
        """The largest error, without sign."""
        return max(map(abs, self.errors), default=0)

    @property
    def median(self) -> float:
        """The median error, without sign."""
        return statistics.median(map(abs, self.errors)) if self.errors else 0.0

    @property
    def ok(self) -> bool:
        """Whether no error was beyond the bound."""
        return self.worst <= self.bound.pages


def _costs() -> dict[str, list[float]]:
    return {name: [] for name in INTERFACES}


@dataclass
class Outcome:
    """All that one run of `live` measured."""

    kernel: str
    cpus: int
    page: int
    seed: int
    version: dict[str, Way]
    """What this version of the kernel is known to do, by interface."""
    seen: dict[str, Way | None]
    ways: dict[str, Way]
    """What decides the bounds: what was seen, else the version."""
    counters: dict[tuple[str, str], Errors]
    rounds: int = 0
    forks: int = 0
    hops: int = 0
    busy_reads: int = 0
    moved: int = 0
    """Pages that came or went while a process at rest was read; such a reading is taken again."""
    walks: str = ""
    """Which page walks were compared, and why one was not."""
    walks_differ: list[str] = field(default_factory=list)
    rest_us: dict[str, list[float]] = field(default_factory=_costs)
    busy_us: dict[str, list[float]] = field(default_factory=_costs)
    interrupted: bool = False
    """Whether it was ended before its rounds, or its time, were over."""

    @property
    def ok(self) -> bool:
        """Whether anything was measured, every figure was within its bound, and the page walks agreed."""
        return self.rounds > 0 and not self.walks_differ and all(c.ok for c in self.counters.values())

    def of(self, interface: str) -> list[Errors]:
        """The figures of one interface, the resident size first."""
        return [errors for (name, _), errors in self.counters.items() if name == interface]


def median_us(costs: list[float]) -> float | None:
    """The median cost of a read in microseconds, None when nothing was read."""
    return statistics.median(costs) if costs else None
