"""Random operations and sweeps of a pool, and what is measured of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from stress.workers.crew import LOOK, Crew, Watch, cpu_clock
from stress.workers.loop import block
from stress.workers.loop.block import KINDS, MAX_OPERATIONS
from stress.workers.mix import check_mix, thresholds
from stress.workers.records import Progress, Result

GATHER = 0.002
"""Seconds between two looks while the workers gather at the start."""


MOST_OF_A_RANGE = 16
"""Pages of one zap or fork in a random mix, at most."""

SWEPT_AT_ONCE = 512
"""Pages of one zap in a sweep."""


@dataclass(frozen=True)
class Started:
    """A run that was started, and what was before it."""

    workers: Sequence[int]
    operations: Sequence[str]
    cpu: tuple[float, float]
    counts: NDArray[np.int64]
    time: float
    watch: Watch


class Runs(Crew):
    """Workers that perform many operations at once. For `stress.workers.pool.Pool`."""

    _started: Started

    def start(
        self,
        mix: Mapping[str, float],
        *,
        seed: int,
        operations: int = 0,
        writes: float = 0.75,
        distinct: bool = False,
    ) -> None:
        """Have all workers perform random operations, all starting together, until `finish`.

        ``mix``: weights of operations. ``seed``: at least 0; a worker that is alone performs the same operations by it
        after each reset. ``operations``: their number after which all workers rest by themselves, 0: never. ``writes``:
        share of write accesses among the faults. ``distinct``: each worker in a part of the pages of its own. Raises
        `UsageError` for a mix that the design cannot perform, `ValueError` for one that the pool was not made for.
        """
        check_mix(mix, self.design)
        missing = [name for name, weight in mix.items() if weight and name not in self.operations]
        if missing:
            raise ValueError(f"this pool was made without {', '.join(missing)}")
        everyone: Sequence[int] = range(self.workers)
        self._exec_seen |= mix.get("exec", 0) > 0
        self._overlapped |= self.workers > 1
        states = np.random.SeedSequence(seed).generate_state(self.workers, np.uint64)
        for worker in everyone:
            row = self._blocks[worker]
            row[block.COUNT] = operations // self.workers + (worker < operations % self.workers)
            row[block.SEED] = int(states[worker]) >> 1 | 1
            row[block.WRITES] = round(1024 * writes)
            row[block.SPAN] = MOST_OF_A_RANGE
            row[block.MIX : block.MIX + MAX_OPERATIONS] = thresholds(mix, self.numbers, MAX_OPERATIONS)
        self._areas(everyone, distinct, self.machine.ptes)
        if operations:
            everyone = [worker for worker in everyone if self._blocks[worker, block.COUNT]]
        self._launch(block.RUN, everyone, [name for name in self.operations if mix.get(name)])

    def start_sweep(self, *, rounds: int, workers: Sequence[int] | None = None) -> None:
        """Have workers write to all anonymous pages of their area, one after the other, and then, together, zap them.

        ``rounds`` times, or until `finish`. ``workers``: default all; the pages are divided among them. The times in
        `Result.ns` are of all operations, not of samples.
        """
        if not {"fault", "zap"} <= set(self.operations):
            raise ValueError("a sweep needs the operations fault and zap")
        everyone = range(self.workers) if workers is None else workers
        self._overlapped |= len(everyone) > 1
        for worker in everyone:
            row = self._blocks[worker]
            row[block.COUNT] = rounds
            row[block.WRITES] = 1
            row[block.SPAN] = SWEPT_AT_ONCE
        self._areas(everyone, True, self.machine.anon)
        self._launch(block.SWEEP, everyone, ["fault", "zap"])

    def _areas(self, workers: Sequence[int], distinct: bool, pages: int) -> None:
        """Give each worker its range of virtual pages."""
        for place, worker in enumerate(workers):
            self._blocks[worker, block.FIRST] = pages * place // len(workers) if distinct else 0
            self._blocks[worker, block.END] = pages * (place + 1) // len(workers) if distinct else pages

    def _launch(self, command: int, workers: Sequence[int], operations: Sequence[str]) -> None:
        """Start a batch of operations in these workers, all at once, and remember what was before."""
        self.column(block.ONLY_OWN)[:] = int(self._exec_seen)
        self.column(block.WAIT_FOR)[:] = len(workers)
        cpu, counts = self.cpu_times(), self._counts()
        self._command(command, workers)
        watch = Watch(self)
        while self.memory[self.blocks.shared + block.ARRIVED] < len(workers):
            self._wait(GATHER)
            watch.look_for_a_cpu()
        self._started = Started(workers, operations, cpu, counts, time.monotonic(), Watch(self))

    def _counts(self) -> NDArray[np.int64]:
        """Return what grows during a run, summed over the workers."""
        total: NDArray[np.int64] = self.column(block.OPS, block.REGISTERS_AT - block.OPS).sum(axis=0)
        return total

    def _since(self, part: int, words: int = 1) -> NDArray[np.int64]:
        place = part - block.OPS
        grown: NDArray[np.int64] = (self._counts() - self._started.counts)[place : place + words]
        return grown

    def cpu_times(self) -> tuple[float, float]:
        """Return the CPU seconds of all workers so far: all, and in system mode. Raises `WorkerDied`.

        /proc, and so psutil, counts in ticks of 10 ms, and what is measured may take no longer. So all of it is taken
        from each process's CPU clock, and only its division from psutil.
        """

        def times(process: psutil.Process) -> tuple[float, float]:
            system = process.cpu_times().system
            try:
                return cpu_clock(process.pid), system
            except OSError:
                raise psutil.NoSuchProcess(process.pid) from None

        each = self._of_each(times)
        return sum(used for used, _ in each), sum(system for _, system in each)

    def running(self) -> bool:
        """Return whether the workers are still at what `start` asked for. Raises `WorkerDied`."""
        self._look()
        if self._started.watch.stuck():
            return False
        return not self._answered(self._started.workers)

    def wait(self, seconds: float) -> bool:
        """Wait at most `seconds`, or until no worker is running any more; return `running`."""
        limit = time.monotonic() + seconds
        while self.running() and (left := limit - time.monotonic()) > 0:
            self._wait(min(LOOK, left))
        return self.running()

    def progress(self) -> Progress:
        """Return how far the run is."""
        seconds, ops = time.monotonic() - self._started.time, self._by_name(block.OPS)
        if not self.design.machine.has_mms:
            return Progress(seconds, ops)
        account = self.column(block.ACCOUNT, 2).sum(axis=0)
        readers = self.column(block.LAST_RESIDENT)[:, 0]
        latest = int(self.column(block.READS)[:, 0].argmax())
        return Progress(seconds, ops, int(account[0] - account[1]), int(readers[latest]))

    def _by_name(self, part: int) -> dict[str, int]:
        counts = self._since(part, MAX_OPERATIONS)
        return {name: int(counts[self.numbers[name] - 1]) for name in self._started.operations}

    def finish(self) -> Result:
        """Bring the workers to rest and return what was measured since `start`. Raises `WorkerDied`."""
        workers = self._started.workers
        self.memory[self.blocks.shared + block.PAUSE] = 1
        at_rest = self._finish_command(workers, self._started.watch)
        seconds = time.monotonic() - self._started.time
        used, system = (now - then for now, then in zip(self.cpu_times(), self._started.cpu, strict=True))
        system = min(system, used)
        ticks, timed = self._by_name(block.TICKS), self._by_name(block.TIMED)
        elapsed = self._since(block.ELAPSED_TICKS)[0]
        rate = self._since(block.ELAPSED_NS)[0] / elapsed if elapsed else 0.0
        kinds = self._since(block.FAULTS, len(KINDS))
        return Result(
            seconds,
            self._by_name(block.OPS),
            {name: ticks[name] * rate / timed[name] if timed[name] and rate else None for name in timed},
            {kind: int(n) for kind, n in zip(KINDS, kinds, strict=True) if n},
            int(self._since(block.READS)[0]),
            used - system,
            system,
            at_rest,
        )

    def run(
        self, mix: Mapping[str, float], *, seed: int, seconds: float = 0, operations: int = 0, **options: Any
    ) -> Result:
        """Run for `seconds` or `operations`, whatever ends first: `start`, wait, `finish`. Options as for `start`."""
        if seconds <= 0 and operations <= 0:
            raise ValueError("a run needs an end: seconds or operations")
        self.start(mix, seed=seed, operations=operations, **options)
        self.wait(seconds or float("inf"))
        return self.finish()
