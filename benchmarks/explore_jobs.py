"""What a second thread gains in `explore --jobs`, and a second process in `hunt --jobs`.

    python benchmarks/explore_jobs.py [--rounds 5] [--jobs 2]

With one and with several, in turns; wall time counts. The toy of `explore_toy.py` has steps of its own, which are
watched. Searches come to the same states, which is asserted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import click
import one_line
from hypothesis.database import InMemoryExampleDatabase
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parent))

from explore_spin import OPERATIONS, PROGRAMS
from explore_toy import DESIGN as TOY

from stress import designs
from stress.design import Design
from stress.explore import explore
from stress.explore.hunt.hunt import Hunt
from stress.explore.hunt.workloads import batches_of, kinds_of, workloads
from stress.system.cpus import available_cores
from stress.workload import Workload

SEARCHES = {
    "explore v12_sound, 23.5 million states": (
        designs.get("v12_sound"),
        Workload.parse("fault 0 w; zap 0 | fault 1 w; swap_out | fault 0 w; statm | fault 1 w"),
    ),
    "explore v12_sound, 0.4 million states": (
        designs.get("v12_sound"),
        Workload.parse("fault 0 w; zap 0 | fault 1 w; swap_out | fault 0 w; statm"),
    ),
    "explore the toy of explore_spin.py": (
        TOY,
        Workload.parse(" | ".join("; ".join(OPERATIONS[i] for i in p) for p in PROGRAMS), ghost=False),
    ),
}
HUNTED = "page_table_lock"


def search_rate(design: Design, workload: Workload, jobs: int) -> float:
    """Return the million transitions that a search makes a second."""
    begin = time.perf_counter()
    result = explore(design, workload, jobs=jobs, reduction=False)
    assert result.complete
    return result.transitions / (time.perf_counter() - begin) / 1e6


def hunt_rate(seconds: float, jobs: int) -> float:
    """Return the workloads that a hunt explores a second."""
    design = designs.get(HUNTED)
    strategy = workloads(kinds_of(design), "64", batches=batches_of(design), machine=design.machine)
    found = Hunt(design, strategy, seconds=seconds, seed_=1, jobs=jobs, database=InMemoryExampleDatabase())
    found.run()
    return found.workloads / found.elapsed


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="How often each is run.")
@click.option("--jobs", type=click.IntRange(2), default=max(available_cores(), 2), help="Beside one.")
@click.option("--seconds", type=click.FloatRange(1), default=15.0, show_default=True, help="Of each hunt.")
def main(rounds: int, jobs: int, seconds: float) -> None:
    """Compare one with several, in turns."""
    figures: dict[str, tuple[str, Callable[[int], float]]] = {
        name: ("million transitions / s", lambda count, d=design, w=workload: search_rate(d, w, count))
        for name, (design, workload) in SEARCHES.items()
    }
    figures[f"hunt {HUNTED}"] = ("workloads / s", lambda count: hunt_rate(seconds, count))
    rows = []
    for name, (unit, rate) in figures.items():
        rate(1)  # compile, and touch the memory
        rates: dict[int, list[float]] = {1: [], jobs: []}
        for _ in range(rounds):
            for count, found in rates.items():
                found.append(rate(count))
        ratios = [many / one for one, many in zip(rates[1], rates[jobs], strict=True)]
        shown = {f"{count}, {unit}": f"{median(found):.2f}" for count, found in rates.items()}
        spread = {"gain": f"{median(ratios):.2f}", "of": f"{min(ratios):.2f} to {max(ratios):.2f}"}
        rows.append({"what": name, **shown, **spread})
        print(f"{name}: " + ", ".join(f"{k}: {v}" for k, v in list(rows[-1].items())[1:]), flush=True)
    print(tabulate([{k: row[k] for k in ("what", "gain", "of")} for row in rows], headers="keys"))


if __name__ == "__main__":
    one_line.run(main)
