"""Error and cost against the number of CPUs, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stress.report.plot import Panel, draw
from stress.report.progress import steps_shown
from stress.rss.accuracy import measure_accuracy, workers_for
from stress.rss.cost import measure_cost
from stress.rss.subjects import Subject

UPDATES = 200_000
"""Changes for one point of an error."""
ROUNDS = 5


def sizes_up_to(most_cpus: int) -> list[int]:
    """Powers of two below, and the number itself."""
    return [1 << power for power in range(most_cpus.bit_length()) if 1 << power < most_cpus] + [most_cpus]


def draw_curves(path: Path, subjects: Sequence[Subject], *, most_cpus: int, cores: int, seed: int) -> None:
    """Measure at each size, with as many tasks as CPUs and hopping workers, and draw errors and costs."""
    errors: dict[str, dict[float, float]] = {s.name: {} for s in subjects}
    changes: dict[str, dict[float, float]] = {s.name: {} for s in subjects}
    sums: dict[str, dict[float, float]] = {s.name: {} for s in subjects}
    for cpus in steps_shown(sizes_up_to(most_cpus), "drawing"):
        for subject in subjects:
            found = measure_accuracy(
                subject,
                cpus=cpus,
                threads=cpus,
                workers=workers_for(cpus, cpus, cores),
                updates=UPDATES,
                hop=True,
                seed=seed,
            )
            errors[subject.name][cpus] = found.worst
        costs = measure_cost(
            subjects, cpus=cpus, threads=cpus, cores=1, rounds=ROUNDS, read_sizes=(cpus,)
        )
        for name, cost in costs.items():
            changes[name][cpus] = cost.update
            sums[name][cpus] = cost.reads[cpus]
            if cost.precise is not None:
                sums.setdefault(f"{name}, precise", {})[cpus] = cost.precise
    x = "virtual CPUs, and threads"
    draw(
        path,
        [
            Panel("Worst error of a reader", x, "pages", errors),
            Panel("Cost of a change, one worker", x, "nanoseconds", changes),
            Panel("Cost of a read", x, "nanoseconds", sums),
        ],
        f"hopping workers on {cores} cores; each CPU and task filled to the most that it holds; seed {seed}",
    )
