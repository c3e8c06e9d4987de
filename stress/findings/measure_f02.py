"""F02: the figures of 2004 are the best case; what do others gain?"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from stress import designs
from stress.findings.fault_rates import TURNS, Rates, contention_note, faults_per_second, million, ratio, worker_numbers
from stress.findings.measurement import Measured, Measurement
from stress.findings.simulated import most_cpus, simulated_rates
from stress.report.spread import YES
from stress.report.words import plural
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


def _mix_rates(mix: dict[str, float], workers: int, effort: float, seed: int) -> Rates:
    """Return the operations a second of all workers together, by design.

    The workers' loop knows the operations of all mixes, so that it is compiled once for each design.
    """
    from stress.workers.mix_machine import machine_for
    from stress.workers.pool import Pool

    machine = machine_for(mix, workers=workers, pages=PAGES, file_pages=0, arch="64", above_4g=True)
    known = list(dict.fromkeys(name for each in MIXES.values() for name in each))
    rates: dict[str, list[float]] = {}
    with ExitStack() as stack:
        pools = {
            name: stack.enter_context(Pool(designs.get(name), machine, workers, operations=known, judge=False))
            for name in (LOCK, FREE)
        }
        for name, pool in pools.items():
            pool.run(mix, seed=seed, operations=1000)
            rates[name] = []
        for _ in range(TURNS):
            for name, pool in pools.items():
                result = pool.run(mix, seed=seed, seconds=SECONDS * effort / TURNS)
                rates[name].append(sum(result.ops.values()) / result.seconds)
    return Rates(rates)


def measure(effort: float, seed: int) -> Measured:
    """Lock against lock-free: the best case, all kinds of fault together, and workloads on the same pages."""
    chosen = {name: designs.get(name) for name in (LOCK, FREE)}
    rows: list[dict[str, Any]] = []
    found: dict[str, Rates] = {}
    spread: list[dict[str, Any]] = []
    for workers in worker_numbers():
        for what in ("anon-write", "mixed", *MIXES):
            if what in MIXES:
                rates = _mix_rates(MIXES[what], workers, effort, seed)
            else:
                rates = faults_per_second(chosen, what, workers=workers, effort=effort, seed=seed)
            spread += rates.spread(f"{what}, {plural(workers, 'worker')}", LOCK)
            found[what] = rates
            label = "distinct pages: anon-write (the best case)" if what == "anon-write" else what
            label = "distinct pages: all kinds" if what == "mixed" else label
            rows.append(
                {
                    "workload": label,
                    "workers": workers,
                    "lock, M/s": million(rates[LOCK]),
                    "lock-free, M/s": million(rates[FREE]),
                    "gain": ratio(rates[FREE], rates[LOCK]),
                }
            )
    simulated = simulated_rates(chosen, effort=effort, seed=seed)
    shown = sum(row["shown"] == YES for row in spread)
    least = min(found, key=lambda what: found[what][FREE] / found[what][LOCK])
    return Measured(
        tuple(rows),
        (
            f"with {plural(available_cores(), 'worker')} the best case, as a share of the lock's rate, comes to "
            f"{found['anon-write'].against(FREE, LOCK)}; least gains {least}: {found[least].against(FREE, LOCK)}; "
            f"a gain is shown in {shown} of {len(rows)} rows",
            most_cpus(simulated),
            contention_note(),
        ),
        simulated=tuple(simulated),
        spread=tuple(spread),
    )


MEASUREMENT = Measurement(
    "F02",
    "the figures are the best case",
    "Distinct anonymous areas faulted in parallel gain most; what do other workloads gain?",
    measure,
)
