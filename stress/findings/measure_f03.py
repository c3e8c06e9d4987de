"""F03: every kind of page fault should gain; how much?"""

from __future__ import annotations

from stress import designs
from stress.findings.fault_rates import contention_note, faults_per_second, million, ratio, worker_numbers
from stress.findings.measurement import Measured, Measurement
from stress.findings.simulated import simulated_rates
from stress.report.spread import YES
from stress.report.words import plural

KINDS = ("anon-write", "anon-read", "cow", "file", "swap-in", "mixed")
LOCK, FREE = "page_table_lock", "v12_sound"


def measure(effort: float, seed: int) -> Measured:
    """Lock against lock-free by kind of fault, with one worker and with one for each core."""
    chosen = {name: designs.get(name) for name in (LOCK, FREE)}
    rows = []
    spread = []
    for kind in KINDS:
        for workers in worker_numbers():
            rates = faults_per_second(chosen, kind, workers=workers, effort=effort, seed=seed)
            spread += rates.spread(f"{kind}, {plural(workers, 'worker')}", LOCK)
            rows.append(
                {
                    "kind": kind,
                    "workers": workers,
                    "lock, M/s": million(rates[LOCK]),
                    "lock-free, M/s": million(rates[FREE]),
                    "gain": ratio(rates[FREE], rates[LOCK]),
                }
            )
    simulated = [
        row
        for kind in KINDS
        for row in simulated_rates(chosen, effort=effort, seed=seed, kind=kind, kind_of_fault=kind)
    ]
    shown = [row for row, runs in zip(rows, spread[1::2], strict=True) if runs["shown"] == YES]
    says = "that any kind of fault gains is not measurable here"
    if shown:
        most = max(shown, key=lambda row: float(str(row["gain"])))
        with_ = plural(int(str(most["workers"])), "worker")
        says = f"{most['kind']} gains most where a gain is shown: {most['gain']} with {with_}"
    return Measured(tuple(rows), (says, contention_note()), simulated=tuple(simulated), spread=tuple(spread))


MEASUREMENT = Measurement(
    "F03",
    "every kind of fault should gain",
    "How much faster is each kind of page fault without page_table_lock on entry?",
    measure,
)
