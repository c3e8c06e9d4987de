"""F03: every kind of page fault should gain; how much?"""

from __future__ import annotations

from stress import designs
from stress.findings.fault_rates import contention_note, faults_per_second, million, ratio, worker_numbers
from stress.findings.measurement import Measured, Measurement

KINDS = ("anon-write", "anon-read", "cow", "file", "swap-in", "mixed")
LOCK, FREE = "page_table_lock", "v12_sound"


def measure(effort: float, seed: int) -> Measured:
    """Lock against lock-free by kind of fault, with one worker and with one for each core."""
    chosen = {name: designs.get(name) for name in (LOCK, FREE)}
    rows = []
    for kind in KINDS:
        for workers in worker_numbers():
            rates = faults_per_second(chosen, kind, workers=workers, effort=effort, seed=seed)
            rows.append(
                {
                    "kind": kind,
                    "workers": workers,
                    "lock, M/s": million(rates[LOCK]),
                    "lock-free, M/s": million(rates[FREE]),
                    "gain": ratio(rates[FREE], rates[LOCK]),
                }
            )
    most = max(rows, key=lambda row: float(str(row["gain"])))
    says = f"{most['kind']} gains most: {most['gain']} with {most['workers']} workers"
    return Measured(tuple(rows), (says, contention_note()))


MEASUREMENT = Measurement(
    "F03",
    "every kind of fault should gain",
    "How much faster is each kind of page fault without page_table_lock on entry?",
    measure,
)
