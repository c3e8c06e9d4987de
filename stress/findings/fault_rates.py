"""Faults a second of several designs, taking turns: what the measurements of the review have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from statistics import median
from typing import TYPE_CHECKING, Any

from stress.design import Design
from stress.report.spread import Spread
from stress.system.cpus import available_cores

if TYPE_CHECKING:
    from stress.workers.work import Work

PAGES = 1 << 15
"""Pages that are touched in one repetition with effort 1."""
TURNS = 3
"""How often each design is measured."""


class Rates(dict[str, float]):
    """Faults a second of several designs, by their keys: the median of their turns, which are kept."""

    def __init__(self, turns: Mapping[str, Sequence[float]]) -> None:
        """Take the turns of each."""
        super().__init__({name: median(found) for name, found in turns.items()})
        self.turns = {name: Spread.of(found) for name, found in turns.items()}

    def spread(self, what: str, to: str = "") -> list[dict[str, Any]]:
        """A row for each design: ``what`` was measured, in M/s, and whether it is faster than the design ``to``."""
        rows = []
        for name, turns in self.turns.items():
            shown = turns.above(self.turns[to]) if to and name != to else None
            millions = Spread.of(turn / 1e6 for turn in turns.runs)
            rows.append(millions.row(f"{name}, {what}, M/s", shown))
        return rows

    def against(self, name: str, to: str) -> str:
        """Say what share of the rate of the design ``to`` another reaches, turn by turn, and whether they differ."""
        return self.turns[name].against(self.turns[to])


def worker_numbers() -> tuple[int, ...]:
    """Return one worker, and one for each core."""
    return (1,) if available_cores() == 1 else (1, available_cores())


def contention_note() -> str:
    """Return what is to be said wherever workers contend."""
    return f"measured on a machine with {available_cores()} cores"


def faults_per_second(
    designs: Mapping[str, Design],
    kind: str,
    *,
    workers: int,
    effort: float,
    seed: int,
    placement: str = "posted",
    arch: str = "64",
    work: str = "trap+clear",
) -> Rates:
    """Return faults a second of all workers together, by the designs' keys: the median of a few turns, in which the
    designs follow one another, so that what disturbs the machine disturbs all of them.
    """
    from stress.workers.server.client import ForkServer
    from stress.workers.table import Given, measure

    pages = max(int(PAGES * effort), 64 * workers)
    done = measure_work_once(work)
    rates: dict[str, list[float]] = {name: [] for name in designs}
    with ForkServer(lambda: None) as server:
        for turn in range(TURNS + 1):
            for name, design in designs.items():
                given = Given(workers, pages, 2, arch, placement, seed)
                row = measure(design, kind, given, server, work=done)
                if turn:  # the first one warms up
                    rates[name].append(row.fault_wsec)
    return Rates(rates)


@cache
def measure_work_once(name: str) -> Work:
    """Measure the private work of a fault on this kernel, once for all measurements."""
    from stress.workers.work import measure_work

    return measure_work(name)


def million(rate: float) -> float:
    """Millions a second, two decimals."""
    return round(rate / 1e6, 2)


def ratio(a: float, b: float) -> float:
    """Return a / b, with two decimals."""
    return round(a / b, 2)


def ratios(rates: Mapping[str, float], names: Sequence[str], to: str) -> dict[str, float]:
    """Rates as a ratio to one of them."""
    return {f"{name} / {to}": ratio(rates[name], rates[to]) for name in names}
