"""The worker processes of a pool: their start, their end, and commands to them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from typing import Self, TypeVar

import posix_ipc
import psutil

from shm_layout.machine import Machine
from shm_layout.placement import Placement
from shm_layout.structs import STOP
from stress.design import Design
from stress.errors import MachineError, PteStressError, UsageError
from stress.workers import block
from stress.workers.call import Usage
from stress.workers.client import ForkServer, code_of
from stress.workers.declared import declared
from stress.workers.errors import StepFailed, WorkerDied
from stress.workers.memory import Memory
from stress.workers.server import Forget, Fork, Open

T = TypeVar("T")

STUCK = 5.0
"""Seconds without a single operation finished after which the workers are said to be stuck."""
LOOK = 0.05
"""Seconds between two looks for workers that died."""


class Crew(Memory):
    """Worker processes on a segment. For `stress.workers.pool.Pool`."""

    pids: tuple[int, ...] = ()
    """Process of each worker."""
    cpus: tuple[int, ...] = ()
    """CPU that each worker is pinned to."""

    def __init__(  # noqa: PLR0917
        self,
        design: Design,
        machine: Machine,
        workers: int,
        placement: Placement,
        judge: bool,
        operations: tuple[str, ...],
        server: ForkServer | Callable[[], None],
    ) -> None:
        """Have a server start workers that can perform these operations.

        Without one the crew has its own, which says by the callable given that it compiles.
        """
        self.operations = operations
        """Operations that the workers can perform."""
        self._owns_server = not isinstance(server, ForkServer)
        self._server = server if isinstance(server, ForkServer) else ForkServer(server)
        self._serial = 0
        self._told: tuple[int, ...] = ()
        """Workers of the last command."""
        self._open = False
        """Whether the server has the segment mapped."""
        try:
            super().__init__(design, machine, workers, placement, judge)
            with self._server.exchange():
                self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        segment, server = self.segment, self._server
        self._go = [segment.create_semaphore(f"go{worker}") for worker in range(self.workers)]
        self._done = segment.create_semaphore("done")
        code = code_of(self.design, self.machine.arch, self.operations)  # before anything that has an answer
        server.send(Open(segment.name, self.layout.hash(), self.workers))
        blocks = tuple(self.blocks.at(worker, 0) for worker in range(self.workers))
        server.send(Fork(code, declared(), segment.name, blocks, self.machine.frames))
        self.reset()
        try:
            server.receive()
        except PteStressError:
            with contextlib.suppress(PteStressError):
                server.receive()  # the answer to Fork, which nobody else must take for theirs
            raise
        self._open = True
        for semaphore in (*self._go, self._done):
            semaphore.unlink()  # open in both processes; forked workers have them by inheritance
        self.pids = server.receive().pids
        self._pin()

    def _pin(self) -> None:
        allowed = sorted(os.sched_getaffinity(0))
        self.cpus = tuple(allowed[worker % len(allowed)] for worker in range(self.workers))
        cpu_of = dict(zip(self.pids, self.cpus, strict=True))
        self._of_each(lambda process: process.cpu_affinity([cpu_of[process.pid]]))

    def _of_each(self, question: Callable[[psutil.Process], T]) -> list[T]:
        """Ask psutil about the process of each worker. Raises `WorkerDied` when one is gone."""
        try:
            return [question(psutil.Process(pid)) for pid in self.pids]
        except psutil.NoSuchProcess:
            limit = time.monotonic() + STUCK
            while time.monotonic() < limit:
                self._wait(LOOK)  # the server is about to say who died, and how
            raise

    def close(self) -> None:
        """End the workers and remove the segment. May be repeated."""
        if self._owns_server:
            self._server.close()
        elif self._open:
            # Suppressed: the server is gone, and with it the workers.
            with contextlib.suppress(MachineError), self._server.exchange():
                self._server.send(Forget(self.segment.name, self.pids))
                self._server.receive()
        self.pids, self._open = (), False
        if hasattr(self, "segment"):
            self.segment.close()

    def __enter__(self) -> Self:
        """Return the pool itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close it."""
        self.close()

    def usage(self) -> list[Usage]:
        """Memory of the workers, by psutil."""
        memory = self._of_each(lambda process: process.memory_full_info())
        rows = zip(self.pids, self.cpus, memory, strict=True)
        return [Usage(n, pid, cpu, own.uss) for n, (pid, cpu, own) in enumerate(rows)]

    def _command(self, command: int, workers: Sequence[int]) -> None:
        self._serial += 1
        self._told = tuple(workers)
        self.memory[self.blocks.shared + block.ARRIVED] = 0
        self.memory[self.blocks.shared + block.PAUSE] = 0
        for worker in workers:
            self._blocks[worker, block.COMMAND] = command
            self._blocks[worker, block.SERIAL] = self._serial
        for worker in workers:
            self._go[worker].release()

    def _answered(self, workers: Sequence[int]) -> bool:
        return bool((self.column(block.ANSWERED)[list(workers), 0] == self._serial).all())

    def idle(self) -> bool:
        """Whether the last command is done, and the workers are at rest."""
        return self._answered(self._told)

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
                if raised := died[pid].raised.strip():
                    where = f"(worker {worker}, {self.doing(worker)})"
                    if raised.startswith(AssertionError.__name__):
                        raise StepFailed(f"a step or check fails: {raised} {where}")
                    raise UsageError(f"design {self.design.name}: a step or check raised {raised} {where}")
                raise WorkerDied(worker, pid, died[pid].status, self.doing(worker))

    def _finish_command(self, workers: Sequence[int]) -> bool:
        """Wait for the answers; False when the workers are stuck, and then stopped wherever they are."""
        watch = Watch(self)
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

    def _who_waits(self, workers: Sequence[int]) -> str:
        left = [w for w in workers if self._blocks[w, block.ANSWERED] != self._serial]
        return "; ".join(f"worker {worker} {self.doing(worker)}" for worker in left)


class Watch:
    """Tells when no worker has finished an operation for a while."""

    def __init__(self, crew: Crew) -> None:
        """Begin to watch."""
        self._crew = crew
        self._finished = -1
        self._since = time.monotonic()

    def stuck(self) -> bool:
        """Whether nothing was finished for `STUCK` seconds; to be asked again and again."""
        finished = int(self._crew.column(block.FINISHED).sum())
        if finished != self._finished:
            self._finished = finished
            self._since = time.monotonic()
        return time.monotonic() - self._since > STUCK
