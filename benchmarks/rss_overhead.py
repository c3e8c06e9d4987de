"""Cost of a change with one worker beside a bare loop of the same accesses, in turns: no more than 1.3 times.

    python benchmarks/rss_overhead.py [ROUNDS]

Exit status 1 when a counter costs more.
"""

from __future__ import annotations

import sys

from tabulate import tabulate

from stress.rss.cost import measure_cost
from stress.rss.subjects import SUBJECTS

MOST = 1.3


def main() -> int:
    """Print the table, with one thread (where lazy is single) and with eight."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
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
    return 0 if worst <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
