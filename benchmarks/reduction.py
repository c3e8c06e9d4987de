"""What `explore` gains by passing over states (docs/reduction.md): states, transitions, time, beside `--no-reduction`.

    python benchmarks/reduction.py [--rounds 3] [--jobs 2]

Both in turns; verdicts and final states are asserted to be the same.
"""

from __future__ import annotations

from statistics import median

import click
import one_line
from tabulate import tabulate

from stress import designs
from stress.explore import Result, explore
from stress.system.cpus import available_cores
from stress.workload import Workload

SEARCHES = (
    ("v12_sound", "fault 0 w; zap 0 | fault 1 w; swap_out | fault 0 w; statm | fault 1 w"),
    ("v12_sound", "fault 0 w; zap 0 | fault 1 w; swap_out | fault 0 w; statm | fault 1 w; zap 1"),
)


def told(result: Result) -> tuple[object, ...]:
    """Return what a reduction may not change."""
    return result.complete, result.outcomes, sorted((v.check, v.length) for v in result.violations)


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="How often each is run.")
@click.option("--jobs", type=click.IntRange(1), default=available_cores(), help="Threads.  [default: the cores]")
def main(rounds: int, jobs: int) -> None:
    """Compare searches with and without reduction, in turns."""
    rows = []
    for name, text in SEARCHES:
        design, workload = designs.get(name), Workload.parse(text)
        explore(design, workload, jobs=jobs)  # compile
        seconds: dict[bool, list[float]] = {True: [], False: []}
        results: dict[bool, Result] = {}
        for _ in range(rounds):
            for reduction, times in seconds.items():
                results[reduction] = explore(design, workload, jobs=jobs, reduction=reduction)
                times.append(results[reduction].seconds)
        passed, whole = results[True], results[False]
        assert told(passed) == told(whole)
        ratios = [every / few for few, every in zip(seconds[True], seconds[False], strict=True)]
        rows.append(
            {
                "workload": text,
                "states": f"{passed.states:,} of {whole.states:,}",
                "fewer": f"{whole.states / passed.states:.2f}",
                "transitions": f"{whole.transitions / passed.transitions:.2f}",
                "seconds": f"{median(seconds[True]):.2f}, {median(seconds[False]):.2f}",
                "faster": f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            }
        )
        print(tabulate([rows[-1]], tablefmt="plain"), flush=True)
    print(tabulate(rows, headers="keys"))


if __name__ == "__main__":
    one_line.run(main)
