"""What the engine costs, and what a second worker gains.

    python benchmarks/workers_speed.py

(a) An anonymous write fault in one worker, against a compiled loop that makes the same atomic read-modify-writes on
    the same words (so on the same number of distinct cache lines) and nothing else. Which ones they are is found by
    performing one such fault in plain Python and noting every atomic operation.
(b) Two workers on distinct pages against one, in faults a second: as posted, where every fault takes mmap_sem for
    read and so all of them write one cache line; with readers of mmap_sem counted by CPU (placement `big_reader`),
    which leaves what the design itself shares; and with an mm each.
(c) The same for `page_table_lock`.
(d) Both as posted with the work of a real fault: entry and exit as measured on this kernel, and a real page cleared.

Medians of several rounds in which all of them take turns. Times are CPU times of the workers, so that other load on
the machine does little to (a); (b) and (c) need two CPUs that nobody else uses.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
import numpy as np
import one_line
import psutil
from tabulate import tabulate

from shm_layout import atomic
from shm_layout.machine import Machine
from shm_layout.placement import AS_POSTED, BIG_READER, Placement
from stress import designs
from stress.compiling.modules import compiled_module
from stress.sequential import PlainMachine
from stress.workers.loop.page_work import working
from stress.workers.pool import Pool
from stress.workers.records import Call
from stress.workers.server.client import ForkServer
from stress.workers.work import Work, measure_work, set_work

PAGES = 65536
ROUNDS = 7
SWEEPS = 50
"""Sweeps over all pages in a round, of one worker."""
SHORT = 15
"""Single sweeps in a round, of one worker and of two."""
WORKING_SWEEPS = 3
"""Sweeps in a round where faults do the work of real ones."""
READ_MODIFY_WRITE = ("xchg", "cmpxchg", "fetch_add", "fetch_or", "fetch_and")


@contextmanager
def noted(found: list[tuple[str, int]]) -> Iterator[None]:
    """Note every atomic read-modify-write of plain Python steps: its name and the index of its word."""
    originals = {name: getattr(atomic, name) for name in READ_MODIFY_WRITE}

    def noting(name: str, original: Callable[..., int]) -> Callable[..., int]:
        def function(m: Any, i: int, *values: int) -> int:
            found.append((name, i))
            return original(m, i, *values)

        return function

    replaced = []
    for module in [m for n, m in sys.modules.items() if n.startswith("stress.kernel")]:
        for name, original in originals.items():
            if getattr(module, name, None) is original:
                setattr(module, name, noting(name, original))
                replaced.append((module, name))
    try:
        yield
    finally:
        for module, name in replaced:
            setattr(module, name, originals[name])


def operations_of_a_fault(design: str) -> list[tuple[str, int, int]]:
    """Atomic read-modify-writes of one anonymous write fault, in order: name, word, and how far it is to the next's.

    From fault to fault a word of the mm stays, a pte's is the next one, and a page's that of the next page.
    """
    plain = PlainMachine(designs.get(design), Machine(cpus=1, mms=1, anon=8, frames=16))
    first: list[tuple[str, int]] = []
    second: list[tuple[str, int]] = []
    with noted(first):
        plain.perform("fault", address=2, write=True)
    with noted(second):
        plain.perform("fault", address=3, write=True)
    if [name for name, _ in first] != [name for name, _ in second]:
        raise RuntimeError("two faults in a row differ in what they access")
    base = min(i for _, i in first)
    return [(name, i - base, after - i) for (name, i), (_, after) in zip(first, second, strict=True)]


def add(m: Any, i: int) -> None:
    """Perform fetch_add, as a function that generated source can call."""
    atomic.fetch_add(m, i, 1)


def swap(m: Any, i: int) -> None:
    """Perform a cmpxchg that succeeds."""
    value = atomic.read_once(m, i)
    atomic.cmpxchg(m, i, value, value + 1)


def bit(m: Any, i: int) -> None:
    """Perform fetch_or."""
    atomic.fetch_or(m, i, 1)


def exchange(m: Any, i: int) -> None:
    """Perform xchg."""
    atomic.xchg(m, i, 1)


CALLS = {"fetch_add": "add", "cmpxchg": "swap", "fetch_or": "bit", "fetch_and": "bit", "xchg": "exchange"}


def bare_loop(design: str) -> tuple[Callable[[int], None], int, int]:
    """Return the loop that makes only those accesses, on memory of its own; also their number and that of the lines."""
    found = operations_of_a_fault(design)
    lines = ["@njit", "def bare(array, pages, sweeps):", "    m = words(array, 0)", "    for sweep in range(sweeps):"]
    lines += ["        for page in range(pages):"]
    # Words that stay, ptes, pages: as far apart as in a segment, and with the same strides.
    places = {0: 0, 1: 64, 4: 64 + PAGES + 8}
    for name, word, stride in found:
        within = {0: word % 8, 1: 0, 4: word % 4}[stride]
        lines.append(f"            {CALLS[name]}(m, {places[stride] + within} + page * {stride})")
    lines += ["    return 0", ""]
    functions = {f.__name__: f for f in (add, swap, bit, exchange)}
    loop = compiled_module(f"bare_{design}", "\n".join(lines), functions)["bare"]
    array = np.zeros(64 + 8 + 5 * PAGES, np.int64)
    loop(array, PAGES, 1)
    return lambda sweeps: loop(array, PAGES, sweeps), len(found), len({stride for _, _, stride in found})


class Bench:
    """A pool for one design, whose sweeps are timed by the CPU time of the workers."""

    def __init__(
        self,
        design: str,
        server: ForkServer,
        placement: Placement = AS_POSTED,
        *,
        judge: bool = False,
        own_mm: bool = False,
        work: Work | None = None,
    ) -> None:
        """Start two workers; with ``own_mm`` the second goes on in an address space of its own.

        ``work``: the private work of each fault; fewer sweeps are made then.
        """
        self.sweeps, self.short = (SWEEPS, SHORT) if work is None else (WORKING_SWEEPS, WORKING_SWEEPS)
        chosen = designs.get(design) if work is None else working(designs.get(design), traps=True)
        machine = Machine(cpus=2, mms=2, anon=PAGES, frames=2 * PAGES + 64)
        operations = ["fault", "zap", "fork"]
        self.pool = Pool(
            chosen, machine, 2, placement=placement, operations=operations, server=server, judge=judge
        )
        if work is not None:
            set_work(self.pool, work)
        if own_mm:
            self.pool.perform({1: [Call("fork", 0, 1)]})

    def fault_ns(self) -> float:
        """Return the CPU time of one write fault in one worker, ns."""
        self.pool.start_sweep(rounds=self.sweeps, workers=[0])
        self.pool.wait(float("inf"))
        result = self.pool.finish()
        cpu, ns = result.user + result.system, result.ns
        assert ns["fault"] is not None
        assert ns["zap"] is not None
        faults, zaps = result.ops["fault"] * ns["fault"], result.ops["zap"] * ns["zap"]
        return cpu * 1e9 / result.ops["fault"] * faults / (faults + zaps)

    def per_second(self, workers: int) -> float:
        """Return faults a second of wall time, by so many workers that start together; zaps left out.

        The median of many single sweeps, each short beside the turns that other load takes.
        """
        found = []
        for _ in range(self.short):
            self.pool.start_sweep(rounds=1, workers=range(workers))
            self.pool.wait(float("inf"))
            ns = self.pool.finish().ns["fault"]
            assert ns is not None
            found.append(workers * 1e9 / ns)
        return statistics.median(found)


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=ROUNDS, show_default=True, help="Rounds, in turns.")
def main(rounds: int) -> None:
    """Compare workers with a bare loop, and two workers with one."""
    bare, accesses, lines = bare_loop("v12_sound")

    def bare_ns() -> float:
        began = time.process_time()
        bare(SWEEPS)
        return (time.process_time() - began) * 1e9 / SWEEPS / PAGES

    work = measure_work("trap+clear")
    with ForkServer() as server:
        benches = {
            "v12_sound": Bench("v12_sound", server),
            "v12_sound, truth noted": Bench("v12_sound", server, judge=True),
            "v12_sound, an mm each": Bench("v12_sound", server, own_mm=True),
            "v12_sound, big_reader": Bench("v12_sound", server, BIG_READER),
            "page_table_lock": Bench("page_table_lock", server),
            "page_table_lock, big_reader": Bench("page_table_lock", server, BIG_READER),
            "v12_sound, with work": Bench("v12_sound", server, work=work),
            "page_table_lock, with work": Bench("page_table_lock", server, work=work),
        }
        samples: dict[str, list[float]] = {}
        for _ in range(rounds):
            samples.setdefault("bare", []).append(bare_ns())
            for key, bench in benches.items():
                samples.setdefault(f"{key}: ns", []).append(bench.fault_ns())
                one, two = bench.per_second(1), bench.per_second(2)
                samples.setdefault(f"{key}: one", []).append(one)
                samples.setdefault(f"{key}: two", []).append(two)
                samples.setdefault(f"{key}: gain", []).append(two / one)
        for bench in benches.values():
            bench.pool.close()
    median = {name: statistics.median(values) for name, values in samples.items()}
    print(f"{PAGES} pages, medians of {rounds} rounds; load of the machine {psutil.getloadavg()[0]:.1f}")
    print(f"an anonymous write fault of v12_sound: {accesses} atomic read-modify-writes on {lines} cache lines")
    rows = [("bare loop", median["bare"], 1.0, None, None, None)]
    for name in (key.removesuffix(": ns") for key in median if key.endswith(": ns")):
        ns, gain = median[f"{name}: ns"], median[f"{name}: gain"]
        rows.append((name, ns, ns / median["bare"], median[f"{name}: one"], median[f"{name}: two"], gain))
    headers = ("", "ns a fault", "of bare", "one worker, a second", "two workers", "gain")
    print(tabulate(rows, headers=headers, floatfmt=("", ".1f", ".2f", ",.0f", ",.0f", ".2f"), missingval=""))


if __name__ == "__main__":
    one_line.run(main)
