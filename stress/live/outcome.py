"""What one run of `pte-stress live` measured."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from stress.live.figures import PEAKS, Explanation
from stress.live.reading.accounting import INTERFACES, Bound, Way
from stress.report.words import plural


@dataclass
class Errors:
    """What one figure was off by, in pages, round by round and process by process."""

    interface: str
    name: str
    bound: Bound
    errors: list[int] = field(default_factory=list)
    held_back: list[int] = field(default_factory=list)
    """What it was off by when as much as could be was held back on purpose, process by process."""

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
    def provoked(self) -> int:
        """The largest error that was provoked on purpose, without sign."""
        return max(map(abs, self.held_back), default=0)

    @property
    def seen(self) -> int:
        """The largest error of all, without sign."""
        return max(self.worst, self.provoked)

    @property
    def ok(self) -> bool:
        """Whether no error was beyond the bound."""
        return self.seen <= self.bound.pages


def _costs() -> dict[str, list[float]]:
    return {name: [] for name in INTERFACES}


@dataclass
class Outcome:
    """All that one run of `live` measured."""

    said: Explanation
    """What is said of this kernel before anything is measured: the ways of counting, and bounds that follow."""
    seed: int
    version: dict[str, Way]
    """What this version of the kernel is known to do, by interface."""
    seen: dict[str, Way | None]
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
    reach: str = ""
    """Why less was held back on purpose than the bound allows; empty where nothing stood in the way."""
    interrupted: bool = False
    """Whether it was ended before its rounds, or its time, were over."""

    @property
    def ok(self) -> bool:
        """Whether anything was measured, every figure was within its bound, and the page walks agreed."""
        return self.rounds > 0 and not self.walks_differ and all(c.ok for c in self.counters.values())

    def of(self, interface: str) -> list[Errors]:
        """Return the figures of one interface that say what is mapped now, the resident size first."""
        return [errors for key, errors in self.counters.items() if key[0] == interface and key not in PEAKS]

    def above(self, pages: int) -> bool:
        """Return whether VmRSS was seen to be off by more than that."""
        return self.counters["status", "VmRSS"].seen > pages

    def recommendation(self) -> str:
        """Return one sentence: which figure to trust; or which not, where the measurement contradicts what is said."""
        broken = [errors for errors in self.counters.values() if not errors.ok]
        wrong = [f"{errors.interface} {errors.name} was off by {plural(errors.seen, 'page')}" for errors in broken]
        if wrong:
            return f"{', '.join(wrong)}, beyond the bound: read Rss of smaps_rollup, and trust no other figure here."
        if self.walks_differ:
            return "The page walks differ, so nothing can be said of any figure on this kernel."
        return self.said.recommendation()


def median_us(costs: list[float]) -> float | None:
    """Return the median cost of a read in microseconds, None when nothing was read."""
    return statistics.median(costs) if costs else None
