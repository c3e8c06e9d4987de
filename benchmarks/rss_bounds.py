"""Every bounded counter over 10^8 changes with hopping workers: within its bound, and over one smaller by a batch?

    python benchmarks/rss_bounds.py [CPUS] [CHANGES]

Exit status 1 when a bound is exceeded. The last column says whether a bound smaller by one batch (for counters held
by tasks: by what one task holds) would have been exceeded, or why it could not be.
"""

from __future__ import annotations

import os
import sys

from tabulate import tabulate

from shm_layout.counter_tree import tree_width
from stress.designs import tree
from stress.rss.accuracy import measure_accuracy, workers_for
from stress.rss.subjects import SUBJECTS

MIB = 256
"""Pages of 4 KiB."""


def main() -> int:
    """Print the table."""
    cpus = int(sys.argv[1]) if len(sys.argv) > 1 else 384
    changes = int(float(sys.argv[2])) if len(sys.argv) > 2 else 10**8
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
                most = tree.most_held(tree_width(cpus), found.batch)
                smaller += f": at most {most:,} can be held by {tree_width(cpus)} leaves"
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
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
