"""The simulator against this machine: faults a second of one worker and of two, predicted and measured in one run.

    python benchmarks/scale_here.py [--turns 20] [--pages 65536]

The machine's lines are measured as `pte-stress scale --measure` does. Then the designs take turns, with work
trap+clear; in each turn that work is timed alone, too, by the code that workers spend it with. The designs are
simulated with the median of that. A row holds where the prediction is within 15 % of the median, or within the middle
half of the turns, whichever is wider. Exit status 1 where one does not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from statistics import median, quantiles

import click
import one_line
from tabulate import tabulate

from shm_layout.placement import PLACEMENTS
from stress import designs
from stress.compiling.clock import ticks_per_ns
from stress.scale.machine import ScaleMachine
from stress.scale.measure_machine import fault_of, measure_machine, time_work
from stress.scale.simulation import Given, simulate
from stress.system.cpus import available_cores
from stress.system.load import LoadWatch
from stress.workers import table
from stress.workers.server.client import ForkServer
from stress.workers.work import Work, measure_work

CASES = [
    ("page_table_lock", "posted"),
    *(("v12_sound", name) for name in PLACEMENTS),
    ("atomic", "posted"),
    ("percpu", "posted"),
    ("ptlock_split", "posted"),
]
"""Designs, and where their words lie."""
WORK = "trap+clear"
NEAR = 0.15
"""How far a prediction may be off, at least."""


def alone(work: Work, pages: int) -> Callable[[], tuple[float, float]]:
    """Return a function that times the work of a fault: nanoseconds of its page, and of all of it."""
    ticks = round(work.trap_ns * ticks_per_ns())
    each = time_work(work.page_bytes, pages)
    return lambda: (each(0), each(ticks))


def with_work(machine: ScaleMachine, page: float, whole: float) -> ScaleMachine:
    """Return the machine whose faults do that work, ns."""
    gb_s = machine.fault.page_bytes / page
    memory = replace(machine.memory, near_gb_s=gb_s, far_gb_s=gb_s, node_gb_s=max(machine.memory.node_gb_s, gb_s))
    return replace(machine, memory=memory, fault=fault_of(whole - page, machine.fault.page_bytes))


@click.command(help=__doc__)
@click.option("--turns", type=click.IntRange(4), default=20, show_default=True, help="Runs of each, which take turns.")
@click.option("--pages", type=click.IntRange(64), default=1 << 16, show_default=True, help="Pages of a run.")
@click.option("--seed", type=int, default=1, show_default=True)
def main(turns: int, pages: int, seed: int) -> None:
    """Measure the machine, let all take turns, and print what was predicted beside it."""
    watch = LoadWatch()
    machine, work = measure_machine(), measure_work(WORK)
    numbers = [n for n in (1, 2) if n <= available_cores()]
    time_alone, spent = alone(work, pages), []
    rates: dict[tuple[str, str, int], list[float]] = {(*case, n): [] for case in CASES for n in numbers}
    with ForkServer(lambda: None) as server:
        for turn in range(turns + 1):
            spent.append(time_alone())
            for (name, placement, workers), found in rates.items():
                given = table.Given(workers, pages, 1, "64", placement, seed)
                row = table.measure(designs.get(name), "anon-write", given, server, work=work)
                if turn:  # the first compiles
                    found.append(row.fault_wsec)
    machine = with_work(machine, *(median(each) for each in zip(*spent, strict=True)))
    rows, ok = [], True
    for (name, placement, workers), found in rates.items():
        simulated = simulate(designs.get(name), machine, Given(workers, placement=placement, seed=seed)).per_second
        middle = median(found)
        low, _, high = quantiles(found, n=4)
        holds = abs(simulated / middle - 1) <= NEAR or low <= simulated <= high
        ok &= holds
        rows.append(
            {
                "design": name,
                "placement": placement,
                "workers": workers,
                "measured, M/s": middle / 1e6,
                "middle half": f"{low / 1e6:.3f} to {high / 1e6:.3f}",
                "predicted, M/s": simulated / 1e6,
                "off": f"{100 * (simulated / middle - 1):+.0f} %",
                "holds": "yes" if holds else "NO",
            }
        )
    click.echo(tabulate(rows, headers="keys", floatfmt=".3f"))
    page, whole = (median(each) for each in zip(*spent, strict=True))
    behind = whole - work.trap_ns
    click.echo(f"the work alone: {page:.0f} ns for a page of many in a row, {whole:.0f} ns for a trap and a page")
    click.echo(f"the trap takes {work.trap_ns:.0f} ns, so {behind:.0f} ns are left for the page behind it")
    click.echo(f"{turns} turns of {pages:,} pages; {watch.load()}")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    one_line.run(main)
