"""Cost of a change with one worker beside a bare loop of the same accesses, in turns: no more than 1.3 times.

    python benchmarks/rss_overhead.py [--rounds 60]

Exit status 1 when a counter costs more.
"""

from __future__ import annotations

import sys

import click
import one_line
from tabulate import tabulate

from stress.rss.cost import measure_cost
from stress.rss.subjects import SUBJECTS

MOST = 1.3


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=60, show_default=True, help="Rounds, in turns.")
def main(rounds: int) -> None:
    """Compare changes with bare loops, with one thread (where lazy is single) and with eight."""
    worst = 0.0
    for threads in (1, 8):
        costs = measure_cost([*SUBJECTS.values()], cpus=8, threads=threads, cores=1, rounds=rounds, read_sizes=(1,))
        worst = max(worst, *(cost.overhead for cost in costs.values()))
        rows = [
            {"counter": name, "change, ns": cost.update, "bare, ns": cost.bare, "ratio": cost.overhead}
            for name, cost in costs.items()
        ]
        print(f"{threads} thread{'s' * (threads > 1)}:")
        print(tabulate(rows, headers="keys", floatfmt=".2f"))
    sys.exit(0 if worst <= MOST else 1)


if __name__ == "__main__":
    one_line.run(main)
