"""F02: the figures of 2004 are the best case; what do others gain?"""

from __future__ import annotations

from typing import Any

from stress import designs
from stress.findings.fault_rates import contention_note, faults_per_second, million, ratio, worker_numbers
from stress.findings.measurement import Measured, Measurement
from stress.system.cpus import available_cores

SECONDS = 0.5
"""Of each run of a mix with effort 1."""
PAGES = 256
MIXES: dict[str, dict[str, float]] = {
    "same pages: fault, zap": {"fault": 60, "zap": 6},
    "same pages: fault, zap, statm": {"fault": 60, "zap": 6, "statm": 20},
    "processes: fault, zap, fork, exit": {"fault": 60, "zap": 6, "fork": 2, "exit": 4},
}
"""Random operations of all workers on the same pages, as far from the best case as it gets."""
LOCK, FREE = "page_table_lock", "v12_sound"


def _mix_rates(mix: dict[str, float], workers: int, effort: float, seed: int) -> dict[str, float]:
    """Operations a second of all workers together, by design."""
    from stress.workers.mix_machine import machine_for
    from stress.workers.pool import Pool

    machine = machine_for(mix, workers=workers, pages=PAGES, file_pages=0, arch="64", above_4g=True)
    rates = {}
    for name in (LOCK, FREE):
        with Pool(designs.get(name), machine, workers, operations=[*mix], judge=False) as pool:
            pool.run(mix, seed=seed, operations=1000)
            result = pool.run(mix, seed=seed, seconds=SECONDS * effort)
        rates[name] = sum(result.ops.values()) / result.seconds
    return rates


def measure(effort: float, seed: int) -> Measured:
    """Lock against lock-free: the best case, all kinds of fault together, and workloads on the same pages."""
    chosen = {name: designs.get(name) for name in (LOCK, FREE)}
    rows: list[dict[str, Any]] = []
    gains: dict[str, float] = {}
    for workers in worker_numbers():
        for what in ("anon-write", "mixed", *MIXES):
            if what in MIXES:
                rates = _mix_rates(MIXES[what], workers, effort, seed)
            else:
                rates = faults_per_second(chosen, what, workers=workers, effort=effort, seed=seed)
            gain = ratio(rates[FREE], rates[LOCK])
            gains[what] = gain
            label = "distinct pages: anon-write (the best case)" if what == "anon-write" else what
            label = "distinct pages: all kinds" if what == "mixed" else label
            rows.append(
                {
                    "workload": label,
                    "workers": workers,
                    "lock, M/s": million(rates[LOCK]),
                    "lock-free, M/s": million(rates[FREE]),
                    "gain": gain,
                }
            )
    least = min(gains, key=lambda what: gains[what])
    return Measured(
        tuple(rows),
        (
            f"with {available_cores()} workers the best case gains {gains['anon-write']:.2f}, "
            f"the least gain is {gains[least]:.2f} ({least})",
            contention_note(),
        ),
    )


MEASUREMENT = Measurement(
    "F02",
    "the figures are the best case",
    "Distinct anonymous areas faulted in parallel gain most; what do other workloads gain?",
    measure,
)
