"""What two workers of a cluster gain over one process: whole commands with `--dask local`, and with `--jobs 1`.

    python benchmarks/cluster.py [--rounds 3] [--seconds 60] [--copies 40]

In turns; wall time of the command counts, with all that starts and ends. Machine code is compiled beforehand.
`hunt`: workloads a second; `litmus`: tests a second of the gallery, each file so many times; `soak`: rounds a minute.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click
import one_line
from tabulate import tabulate

from shm_layout.errors import MachineError

GALLERY = Path(__file__).parents[1] / "examples"
ROUND = 5
"""Seconds of a round of the soak."""
WAYS = {"hunt": ["--jobs", "1"], "litmus": ["--jobs", "1"], "soak": []}


def command(*words: str) -> tuple[str, float]:
    """Run `pte-stress`; returns what it printed, and the seconds that it took."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-P", "-m", "stress", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MachineError(f"pte-stress {words[0]} ended with status {done.returncode}: {done.stderr.strip()}")
    return done.stdout, time.perf_counter() - began


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Turns.")
@click.option("--seconds", type=click.FloatRange(1), default=60, show_default=True, help="Of each hunt and soak.")
@click.option("--copies", type=click.IntRange(1), default=40, show_default=True, help="Of each litmus test.")
def main(rounds: int, seconds: float, copies: int) -> None:
    """Compare commands on two workers of a cluster with the same by one process."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        tests = folder / "tests"
        for number in range(copies):
            shutil.copytree(GALLERY, tests / str(number), ignore=lambda _, all_: [n for n in all_ if n.endswith(".py")])
        logs = iter(range(1 << 30))

        def hunt(way: list[str]) -> float:
            out, took = command("hunt", "page_table_lock", "--seconds", f"{seconds}", "--seed", "1", "--json", *way)
            return float(json.loads(out)["workloads"] / took)

        def litmus(way: list[str]) -> float:
            out, took = command("litmus", str(tests), "--json", *way)
            return len(out.splitlines()) / took

        def soak(way: list[str]) -> float:
            log = folder / f"{next(logs)}.jsonl"
            given = ["--designs", "page_table_lock", "--seconds", f"{seconds}", "--round-seconds", f"{ROUND}"]
            _, took = command("soak", *given, "--log", str(log), *way)
            return len(log.read_text().splitlines()) / took * 60

        figures: dict[str, Callable[[list[str]], float]] = {"hunt": hunt, "litmus": litmus, "soak": soak}
        command("hunt", "page_table_lock", "--seconds", "1", "--jobs", "1")
        for _ in range(2):
            soak([])  # each arch, with and without a mix, is compiled for itself
        rows = []
        for what, rate in figures.items():
            turns = [(rate(WAYS[what]), rate(["--dask", "local"])) for _ in range(rounds)]
            ratios = [many / one for one, many in turns]
            medians = [median(rates) for rates in zip(*turns, strict=True)]
            rows.append([what, *medians, median(ratios), min(ratios), max(ratios)])
    heads = ("command", "one process", "--dask local", "ratio", "least", "most")
    click.echo(tabulate(rows, headers=heads, floatfmt=".2f"))


if __name__ == "__main__":
    one_line.run(main)
