"""A pool of worker processes on one segment, and what can be asked of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from shm_layout.errors import UsageError
from shm_layout.machine import Machine
from shm_layout.placement import AS_POSTED, Placement
from stress.design import Design
from stress.kernel.mm_types import MM_FREE, MM_ONE_USER
from stress.kernel.proc import NOT_SHOWN
from stress.operation import OPERATIONS, READS
from stress.workers.loop import block
from stress.workers.loop.block import CALL_WORDS, operation_numbers
from stress.workers.records import Call, Shown, Truth, Verdict
from stress.workers.runs import Runs
from stress.workers.server.client import ForkServer

ALWAYS = ("precise", "statm")
"""Operations that the checks at rest read by."""


class Pool(Runs):
    """Workers that live until `close`. A context manager.

    ``design`` and ``machine`` say what they run on what; ``workers`` at most ``machine.cpus``, worker k runs on CPU k.
    ``operations``: those that will be asked for (default: all; fewer compile faster). ``server``: a fork server that
    serves one pool after another; without it the pool has its own, and tells ``on_compile`` when that compiles.
    ``placement``: which fields share a cache line. ``judge``: whether truth is kept and reads are held against it.
    Raises `UsageError` for a design that does not run, `MachineError` when the machine has no room, `ValueError` for
    more workers than CPUs.
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
        if "statm" not in design.programs:
            raise UsageError(f"design {design.name} has no statm: workers read its counters by it")
        chosen = design.programs if operations is None else {*operations, *ALWAYS}
        wanted = tuple(name for name in operation_numbers(design) if name in chosen)
        super().__init__(design, machine, workers, placement, judge, wanted, server or on_compile)

    def perform(self, scripts: Mapping[int, Sequence[Call]], *, together: bool = True) -> dict[int, list[Shown]]:
        """Have workers perform these calls, each its own in this order; ``together``: all start at once.

        Returns for each call what it showed (reads only). A worker that waits for another that will never go on
        leaves the pool `stuck`, and the calls not performed show nothing. Raises `ValueError` for a call that the
        machine has no pages or mm for.
        """
        self._overlapped |= len(scripts) > 1
        for worker, calls in scripts.items():
            if len(calls) > block.SCRIPT_CALLS:
                raise ValueError(f"{len(calls)} calls for worker {worker}: at most {block.SCRIPT_CALLS} at once")
            row = self._blocks[worker]
            for place, call in enumerate(calls):
                self._check_call(call)
                self._exec_seen |= call.operation == "exec"
                at = block.SCRIPT + place * CALL_WORDS
                number = self.numbers[call.operation]
                words = (number, call.address, call.end, call.write, call.arg, NOT_SHOWN, NOT_SHOWN, NOT_SHOWN, 0)
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
        ranges = call.operation in {"zap", "fork"} or call.operation not in OPERATIONS
        last = call.end if ranges else call.address + 1
        if self.machine.child_ptes < self.machine.ptes and call.operation not in (*READS, "precise"):
            raise ValueError(f"{call}: only where every mm has all pages")
        if not 0 <= call.address < last <= self.machine.ptes:
            raise ValueError(f"{call}: pages are 0 to {self.machine.ptes - 1}, a range has at least one")
        most = self.machine.frames - 1 if call.operation == "swap_out" else self.machine.mms
        if not 0 <= call.arg <= most:
            raise ValueError(f"{call}: no such mm or frame")

    def _shown(self, worker: int, place: int) -> Shown:
        at = block.SCRIPT + place * CALL_WORDS
        told = self._blocks[worker, at + block.C_RESIDENT : at + block.C_ANON_RSS + 1]
        resident, shared, anon = (None if value == NOT_SHOWN else int(value) for value in told)
        return Shown(resident, shared, None if shared is None else anon)

    @property
    def exact_read(self) -> str:
        """The operation whose result is held against the page table: `precise`, or `statm` without it."""
        return "precise" if "precise" in self.numbers else "statm"

    def read(self, mm: int, by: str | None = None) -> Shown:
        """What the design's own read shows of an mm at rest; of a free one, what its counters would show.

        Tasks that have ended hold nothing.

        ``by``: another operation than `exact_read`.
        """
        users = self.layout.regions["mm_struct"].index(mm, "mm_users")
        free = self.memory[users] == MM_FREE
        if free:
            self.memory[users] = MM_ONE_USER
        with self.ended_forgotten():
            shown = self.perform({0: [Call(by or self.exact_read, arg=mm + 1)]})[0][0]
        if free:
            self.memory[users] = MM_FREE
        return shown

    def truth(self, mm: int) -> Truth:
        """What the page table of an mm says at rest."""
        return Truth(*self._ask(block.SCAN, mm))

    def check(self, which: int) -> int:
        """Perform a check at rest by its place in `stress.checks.check_functions`."""
        return self._ask(block.CHECK, which)[0]

    def verdicts(self) -> list[Verdict]:
        """Whether each check held since the last reset, in the order of `stress.checks.CHECKS`. At rest."""
        from stress.workers.verdicts import judge

        return judge(self)
