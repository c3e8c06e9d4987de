"""Error and cost against the number of CPUs, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stress.report.plot import Panel, draw
from stress.report.progress import steps_shown
from stress.rss.accuracy import measure_accuracy, workers_for
from stress.rss.compared import ROUNDS, Compared
from stress.rss.cost import measure_cost


def sizes_up_to(most_cpus: int) -> list[int]:
    """Powers of two below, and the number itself."""
    return [1 << power for power in range(most_cpus.bit_length()) if 1 << power < most_cpus] + [most_cpus]


def draw_curves(path: Path, lines: Sequence[Compared], *, cores: int, updates: int, hop: bool, seed: int) -> None:
    """Draw errors and costs by the number of CPUs, with as many tasks: at the last one the figures of ``lines``.

    The other sizes are measured as those were: with as many changes, rounds, and workers that hop or stay. Where the
    number of tasks of ``lines`` is another than that of the CPUs, the last size is measured anew, too.
    """
    most_cpus = lines[0].cpus
    errors: dict[str, dict[float, float]] = {line.subject.name: {} for line in lines}
    changes: dict[str, dict[float, float]] = {line.subject.name: {} for line in lines}
    sums: dict[str, dict[float, float]] = {line.subject.name: {} for line in lines}
    sizes = sizes_up_to(most_cpus)
    for cpus in steps_shown(sizes, "drawing", len(sizes)):
        known = cpus == most_cpus == lines[0].threads
        costs = measure_cost(
            [line.subject for line in lines], cpus=cpus, threads=cpus, cores=1, rounds=ROUNDS, read_sizes=(cpus,)
        )
        for line in lines:
            name, cost = line.subject.name, costs[line.subject.name]
            if known and line.accuracy and line.cost:
                errors[name][cpus], changes[name][cpus] = line.accuracy.worst, line.cost.update
                sums[name][cpus] = line.cost.reads.get(cpus, cost.reads[cpus])
                precise = line.cost.precise
            else:
                errors[name][cpus] = measure_accuracy(
                    line.subject,
                    cpus=cpus,
                    threads=cpus,
                    workers=workers_for(cpus, cpus, cores),
                    updates=updates,
                    hop=hop,
                    seed=seed,
                ).worst
                changes[name][cpus], sums[name][cpus], precise = cost.update, cost.reads[cpus], cost.precise
            if precise is not None:
                sums.setdefault(f"{name}, precise", {})[cpus] = precise
    how = "hopping" if hop else "staying on their CPUs"
    x = "virtual CPUs, and threads"
    draw(
        path,
        [
            Panel("Worst error of a reader", x, "pages", errors),
            Panel("Cost of a change, one worker", x, "nanoseconds", changes),
            Panel("Cost of a read", x, "nanoseconds", sums),
        ],
        f"workers {how}, {cores} cores; {updates:,} changes of each; seed {seed}",
    )
