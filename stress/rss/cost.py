"""What a change and a read cost, all counters taking turns in one run.

A loop of changes is timed for one counter after the other, and again, round after round: what disturbs the machine
disturbs all of them. With one worker the least time of all rounds counts, which is the least disturbed one; where
workers contend for a cache line it is the median, because luck there is workers that did not meet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from stress.report.spread import Spread
from stress.rss import working
from stress.rss.arena import Arena, open_arena
from stress.rss.loop_source import compile_subject
from stress.rss.processes import together
from stress.rss.subjects import Subject

CHANGES = 100_000
"""Changes that are timed together: some tenths of a millisecond."""
READ_TIME = 200_000
"""Nanoseconds of reads that are timed together, about."""
READ_SIZES = (1, 16, 256)
"""Numbers of tasks, or of CPUs, that reads are timed with."""


@dataclass
class Cost:
    """Nanoseconds. ``bare`` is a loop of the same accesses to memory without steps, None where nobody wrote one;
    ``contended`` is None where only one worker may count; ``reads`` by number of CPUs and tasks; ``precise`` with the
    CPUs asked for.
    """

    update: float
    bare: float | None
    contended: float | None
    reads: dict[int, float]
    precise: float | None
    runs: Mapping[str, Spread] = field(default_factory=dict)
    """The rounds of each figure: update, contended, read 16, ..., precise."""

    @property
    def overhead(self) -> float | None:
        """Cost of a change, as a multiple of its own accesses in a bare loop."""
        return self.bare and self.update / self.bare


class _Bench:
    """One counter, ready to be timed."""

    def __init__(  # noqa: PLR0917
        self, subject: Subject, cpus: int, threads: int, cores: int, sizes: Sequence[int], stack: ExitStack
    ) -> None:
        self.subject = subject
        self.functions: dict[str, Any] = compile_subject(subject)
        single = threads == 1

        def arena(cpus: int, threads: int, workers: int) -> Arena:
            made = open_arena(subject, cpus, threads, workers)
            stack.enter_context(made.segment)
            return made

        self.alone = arena(cpus, threads, 1)
        self.bare_arena = arena(cpus, threads, 1)
        self.crowd = None if single or cores == 1 else arena(max(cpus, cores), max(threads, cores), cores)
        self.sized = {n: arena(n, n, 1) for n in sizes}
        self.times: dict[str, list[float]] = {}

    def once(self, name: str, function: str, arena: Arena, count: int) -> float:
        """Time one loop; return and keep the nanoseconds for each turn of it."""
        call: Callable[[Any, int, int], object] = self.functions[function]
        began = time.perf_counter_ns()
        call(arena.segment.array, arena.block(0), count)
        each = (time.perf_counter_ns() - began) / count
        self.times.setdefault(name, []).append(each)
        return each

    def prepare(self) -> dict[str, int]:
        """Have everything compiled, and find out how many reads take long enough to be timed."""
        self.once("warm", "cost_up", self.alone, 10)
        if self.subject.bare:
            self.once("warm", "bare", self.bare_arena, 10)
        counts = {}
        for size, arena in self.sized.items():
            self.once("warm", "cost_read", arena, 10)
            counts[f"read {size}"] = self._fitting(self.once("warm", "cost_read", arena, 1000))
        if self.subject.precise:
            self.once("warm", "cost_precise", self.alone, 1)
            counts["precise"] = self._fitting(self.once("warm", "cost_precise", self.alone, 100))
        if self.crowd is not None:
            working.meet(self.crowd.segment.array, self.crowd.shared, 0)
        return counts

    @staticmethod
    def _fitting(each: float) -> int:
        return max(int(READ_TIME / max(each, 1)), 1)

    def round(self, counts: dict[str, int]) -> None:
        """Time everything once."""
        self.once("update", "cost_up", self.alone, CHANGES)
        if self.subject.bare:
            self.once("bare", "bare", self.bare_arena, CHANGES)
        for size, arena in self.sized.items():
            self.once(f"read {size}", "cost_read", arena, counts[f"read {size}"])
        if self.subject.precise:
            self.once("precise", "cost_precise", self.alone, counts["precise"])

    def contend(self) -> None:
        """Time changes by all cores at once."""
        if self.crowd is None:
            return
        crowd = self.crowd
        array = crowd.segment.array
        took = together(
            crowd,
            lambda block: self.functions["cost_up"](array, block, 10 * CHANGES),
            lambda shared: working.meet(array, shared, crowd.workers),
        )
        self.times.setdefault("contended", []).append(sum(took) / len(took) / (10 * CHANGES))

    def cost(self) -> Cost:
        """Return what the rounds came to."""
        contended = self.times.get("contended")
        return Cost(
            min(self.times["update"]),
            min(self.times["bare"]) if self.subject.bare else None,
            median(contended) if contended else None,
            {size: min(self.times[f"read {size}"]) for size in self.sized},
            min(self.times["precise"]) if self.subject.precise else None,
            {name: Spread.of(times) for name, times in self.times.items() if name != "warm"},
        )


def measure_cost(
    subjects: Sequence[Subject],
    *,
    cpus: int,
    threads: int,
    cores: int,
    rounds: int,
    read_sizes: Sequence[int] = READ_SIZES,
) -> dict[str, Cost]:
    """Return the cost of each counter, by name. ``read_sizes``: numbers of CPUs and tasks that reads are timed with."""
    with ExitStack() as stack:
        benches = [_Bench(subject, cpus, threads, cores, read_sizes, stack) for subject in subjects]
        counts = [bench.prepare() for bench in benches]
        for number in range(rounds):
            for bench, count in zip(benches, counts, strict=True):
                bench.round(count)
            if number % 4 == 0:
                for bench in benches:
                    bench.contend()
        return {bench.subject.name: bench.cost() for bench in benches}
