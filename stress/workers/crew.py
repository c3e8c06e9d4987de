"""The worker processes of a pool: their start, their end, and commands to them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Self, TypeVar

import posix_ipc
import psutil

from shm_layout.errors import MachineError, PteStressError, UsageError
from shm_layout.machine import Machine
from shm_layout.placement import Placement
from shm_layout.registers import R_PC
from shm_layout.structs import STOP
from stress.design import Design
from stress.system.cpus import allowed_cpus
from stress.workers.errors import StepFailed, WorkerDied
from stress.workers.loop import block
from stress.workers.memory import Memory
from stress.workers.records import Usage
from stress.workers.server.client import ForkServer, code_of
from stress.workers.server.declared import declared
from stress.workers.server.messages import Forget, Fork, Open

T = TypeVar("T")


def cpu_clock(pid: int) -> float:
    """Read the CPU clock of a process: seconds. Its number is made as in clock_getcpuclockid(3). Raises `OSError`."""
    return time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)


STUCK = 5.0
"""Seconds without a single operation finished after which the workers are said to be stuck: each of them had that much
CPU time meanwhile, or they wait for each other."""
WAITING = 0.05
"""Seconds of a CPU in which a worker that waits has tried thousands of times; it sleeps between two tries."""
STEP = 2.0
"""Seconds of a CPU after which a step or check of the design's own is said never to end."""
CHECKED = 1e-6
"""Seconds of a CPU more for each word of the memory that a check may look at."""
NO_CPU = 60.0
"""Seconds without a CPU after which a worker is given up: it may be stopped, or the machine busy for a while."""
NO_CPU_ASKED = 3.0
"""The same once the user wants the end."""
CPUCLOCK_SCHED = 2
"""Lowest bits of the number of a process's CPU clock (include/linux/posix-timers.h)."""
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
        covered: bool = False,
    ) -> None:
        """Have a server start workers that can perform these operations. ``covered``: they note the steps they take.

        Without one the crew has its own, which says by the callable given that it compiles.
        """
        self.operations = operations
        """Operations that the workers can perform."""
        self.covered = covered
        self._owns_server = not isinstance(server, ForkServer)
        self._server = server if isinstance(server, ForkServer) else ForkServer(server)
        self._serial = 0
        self._told: tuple[int, ...] = ()
        """Workers of the last command."""
        self._open = False
        """Whether the server has the segment mapped."""
        self.patience = NO_CPU
        """Seconds without a CPU after which a worker is no longer waited for."""
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
        # before anything that has an answer
        code = code_of(self.design, self.machine.arch, self.operations, covered=self.covered)
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
        allowed = allowed_cpus()
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
        """Return the memory of the workers, by psutil."""
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
        """Return whether the last command is done, and the workers are at rest."""
        return self._answered(self._told)

    def _wait(self, seconds: float) -> None:
        """Wait at most `seconds` for a worker to finish. Raises `WorkerDied` if one has died."""
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

    def _finish_command(self, workers: Sequence[int], watch: Watch | None = None) -> bool:
        """Wait for the answers; False when the workers are stuck, and then stopped wherever they are.

        ``watch``: one that watches them already. Raises `MachineError` for a worker that gets no CPU.
        """
        watch = watch or Watch(self)
        while not self._answered(workers):
            self._wait(LOOK)
            if watch.stuck():
                self.stuck = watch.who()
                self.memory[STOP] = 1
                limit = time.monotonic() + STUCK
                while not self._answered(sorted({*workers} - watch.endless)) and time.monotonic() < limit:
                    self._wait(LOOK)
                return False
            watch.look_for_a_cpu()
        return True

    def _ask(self, command: int, target: int, worker: int = 0) -> tuple[int, int]:
        """Have one worker carry out a check or a scan; it gets the pool stuck when it does not end."""
        self._blocks[worker, block.TARGET] = target
        self._command(command, [worker])
        self._finish_command([worker], Watch(self, STEP + CHECKED * self.layout.words))
        first, second = self._blocks[worker, block.RESULT : block.RESULT + 2]
        return int(first), int(second)

    def unanswered(self) -> list[int]:
        """Workers of the last command that have not carried it out yet."""
        return [w for w in self._told if self._blocks[w, block.ANSWERED] != self._serial]


