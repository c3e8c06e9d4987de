"""A pool of worker processes on one segment, and what can be asked of them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import posix_ipc
import psutil
from numpy.typing import NDArray

from shm_layout.layout import Layout
from shm_layout.machine import Machine
from shm_layout.placement import AS_POSTED, Placement
from shm_layout.registers import R_ADDRESS, R_GHOST, R_MM, R_OP, R_PC, REGISTERS
from shm_layout.segment import Segment
from shm_layout.structs import FIRST_WORD, STOP
from stress.boot import boot_registers, boot_tasks
from stress.design import Design
from stress.kernel.mm_types import MM_FREE, MM_ONE_USER
from stress.kernel.pgtable import PG_FREE
from stress.kernel.proc import NOT_SHOWN
from stress.program import assemble
from stress.workers import block
from stress.workers.block import CALL_WORDS, KINDS, MAX_OPERATIONS, place_blocks
from stress.workers.call import Call, Progress, Result, Shown, Truth, Usage, Verdict
from stress.workers.client import ForkServer, code_of
from stress.workers.errors import WorkerDied
from stress.workers.measured import median_of
from stress.workers.mix import check_mix, thresholds
from stress.workers.numbers import operation_numbers
from stress.workers.server import Forget, Fork, Open

STUCK = 5.0
"""Seconds without a single operation finished after which the workers are said to be stuck."""
LOOK = 0.05
"""Seconds between two looks for workers that died."""
GATHER = 0.002
"""Seconds between two looks while the workers gather at the start."""
ALWAYS = ("precise", "statm")
"""Operations that the checks at rest read by."""


class Pool:
    """Workers that live until `close`. A context manager.

    ``design`` and ``machine`` say what they run on what; ``workers`` at most ``machine.cpus``, worker k runs on CPU k.
    ``operations``: those that will be asked for (default: all; fewer compile faster). ``server``: a fork server that
    serves one pool after another; without it the pool has its own. ``judge``: whether truth is kept and reads are
    held against it. Raises `UsageError` for a design that does not run, `MachineError` when the machine has no room.
    """

    def __init__(
        self,
        design: Design,
        machine: Machine,
        workers: int,
        *,
        placement: Placement = AS_POSTED,
        operations: Sequence[str] | None = None,
        server: ForkServer | None = None,
        judge: bool = True,
        on_compile: Callable[[], None] = lambda: None,
    ) -> None:
        """Start the workers and put the machine into its first state."""
        if not 1 <= workers <= machine.cpus:
            raise ValueError(f"{workers} workers on {machine.cpus} CPUs: at least one, at most one for each")
        self.design = design
        self.machine = machine
        self.workers = workers
        self.judge = judge
        self.layout = Layout(machine, placement)
        self.blocks = place_blocks(self.layout, workers)
        self.numbers = operation_numbers(design)
        chosen = self.numbers if operations is None else {*operations, *(n for n in ALWAYS if n in self.numbers)}
        self.operations = tuple(name for name in self.numbers if name in chosen)
        self.stuck = ""
        """Who waits where, once the workers got stuck."""
        self.pids: tuple[int, ...] = ()
        """Process of each worker."""
        self._serial = 0
        self._exec_seen = False
        self._started: dict[str, Any] = {}
        self._own_server = server is None
        self._server = server or ForkServer(on_compile)
        try:
            self.segment = Segment.create(self.blocks.words, self.layout.hash())
            try:
                self._start()
            except BaseException:
                self.segment.close()
                raise
        except BaseException:
            if self._own_server:
                self._server.close()
            raise

    # the memory

    @property
    def memory(self) -> NDArray[np.int64]:
        """All words of the segment: what `layout` describes, then the blocks."""
        return self.segment.array

    @property
    def _blocks(self) -> NDArray[np.int64]:
        """One row for each worker's block."""
        return self.memory[self.blocks.first :].reshape(self.workers, self.blocks.stride)

    def column(self, part: int, words: int = 1) -> NDArray[np.int64]:
        """A part of all blocks: one row for each worker."""
        return self._blocks[:, part : part + words]

    def registers(self, worker: int) -> NDArray[np.int64]:
        """Registers of a worker, as it has them now."""
        row: NDArray[np.int64] = self._blocks[worker, block.REGISTERS_AT : block.REGISTERS_AT + REGISTERS]
        return row

    # start and end

    def _start(self) -> None:
        segment, server = self.segment, self._server
        self._go = [segment.create_semaphore(f"go{worker}") for worker in range(self.workers)]
        self._done = segment.create_semaphore("done")
        server.send(Open(segment.name, self.layout.hash(), self.workers))
        code = code_of(self.design, self.machine.arch, self.operations)
        blocks = tuple(self.blocks.at(worker, 0) for worker in range(self.workers))
        server.send(Fork(code, segment.name, blocks, self.machine.frames))
        self.reset()
        server.receive()
        for semaphore in (*self._go, self._done):
            semaphore.unlink()  # open in both processes; forked workers have them by inheritance
        self.pids = server.receive().pids
        self._pin()

    def _pin(self) -> None:
        allowed = sorted(os.sched_getaffinity(0))
        self.cpus = tuple(allowed[worker % len(allowed)] for worker in range(self.workers))
        for pid, cpu in zip(self.pids, self.cpus, strict=True):
            try:
                psutil.Process(pid).cpu_affinity([cpu])
            except psutil.NoSuchProcess:
                self._look()  # says who died, and how
                raise

    def reset(self) -> None:
        """Put machine, counts and verdicts into the first state. The workers must be at rest."""
        m = self.memory
        m[FIRST_WORD : self.layout.words] = 0
        answered = self.column(block.ANSWERED).copy()
        m[self.layout.words :] = 0
        self.column(block.ANSWERED)[:] = answered
        page = self.layout.regions["page"]
        m[page.index(0, "flags") : page.end : page.stride] = PG_FREE
        boot_tasks(self.layout, m)
        self.column(block.BLOCKS)[:] = self.blocks.first
        self.column(block.STRIDE)[:] = self.blocks.stride
        self.column(block.WORKERS)[:] = self.workers
        self.column(block.SHARED)[:] = self.blocks.shared
        self.column(block.JUDGE)[:] = int(self.judge)
        bound = self.bound
        self.column(block.BOUND)[:] = -1 if bound is None else bound
        for worker in range(self.workers):
            r = self.registers(worker)
            boot_registers(self.layout, r, worker, sharers=self.workers)
            r[R_GHOST] = self.blocks.at(worker, block.ACCOUNT) if self.judge else 0
        self._exec_seen = False
        self.stuck = ""

    @property
    def bound(self) -> int | None:
        """How far the design's counter may be off on this machine, pages; None where it promises nothing."""
        return self.design.bound.pages(self.machine.cpus, self.machine.tasks, self.machine.batch)

    def close(self) -> None:
        """End the workers and remove the segment. May be repeated."""
        if self._own_server:
            self._server.close()
        elif self.segment.array.size:
            self._server.send(Forget(self.segment.name, self.pids))
            self._server.receive()
        self.segment.close()

    def __enter__(self) -> Self:
        """Return the pool itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close it."""
        self.close()

    # commands

    def _command(self, command: int, workers: Sequence[int]) -> None:
        self._serial += 1
        self.memory[self.blocks.shared + block.ARRIVED] = 0
        for worker in workers:
            self._blocks[worker, block.COMMAND] = command
            self._blocks[worker, block.SERIAL] = self._serial
        for worker in workers:
            self._go[worker].release()

    def _answered(self, workers: Sequence[int]) -> bool:
        return bool((self.column(block.ANSWERED)[list(workers), 0] == self._serial).all())

    def _wait(self, seconds: float) -> None:
        """Until a worker says that it is done, or so long; then look whether one died."""
        with contextlib.suppress(posix_ipc.BusyError, posix_ipc.SignalError):
            self._done.acquire(seconds)
        self._look()

    def _look(self) -> None:
        died = self._server.died()
        for worker, pid in enumerate(self.pids):
            if pid in died:
                self.memory[STOP] = 1
                raise WorkerDied(worker, pid, died[pid], self.doing(worker))

    def _finish_command(self, workers: Sequence[int]) -> bool:
        """Wait for the answers; False when the workers are stuck, and then stopped wherever they are."""
        watch = _Watch(self)
        while not self._answered(workers):
            self._wait(LOOK)
            if watch.stuck():
                self.stuck = self._who_waits(workers)
                self.memory[STOP] = 1
                limit = time.monotonic() + STUCK
                while not self._answered(workers) and time.monotonic() < limit:
                    self._wait(LOOK)
                return False
        return True

    def _ask(self, command: int, target: int, worker: int = 0) -> tuple[int, int]:
        """Have one worker carry out a check or a scan, however long it takes."""
        self._blocks[worker, block.TARGET] = target
        self._command(command, [worker])
        while not self._answered([worker]):
            self._wait(LOOK)
        first, second = self._blocks[worker, block.RESULT : block.RESULT + 2]
        return int(first), int(second)

    def doing(self, worker: int) -> str:
        """What a worker is doing, as its registers in the segment say."""
        r = self.registers(worker)
        name = next((n for n, number in self.numbers.items() if number == r[R_OP]), None)
        if name is None:
            return "between two operations"
        where = f"in {name} of page {r[R_ADDRESS]}, mm {r[R_MM]}"
        if r[R_PC] > 0:
            step = assemble(self.design.programs[name], self.machine.arch).steps[int(r[R_PC]) - 1]
            where += f", waiting in {getattr(step, '__name__', 'a step')}"
        return where

    def under_way(self) -> list[dict[str, int | str]]:
        """What each worker was doing when one of them first saw a check broken; empty when none did."""
        if not self.memory[self.blocks.shared + block.SEEN]:
            return []
        names = {number: name for name, number in self.numbers.items()}
        found: list[dict[str, int | str]] = []
        for worker, row in enumerate(self.column(block.UNDER_WAY, 6)):
            number, address, end, write, arg, mm = (int(v) for v in row)
            if number:
                call = {"address": address, "end": end, "write": write, "arg": arg, "mm": mm}
                found.append({"worker": worker, "operation": names[number], **call})
        return found

    def _who_waits(self, workers: Sequence[int]) -> str:
        left = [w for w in workers if self._blocks[w, block.ANSWERED] != self._serial]
        return "; ".join(f"worker {worker} {self.doing(worker)}" for worker in left)

    # random operations

    def start(
        self,
        mix: Mapping[str, float],
        *,
        seed: int,
        operations: int = 0,
        writes: float = 0.75,
        span: int = 16,
        distinct: bool = False,
        hop: bool = False,
        workers: Sequence[int] | None = None,
    ) -> None:
        """Have workers perform random operations, all starting together, until `finish`.

        ``mix``: weights of operations. ``operations``: after so many in all the workers rest by themselves, 0: never.
        ``writes``: share of write accesses among the faults. ``span``: most pages of one zap or fork. ``distinct``:
        each worker in a part of the pages of its own. ``hop``: claim another CPU before each operation. Raises
        `UsageError` for a mix that the pool cannot perform.
        """
        check_mix(mix, self.design)
        missing = [name for name, weight in mix.items() if weight and name not in self.operations]
        if missing:
            raise ValueError(f"this pool was made without {', '.join(missing)}")
        everyone = range(self.workers) if workers is None else workers
        self._exec_seen |= mix.get("exec", 0) > 0
        pages = self.machine.ptes
        states = np.random.SeedSequence([seed, self._serial]).generate_state(self.workers, np.uint64)
        for place, worker in enumerate(everyone):
            row = self._blocks[worker]
            row[block.COUNT] = operations // len(everyone) + (place < operations % len(everyone))
            row[block.SEED] = int(states[worker]) >> 1 | 1
            row[block.FIRST] = pages * place // len(everyone) if distinct else 0
            row[block.END] = pages * (place + 1) // len(everyone) if distinct else pages
            row[block.WRITES] = round(1024 * writes)
            row[block.SPAN] = span
            row[block.WAIT_FOR] = len(everyone)
            row[block.ONLY_OWN] = int(self._exec_seen)
            row[block.HOP] = int(hop)
            row[block.MIX : block.MIX + MAX_OPERATIONS] = thresholds(mix, self.numbers, MAX_OPERATIONS)
        if operations:
            everyone = [worker for worker in everyone if self._blocks[worker, block.COUNT]]
            self.column(block.WAIT_FOR)[:] = len(everyone)
        self.memory[self.blocks.shared + block.PAUSE] = 0
        self._started = {
            "workers": everyone,
            "mix": [name for name in self.operations if mix.get(name)],
            "cpu": self._cpu_times(),
            "counts": self._counts(),
        }
        self._command(block.RUN, everyone)
        while self.memory[self.blocks.shared + block.ARRIVED] < len(everyone):
            self._wait(GATHER)
        self._started |= {"time": time.monotonic(), "watch": _Watch(self)}

    def _counts(self) -> NDArray[np.int64]:
        """What grows during a run, summed over the workers."""
        total: NDArray[np.int64] = self.column(block.OPS, block.REGISTERS_AT - block.OPS).sum(axis=0)
        return total

    def _since(self, part: int, words: int = 1) -> NDArray[np.int64]:
        place = part - block.OPS
        grown: NDArray[np.int64] = (self._counts() - self._started["counts"])[place : place + words]
        return grown

    def _cpu_times(self) -> tuple[float, float]:
        times = [psutil.Process(pid).cpu_times() for pid in self.pids]
        return sum(t.user for t in times), sum(t.system for t in times)

    def running(self) -> bool:
        """Whether the workers are still at what `start` told them. Raises `WorkerDied`."""
        self._look()
        if self._started["watch"].stuck():
            return False
        return not self._answered(self._started["workers"])

    def wait(self, seconds: float) -> bool:
        """Wait for so long, or until no worker is running any more; returns `running`."""
        limit = time.monotonic() + seconds
        while self.running() and (left := limit - time.monotonic()) > 0:
            self._wait(min(LOOK, left))
        return self.running()

    def progress(self) -> Progress:
        """How far the run is."""
        account = self.column(block.ACCOUNT, 2).sum(axis=0)
        readers = self.column(block.LAST_RESIDENT)[:, 0]
        latest = int(self.column(block.READS)[:, 0].argmax())
        return Progress(
            time.monotonic() - self._started["time"],
            self._by_name(block.OPS),
            int(account[0] - account[1]),
            int(readers[latest]),
        )

    def _by_name(self, part: int) -> dict[str, int]:
        counts = self._since(part, MAX_OPERATIONS)
        return {name: int(counts[self.numbers[name] - 1]) for name in self._started["mix"]}

    def finish(self) -> Result:
        """Bring the workers to rest and return what was measured since `start`. Raises `WorkerDied`."""
        workers = self._started["workers"]
        self.memory[self.blocks.shared + block.PAUSE] = 1
        at_rest = self._finish_command(workers)
        seconds = time.monotonic() - self._started["time"]
        user, system = self._cpu_times()
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
            int(self.column(block.WORST).max()),
            median_of(self._since(block.ERRORS, block.HISTOGRAM)),
            user - self._started["cpu"][0],
            system - self._started["cpu"][1],
            at_rest,
        )

    def run(
        self, mix: Mapping[str, float], *, seed: int, seconds: float = 0, operations: int = 0, **options: Any
    ) -> Result:
        """`start`, so many seconds or operations (whatever ends first), `finish`. Options as for `start`."""
        if seconds <= 0 and operations <= 0:
            raise ValueError("a run needs an end: seconds or operations")
        self.start(mix, seed=seed, operations=operations, **options)
        self.wait(seconds or float("inf"))
        return self.finish()

    # given operations

    def perform(self, scripts: Mapping[int, Sequence[Call]], *, together: bool = True) -> dict[int, list[Shown]]:
        """Have workers perform these calls, each its own in this order; ``together``: all start at once.

        Returns for each call what it showed (reads only). A worker that waits for another that will never go on
        leaves the pool `stuck`, and the calls not performed show nothing. Raises `ValueError` for a call that the
        machine has no pages or mm for.
        """
        for worker, calls in scripts.items():
            if len(calls) > block.SCRIPT_CALLS:
                raise ValueError(f"{len(calls)} calls for worker {worker}: at most {block.SCRIPT_CALLS} at once")
            row = self._blocks[worker]
            for place, call in enumerate(calls):
                self._check_call(call)
                self._exec_seen |= call.operation == "exec"
                at = block.SCRIPT + place * CALL_WORDS
                number = self.numbers[call.operation]
                words = (number, call.address, call.end, call.write, call.arg, NOT_SHOWN, NOT_SHOWN, 0)
                row[at : at + CALL_WORDS] = words
            row[block.COUNT] = len(calls)
            row[block.WAIT_FOR] = len(scripts) if together else 0
        self.column(block.ONLY_OWN)[:] = int(self._exec_seen)
        self._command(block.PERFORM, list(scripts))
        self._finish_command(list(scripts))
        return {
            worker: [self._shown(worker, place) for place in range(len(calls))] for worker, calls in scripts.items()
        }

    def _check_call(self, call: Call) -> None:
        if call.operation not in self.operations:
            raise ValueError(f"no operation {call.operation}; this pool has {', '.join(self.operations)}")
        last = call.end if call.operation in ("zap", "fork") else call.address + 1
        if not 0 <= call.address < last <= self.machine.ptes:
            raise ValueError(f"{call}: pages are 0 to {self.machine.ptes - 1}, a range has at least one")
        if not 0 <= call.arg <= max(self.machine.mms, self.machine.frames):
            raise ValueError(f"{call}: no such mm or frame")

    def _shown(self, worker: int, place: int) -> Shown:
        at = block.SCRIPT + place * CALL_WORDS
        resident, shared = (int(v) for v in self._blocks[worker, at + block.C_RESIDENT : at + block.C_SHARED + 1])
        return Shown(None if resident == NOT_SHOWN else resident, None if shared == NOT_SHOWN else shared)

    # at rest

    @property
    def exact_read(self) -> str:
        """The operation whose result is held against the page table: `precise`, or `statm` without it."""
        return "precise" if "precise" in self.numbers else "statm"

    def in_use(self, mm: int) -> bool:
        """Whether an mm has users."""
        return bool(self.memory[self.layout.regions["mm_struct"].index(mm, "mm_users")] != MM_FREE)

    def read(self, mm: int, by: str | None = None) -> Shown:
        """What the design's own read shows of an mm at rest; of a free one, what its counters would show.

        ``by``: another operation than `exact_read`.
        """
        users = self.layout.regions["mm_struct"].index(mm, "mm_users")
        free = self.memory[users] == MM_FREE
        if free:
            self.memory[users] = MM_ONE_USER
        shown = self.perform({0: [Call(by or self.exact_read, arg=mm + 1)]})[0][0]
        if free:
            self.memory[users] = MM_FREE
        return shown

    def truth(self, mm: int) -> Truth:
        """What the page table of an mm says at rest."""
        return Truth(*self._ask(block.SCAN, mm))

    def check(self, which: int) -> int:
        """Perform a check at rest by its place in `stress.workers.verdicts.at_rest`."""
        return self._ask(block.CHECK, which)[0]

    def verdicts(self) -> list[Verdict]:
        """Whether each check held since the last reset, in the order of `stress.checks.CHECKS`. At rest."""
        from stress.workers.verdicts import judge

        return judge(self)

    def usage(self) -> list[Usage]:
        """Memory and CPU times of the workers, by psutil."""
        found = []
        for worker, (pid, cpu) in enumerate(zip(self.pids, self.cpus, strict=True)):
            process = psutil.Process(pid)
            times = process.cpu_times()
            uss = process.memory_full_info().uss
            found.append(Usage(worker, pid, cpu, times.user, times.system, uss))
        return found


class _Watch:
    """Tells when no worker has finished an operation for a while."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._finished = -1
        self._since = time.monotonic()

    def stuck(self) -> bool:
        finished = int(self._pool.column(block.FINISHED).sum())
        if finished != self._finished:
            self._finished = finished
            self._since = time.monotonic()
        return time.monotonic() - self._since > STUCK
