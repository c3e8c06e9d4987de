"""Programs whose states hardly merge (examples/families): the states that `explore` keeps, and the orders that differ.

    python benchmarks/families.py [--cpus 15] [--rounds 3] [--jobs 2]

An explorer without states looks at one schedule for each of these orders, at best. The number of final states is
asserted to be theirs.
"""

from __future__ import annotations

from importlib.resources import files
from statistics import median

import click
import one_line
from tabulate import tabulate

from stress.explore import explore
from stress.resolve import resolve_design
from stress.system.cpus import available_cores
from stress.workload import Workload

FOLDER = files("stress.examples") / "families"


def orders(name: str, cpus: int) -> int:
    """Return how many orders of the accesses of ``cpus`` CPUs beside one make a difference."""
    return (cpus + 3) * 2**cpus // 4 if name == "lastzero" else 2**cpus


@click.command()
@click.option("--cpus", type=click.IntRange(2, 15), default=15, show_default=True, help="Beside the one that differs.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="How often each is run.")
@click.option("--jobs", type=click.IntRange(1), default=available_cores(), help="Threads.  [default: the cores]")
def main(cpus: int, rounds: int, jobs: int) -> None:
    """Explore each family completely."""
    rows = []
    for name, one, last in (("lastzero", "add", "look"), ("readers", "look", "give")):
        design = resolve_design(f"{FOLDER}/{name}.py:{name.upper()}")
        workload = Workload.parse(" | ".join([*[one] * cpus, last]))
        explore(design, workload, jobs=jobs)  # compile
        results = [explore(design, workload, jobs=jobs) for _ in range(rounds)]
        assert all(result.complete and result.outcomes == orders(name, cpus) for result in results)
        seconds = [result.seconds for result in results]
        rows.append(
            {
                "family": name,
                "CPUs": f"{cpus} + 1",
                "orders": f"{orders(name, cpus):,}",
                "states": f"{results[0].states:,}",
                "transitions": f"{results[0].transitions:,}",
                "seconds": f"{median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})",
            }
        )
    print(tabulate(rows, headers="keys", disable_numparse=True))


if __name__ == "__main__":
    one_line.run(main)
