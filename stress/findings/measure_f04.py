"""F04: how do the figures compare without the per-task counters, and what does each counter show?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stress import designs
from stress.design import Design
from stress.designs.v11_sloppy import SLOPPY
from stress.designs.v12_sound import on_sound_path
from stress.findings.fault_rates import contention_note, faults_per_second, million, ratio, worker_numbers
from stress.findings.measurement import Measured, Measurement
from stress.findings.simulated import most_cpus, simulated_rates
from stress.report.words import plural
from stress.system.cpus import available_cores

if TYPE_CHECKING:
    from stress.rss.subjects import Subject

UPDATES = 50_000_000
"""Changes of each counter with effort 1."""


def sloppy() -> Design:
    """Return V11's counters on the fault path of v12_sound, so that the counter alone differs."""
    return on_sound_path("sloppy", 2004, "patch set V11", "sloppy counters on the path of v12_sound", SLOPPY)


def measure(effort: float, seed: int, own: Sequence[Subject] = ()) -> Measured:
    """Return the same fault path with sloppy, atomic and per-task counters: cost, and error of readers.

    ``own``: counters of the user's own, which are measured beside them.
    """
    from stress.rss.accuracy import measure_accuracy
    from stress.rss.subjects import SUBJECTS

    chosen = {"v11_sloppy": sloppy(), "atomic": designs.get("atomic"), "list": designs.get("list")}
    simulated = simulated_rates(chosen, effort=effort, seed=seed)
    chosen |= {subject.name: subject.design for subject in own}
    subjects = {**SUBJECTS, **{subject.name: subject for subject in own}}
    by_workers = {
        workers: faults_per_second(chosen, "anon-write", workers=workers, effort=effort, seed=seed)
        for workers in worker_numbers()
    }
    workers = available_cores()
    rows = []
    for name in chosen:
        found = measure_accuracy(
            subjects[name],
            cpus=workers,
            threads=workers,
            workers=workers,
            updates=int(UPDATES * effort),
            hop=False,
            seed=seed,
        )
        row: dict[str, object] = {"counter": "sloppy" if name == "v11_sloppy" else name}
        for number, rates in by_workers.items():
            row[f"faults, {number} worker{'s' * (number > 1)}, M/s"] = million(rates[name])
            row[f"of list, {number}"] = ratio(rates[name], rates["list"])
        row |= {"worst error, pages": found.worst, "at rest": found.rest, "changes": found.updates}
        rows.append(row)
    drift = rows[0]["at rest"]
    costs = (
        f"with {plural(number, 'worker')} {name} counters let faults reach, as a share of per-task ones, "
        f"{rates.against(key, 'list')}"
        for number, rates in by_workers.items()
        for key, name in (("v11_sloppy", "sloppy"), ("atomic", "atomic"))
    )
    return Measured(
        tuple(rows),
        (
            f"sloppy counters are off by {drift} pages for good after {rows[0]['changes']:,} changes; "
            "atomic and per-task ones are exact",
            *costs,
            most_cpus(simulated),
            contention_note(),
        ),
        simulated=tuple(simulated),
        spread=tuple(row for n, rates in by_workers.items() for row in rates.spread(plural(n, "worker"), "list")),
        ok=rows[1]["worst error, pages"] == 0 and rows[2]["worst error, pages"] == 0,
    )


MEASUREMENT = Measurement(
    "F04",
    "are there numbers to support the per-task counters?",
    "What do the figures look like with sloppy counters in the place of the per-task ones?",
    measure,
    takes_counters=True,
)
