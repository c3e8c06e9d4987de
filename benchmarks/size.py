"""Size and start-up: what a segment takes, how long workers, the help and a whole run take.

    python benchmarks/size.py [--runs 5]

Prints a table: what was measured, the median of several runs with the least and the greatest, and the limit that the
project sets itself. Whole processes are timed, from their start to their end, with compiled code on disk.
Exit status 1 when a median is above its limit.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import click
import one_line
from tabulate import tabulate

from shm_layout.layout import Layout
from shm_layout.machine import Machine
from stress import designs
from stress.workers.fault_kinds import KINDS
from stress.workers.fault_kinds import machine_for as machine_to_touch
from stress.workers.loop.block import place_blocks
from stress.workers.mix import default_mix
from stress.workers.mix_machine import machine_for
from stress.workers.pool import Pool
from stress.workers.server.client import ForkServer

PAGES = 8_388_608
"""32 GiB of 4 KiB pages."""
WORKERS = 64
MB = 1_000_000
MOST_MB = 400
"""Limit of a segment for `PAGES` pages."""


def process(*arguments: str) -> float:
    """Return the seconds that `pte-stress` takes. Raises `CalledProcessError` when it does not end with status 0."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-P", "-m", "stress", *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def start_workers() -> float:
    """Return the seconds until `WORKERS` workers have started and one has answered, the fork server included."""
    design = designs.get("v12_sound")
    mix = default_mix(design)
    machine = machine_for(mix, workers=WORKERS, pages=256, file_pages=32, arch="64", above_4g=True)
    began = time.perf_counter()
    with ForkServer() as server, Pool(design, machine, WORKERS, operations=tuple(mix), server=server) as pool:
        pool.truth(0)
        return time.perf_counter() - began


def segments() -> list[tuple[str, float]]:
    """Return the MB of whole segments, and the limit; a mix that forks has page tables of children, too."""
    mix = default_mix(designs.get("v12_sound"))
    run: dict[str, Any] = {"pages": PAGES, "file_pages": 32, "arch": "64", "above_4g": True}
    machines: list[tuple[str, Machine]] = [
        (f"table, {WORKERS} workers", machine_to_touch(KINDS["anon-write"], workers=WORKERS, pages=PAGES, arch="64")),
        ("run, faults and zaps, 2 workers", machine_for({"fault": 1, "zap": 1}, workers=2, **run)),
        ("run, default mix, 2 workers", machine_for(mix, workers=2, **run)),
        (f"run, default mix, {WORKERS} workers", machine_for(mix, workers=WORKERS, **run)),
    ]
    return [(name, place_blocks(Layout(machine), machine.cpus).words * 8 / MB) for name, machine in machines]


TIMED: dict[str, tuple[Callable[[], float], float | None]] = {
    f"{WORKERS} workers started": (start_workers, 3.0),
    "pte-stress --help": (lambda: process("--help"), 0.3),
    "pte-stress run --seconds 1": (lambda: process("run", "--seconds", "1"), 3.5),
    f"pte-stress run --seconds 1 --pages {PAGES}": (
        lambda: process("run", "--seconds", "1", "--pages", str(PAGES)),
        None,
    ),
}
"""What is timed, by name, with its limit in seconds, if the project sets itself one."""


@click.command()
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True, help="Runs of which the median is taken.")
@click.pass_context
def main(context: click.Context, runs: int) -> None:
    """Measure and print."""
    rows: list[tuple[object, ...]] = []
    over = []
    for name, size in segments():
        rows.append((f"segment for {PAGES:,} pages: {name}", f"{size:.0f} MB", "", f"{MOST_MB} MB"))
        over += [name] if size > MOST_MB else []
    for name, (measure, seconds) in TIMED.items():
        measure()  # compiles what is not on disk yet
        times = [measure() for _ in range(runs)]
        median = statistics.median(times)
        rows.append(
            (name, f"{median:.2f} s", f"{min(times):.2f} to {max(times):.2f}", f"{seconds:g} s" if seconds else "")
        )
        over += [name] if seconds and median > seconds else []
    click.echo(tabulate(rows, headers=("what", "median", "least to greatest", "limit"), disable_numparse=True))
    if over:
        click.echo(f"above the limit: {', '.join(over)}")
    context.exit(1 if over else 0)


if __name__ == "__main__":
    one_line.run(main)
