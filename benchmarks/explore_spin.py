"""The explorer beside Spin on the same model: 3 CPUs with 4 operations each. Needs `spin` and a C compiler.

    python benchmarks/explore_spin.py [--rounds 3]

The programs run in turn, `--rounds` times; the best CPU time of each counts, so that a machine that is shared by
others does not decide. The second table is the cost of a state from 10^5 states to 10^7, on a design of this package;
each size has a process of its own, so that the first touch of its memory counts at every size, and again the best of
the rounds counts.
"""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import click
import one_line
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parent))

from explore_toy import DESIGN as TOY

from stress import designs
from stress.explore import Bounds, Result, explore
from stress.workload import Workload

MODEL = Path(__file__).with_name("explore_spin.pml")
OPERATIONS = ("fault 0", "zap 0", "fault 1", "zap 1")
PROGRAMS = ((0, 1, 2, 3), (0, 2, 1, 3), (2, 3, 0, 1))
SIZES = (10**5, 10**6, 10**7)
SCALING = (
    "fault 0 w; zap 0; fault 1 w; zap 1; fault 0 w | fault 0 w; fault 1 w; zap 0; zap 1; fault 1 w | "
    "swap_out frame=1; fault 1 w; zap 1; swap_out"
)


def children_seconds() -> float:
    """Return the CPU time of the children that have ended, s."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def spin(folder: Path, reduce: bool) -> dict[str, float]:
    """Generate, compile and run Spin's verifier in a folder; return its figures."""
    subprocess.run(["spin", "-DPL=4", "-a", str(MODEL)], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    flags = ["-O3", "-DSAFETY", "-DVECTORSZ=512"] + ([] if reduce else ["-DNOREDUCE"])
    subprocess.run(["cc", *flags, "-o", "pan", "pan.c"], cwd=folder, check=True)
    before, started = children_seconds(), time.perf_counter()
    run = subprocess.run(["./pan", "-m100000", "-w24"], cwd=folder, check=True, capture_output=True, text=True)
    wall = time.perf_counter() - started
    states = int(re.search(r"(\d+) states, stored", run.stdout)[1])
    transitions = int(re.search(r"(\d+) transitions", run.stdout)[1])
    megabytes = float(re.search(r"([\d.]+)\s+total actual memory", run.stdout)[1])
    cpu = children_seconds() - before
    return {"states": states, "transitions": transitions, "cpu": cpu, "wall": wall, "bytes": megabytes * 2**20 / states}


def ours(workload: Workload) -> dict[str, float]:
    """Return the same of the explorer."""
    before, started = time.process_time(), time.perf_counter()
    result = explore(TOY, workload, reduction=False)
    assert result.complete
    cpu, wall = time.process_time() - before, time.perf_counter() - started
    return {**figures(result), "cpu": cpu, "wall": wall}


def figures(result: Result) -> dict[str, float]:
    """Return states, transitions and bytes a state of an exploration."""
    return {"states": result.states, "transitions": result.transitions, "bytes": result.bytes / result.states}


def compare(rounds: int) -> None:
    """Print the first table: both on the same small model."""
    columns = ["; ".join(OPERATIONS[i] for i in program) for program in PROGRAMS]
    workload = Workload.parse(" | ".join(columns), ghost=False)
    explore(TOY, workload, bounds=Bounds(states=1000))  # compile
    names = ("pte-stress explore", "spin -DNOREDUCE", "spin")
    best: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            runs = (ours(workload), spin(Path(folder), False), spin(Path(folder), True))
        for name, run in zip(names, runs, strict=True):
            if name not in best or run["cpu"] < best[name]["cpu"]:
                best[name] = run
    rows = [
        {
            "program": name,
            "states": f"{run['states']:,.0f}",
            "transitions": f"{run['transitions']:,.0f}",
            "CPU s": f"{run['cpu']:.2f}",
            "wall s": f"{run['wall']:.2f}",
            "M transitions / CPU s": f"{run['transitions'] / run['cpu'] / 1e6:.2f}",
            "bytes / state": f"{run['bytes']:.0f}",
        }
        for name, run in best.items()
    ]
    print(tabulate(rows, headers="keys", disable_numparse=True))
    mine, full, reduced = (best[name] for name in names)
    rate = mine["transitions"] / mine["cpu"] / (full["transitions"] / full["cpu"])
    print(f"transitions a second: {rate:.1f} times those of spin -DNOREDUCE")
    print(f"time to complete: {mine['cpu'] / reduced['cpu']:.2f} of that of spin with its reduction\n")


def cost(most: int) -> dict[str, float]:
    """Return the CPU time and the figures of a search that keeps `most` states."""
    design, workload = designs.get("v12_sound"), Workload.parse(SCALING, arch="pae")
    explore(design, workload, bounds=Bounds(states=1000))  # compile
    before = time.process_time()
    result = explore(design, workload, bounds=Bounds(states=most), reduction=False)
    return {**figures(result), "cpu": time.process_time() - before}


def scale(rounds: int) -> None:
    """Print the second table: cost by number of states."""
    best: dict[int, dict[str, float]] = {}
    for _ in range(rounds):
        for most in SIZES:
            with ProcessPoolExecutor(1, get_context("spawn")) as alone:
                run = alone.submit(cost, most).result()
            if most not in best or run["cpu"] < best[most]["cpu"]:
                best[most] = run
    rows = [
        {
            "states": f"{run['states']:,}",
            "CPU us / state": f"{run['cpu'] / run['states'] * 1e6:.2f}",
            "M transitions / CPU s": f"{run['transitions'] / run['cpu'] / 1e6:.2f}",
            "bytes / state": f"{run['bytes']:.0f}",
        }
        for run in best.values()
    ]
    print(tabulate(rows, headers="keys", disable_numparse=True))
    small, large = (best[most]["cpu"] / best[most]["states"] for most in (SIZES[0], SIZES[-1]))
    print(f"cost of a state: {large / small:.2f} times as much at {SIZES[-1]:,} states as at {SIZES[0]:,}")


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="How often each program runs.")
def main(rounds: int) -> None:
    """Compare, then scale."""
    missing = [name for name in ("spin", "cc") if not shutil.which(name)]
    if missing:
        print(f"{' and '.join(missing)} not found: the comparison is left out", file=sys.stderr)
    else:
        compare(rounds)
    scale(rounds)


if __name__ == "__main__":
    one_line.run(main)
