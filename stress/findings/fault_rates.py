"""Faults a second of several designs, taking turns: what the measurements of the review have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from stress.design import Design
from stress.system.cpus import available_cores

PAGES = 1 << 15
"""Pages that are touched in one repetition with effort 1."""
TURNS = 3
"""How often each design is measured."""


def worker_numbers() -> tuple[int, ...]:
    """One worker, and one for each core."""
    return (1,) if available_cores() == 1 else (1, available_cores())


def contention_note() -> str:
    """What is to be said wherever workers contend."""
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
) -> dict[str, float]:
    """Faults a second of all workers together, by the designs' keys: the median of a few turns, in which the
    designs follow one another, so that what disturbs the machine disturbs all of them.
    """
    from stress.workers.server.client import ForkServer
    from stress.workers.table import Given, measure

    pages = max(int(PAGES * effort), 64 * workers)
    rates: dict[str, list[float]] = {name: [] for name in designs}
    with ForkServer(lambda: None) as server:
        for turn in range(TURNS + 1):
            for name, design in designs.items():
                given = Given(workers, pages, 2, arch, placement, seed)
                row = measure(design, kind, given, server)
                if turn:  # the first one warms up
                    rates[name].append(row.fault_wsec)
    return {name: median(found) for name, found in rates.items()}


def million(rate: float) -> float:
    """Millions a second, two decimals."""
    return round(rate / 1e6, 2)


def ratio(a: float, b: float) -> float:
    """a / b, two decimals."""
    return round(a / b, 2)


def ratios(rates: Mapping[str, float], names: Sequence[str], to: str) -> dict[str, float]:
    """Rates as a ratio to one of them."""
    return {f"{name} / {to}": ratio(rates[name], rates[to]) for name in names}
