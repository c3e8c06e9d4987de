"""Fault rate of `pte-stress live --table` against a plain C loop that touches the same pages.

    python benchmarks/live_table.py [--pairs 15] [--mib 256] [--json]

Compiles live_table.c beside it with `cc`, then runs the two turn by turn, one repetition each (both do one
more first, which is not counted), so that what else the machine does hits both. Rates swing on a busy or
virtual machine, always downwards: the best of each are compared, and the medians are shown too. Ends with
status 1 when a best rate is further than 5 % from that of the C loop, with 3 when there is no compiler.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import one_line
from tabulate import tabulate

from shm_layout.available import memory_available
from shm_layout.errors import PteStressError
from stress.live.faults import MODES, Row, least_memory, one_repetition
from stress.live.load.crew import Crew
from stress.live.reading.machine import MIB, grant_memory, kernel_release, page_size

LIMIT = 0.05
WORKERS = (1, 2)


def c_rate(program: Path, mode: str, workers: int, pages: int) -> float:
    """Return faults a second of wall time of one repetition of the C loop."""
    command = [str(program), mode, str(workers), str(pages), "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    faults, wall_ns = map(int, done.stdout.split())
    return faults / wall_ns * 1e9


def our_rate(crew: Crew, mode: str, workers: int, pages: int) -> float:
    """Return faults a second of wall time of one repetition of ours."""
    one_repetition(crew, Row("anon", mode, workers, 0), pages)
    row = Row("anon", mode, workers, 0)
    one_repetition(crew, row, pages)
    return row.fault_wsec


def compare(program: Path, mode: str, workers: int, pages: int, pairs: int) -> dict[str, object]:
    """Measure both in turns, and return the medians."""
    processes, threads = (workers, 1) if mode == "processes" else (1, workers)
    ours, plain = [], []
    with Crew(processes, threads) as crew:
        for turn in range(pairs):
            # The second one finds the memory that the first gave back: take turns.
            for mine in ((True, False), (False, True))[turn % 2]:
                if mine:
                    ours.append(our_rate(crew, mode, workers, pages))
                else:
                    plain.append(c_rate(program, mode, workers, pages))
    return {
        "mode": mode, "workers": workers, "ours_best": max(ours), "c_best": max(plain),
        "difference": max(ours) / max(plain) - 1,
        "ours_median": statistics.median(ours), "c_median": statistics.median(plain),
    }


@click.command()
@click.option("--pairs", type=click.IntRange(min=1), default=15, show_default=True, help="Turns of each.")
@click.option("--mib", type=click.IntRange(min=1), default=256, show_default=True, help="Memory that is touched.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(pairs: int, mib: int, as_json: bool) -> None:
    """Compare the fault rates of `pte-stress live --table` with those of a plain C loop."""
    compiler = shutil.which("cc")
    if compiler is None:
        click.echo("no C compiler: install one that is called cc", err=True)
        sys.exit(3)
    try:
        grant_memory(mib, mib, least_memory(max(WORKERS)), memory_available())
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "live_table"
            source = Path(__file__).with_suffix(".c")
            subprocess.run([compiler, "-O2", "-Wall", "-pthread", "-o", program, source], check=True)
            rows = [compare(program, mode, workers, mib * MIB // page_size() // workers, pairs)
                    for mode in MODES for workers in WORKERS]
    except PteStressError as why:
        click.echo(str(why), err=True)
        sys.exit(why.exit_status)
    if as_json:
        click.echo(json.dumps({"kernel": kernel_release(), "mib": mib, "pairs": pairs, "rows": rows}))
    else:
        click.echo(f"Linux {kernel_release()}, {mib} MiB, anonymous; faults a second of wall time, {pairs} turns")
        click.echo(tabulate(rows, headers="keys", floatfmt=("", "", ".0f", ".0f", "+.1%", ".0f", ".0f")))
    sys.exit(1 if any(abs(float(str(row["difference"]))) > LIMIT for row in rows) else 0)


if __name__ == "__main__":
    one_line.run(main)
