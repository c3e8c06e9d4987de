"""Every bounded counter over 10^8 changes with hopping workers: within its bound, and over one smaller by a batch?

    python benchmarks/rss_bounds.py [--cpus 384] [--changes 100000000]

Exit status 1 when a bound is exceeded. The last column says whether a bound smaller by one batch (for counters held
by tasks: by what one task holds) would have been exceeded, or why it could not be.
"""

from __future__ import annotations

import os
import sys

import click
import one_line
from tabulate import tabulate

from stress.designs import tree
from stress.rss.accuracy import measure_accuracy, workers_for
from stress.rss.subjects import SUBJECTS

MIB = 256
"""Pages of 4 KiB."""


@click.command()
@click.option("--cpus", type=click.IntRange(1), default=384, show_default=True, help="Virtual CPUs, and threads.")
@click.option("--changes", type=click.IntRange(1), default=10**8, show_default=True, help="Changes of each counter.")
def main(cpus: int, changes: int) -> None:
    """Hold every bounded counter against its bound, and against one that is smaller by a batch."""
    cores = len(os.sched_getaffinity(0))
    rows = []
    ok = True
    for name, subject in SUBJECTS.items():
        found = measure_accuracy(
            subject,
            cpus=cpus,
            threads=cpus,
            workers=workers_for(cpus, cpus, cores),
            updates=changes,
            hop=True,
            seed=1,
        )
        ok &= found.within
        smaller = ""
        if found.bound:
            step = min(subject.stay(cpus, found.batch)) if name in {"cached", "deferred_16"} else found.batch
            smaller = "exceeded" if found.worst > found.bound - step else "not exceeded"
            if name == "tree":
                smaller += f": at most {tree.most_held(cpus, found.batch):,} can be held"
        rows.append(
            {
                "counter": name,
                "changes": found.updates,
                "reads": found.reads,
                "bound": found.bound,
                "worst": found.worst,
                "MiB": round(found.worst / MIB, 1),
                "precise": found.precise if subject.precise else None,
                "negative": found.negative,
                "within": found.within,
                "bound - batch": smaller,
            }
        )
    print(f"{cpus} virtual CPUs and threads, {cores} cores")
    print(tabulate(rows, headers="keys", intfmt=",", missingval="-"))
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    one_line.run(main)