class Watch:
    """Tells when the workers of a command are stuck, by their CPU clocks: who gets no CPU is not stuck.

    To be asked again and again while the command is under way.
    """

    def __init__(self, crew: Crew, limit: float | None = None) -> None:
        """Begin to watch. ``limit``: seconds of a CPU that a worker may take to finish an operation, or the command."""
        self._crew = crew
        self._limit = limit
        self._finished = -1
        self._since = time.monotonic()
        self._used: dict[int, float] = {}
        """CPU clock of each worker when it was first seen that no operation was finished."""
        self._own: dict[int, tuple[int, float]] = {}
        """Which step of its own each worker is in, and its CPU clock when that was first seen."""
        self._got: dict[int, tuple[float, float]] = {}
        """CPU clock of each worker, and when it last grew."""
        self._looked = 0.0
        self.endless: set[int] = set()
        """Workers in a step that does not end."""

    def _clock(self, worker: int) -> float:
        try:
            return cpu_clock(self._crew.pids[worker])
        except OSError:  # it has died, as the server is about to say
            return 0.0

    def stuck(self) -> bool:
        """Return whether a step does not end, or nothing was finished although all workers had time to."""
        crew = self._crew
        if self._endless():
            return True
        finished = int(crew.column(block.FINISHED).sum())
        if finished != self._finished:
            self._finished, self._since = finished, time.monotonic()
            self._used.clear()
            return False
        left = crew.unanswered()
        for worker in left:
            self._used.setdefault(worker, self._clock(worker))
        if not left or time.monotonic() - self._since <= (STUCK if self._limit is None else 0):
            return False
        return all(self._clock(worker) - self._used[worker] > self._least(worker) for worker in left)

    def _least(self, worker: int) -> float:
        """Return seconds of a CPU in which a worker would have got on."""
        if self._crew.registers(worker)[R_PC] != 0:
            return WAITING
        return STUCK if self._limit is None else self._limit

    def _endless(self) -> bool:
        """Return whether a worker is in a step of the design's own for too long."""
        crew = self._crew
        under_way = crew.column(block.OWN, 2)
        if not under_way[:, 0].any():
            self._own.clear()
            return False
        for worker in crew.unanswered():
            own, begun = (int(word) for word in under_way[worker])
            if own == 0 or self._own.get(worker, (begun, 0.0))[0] != begun:
                self._own.pop(worker, None)
            elif self._clock(worker) - self._own.setdefault(worker, (begun, self._clock(worker)))[1] > STEP:
                self.endless.add(worker)
        return bool(self.endless)

    def who(self) -> str:
        """Say who does not go on, and where each of them is."""
        crew = self._crew
        if self.endless:
            return "; ".join(f"worker {worker} {crew.doing(worker)}, which does not end" for worker in self.endless)
        return "; ".join(f"worker {worker} {crew.doing(worker)}" for worker in crew.unanswered())

    def look_for_a_cpu(self) -> None:
        """Raise `MachineError` when a worker has had no CPU for a long time: nobody knows what it would do."""
        now = time.monotonic()
        if now - self._looked < LOOK:
            return
        self._looked = now
        for worker in self._crew.unanswered():
            clock = self._clock(worker)
            before, since = self._got.get(worker, (-1.0, now))
            if clock != before:
                self._got[worker] = clock, now
            elif now - since > self._crew.patience:
                pid = self._crew.pids[worker]
                raise MachineError(
                    f"worker {worker} (pid {pid}) got no CPU for {now - since:.0f} s {self._crew.doing(worker)}: is it "
                    "stopped, or the machine too busy? Nothing is known of the rest; start the run again"
                )
