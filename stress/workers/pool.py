"""A pool of worker processes on one segment, and what can be asked of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from shm_layout.errors import UsageError
from shm_layout.machine import Machine
from shm_layout.placement import AS_POSTED, Placement
from shm_layout.registers import R_OOPS
from stress.checks import check_functions
from stress.design import Design
from stress.kernel.mm_types import MM_FREE, MM_ONE_USER
from stress.kernel.proc import NOT_SHOWN
from stress.operation import FRAME, MM, RANGE
from stress.program import assemble
from stress.step import WAIT, possible_outcomes
from stress.workers.loop import block
from stress.workers.loop.block import CALL_WORDS, operation_numbers
from stress.workers.memory import within
from stress.workers.observed import BrokenReads, MmAtRest, Observed, WorkerSaw
from stress.workers.records import Call, Shown, Truth, Verdict
from stress.workers.runs import Runs
from stress.workers.server.client import ForkServer
from stress.workers.verdicts import judge


class Pool(Runs):
    """Workers that live until `close`. A context manager.

    ``design`` and ``machine`` say what they run on what; ``workers`` at most ``machine.cpus``, worker k runs on CPU k.
    ``operations``: those that will be asked for (default: all; fewer compile faster). ``server``: a fork server that
    serves one pool after another; without it the pool has its own, and calls ``on_compile`` when that compiles.
    ``placement``: which fields share a cache line. ``judge``: whether truth is kept and reads are held against it.
    ``covered``: whether workers note which steps they take, which costs some speed (`taken`).
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
        covered: bool = False,
        on_compile: Callable[[], None] = lambda: None,
    ) -> None:
        """Start the workers and put the machine into its first state."""
        if not 1 <= workers <= machine.cpus:
            raise ValueError(f"{workers} workers on {machine.cpus} CPUs: at least one, at most one for each")
        machine = design.machine.of(machine)
        if design.machine.has_mms and "statm" not in design.programs:
            raise UsageError(f"design {design.name} has no statm: workers read its counters by it")
        chosen = design.programs if operations is None else {*operations, design.exact_read, design.bounded_read}
        wanted = tuple(name for name in operation_numbers(design) if name in chosen)
        judge = judge and design.machine.has_mms
        super().__init__(design, machine, workers, placement, judge, wanted, server or on_compile, covered)

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
                self._exec_seen |= call.kind.starts_mm and not call.kind.starts_task
                at = block.SCRIPT + place * CALL_WORDS
                number = self.numbers[call.name]
                words = (
                    number,
                    call.address,
                    self._end(call),
                    call.write,
                    call.arg,
                    NOT_SHOWN,
                    NOT_SHOWN,
                    NOT_SHOWN,
                    0,
                )
                row[at : at + CALL_WORDS] = words
            row[block.COUNT] = len(calls)
            row[block.WAIT_FOR] = len(scripts) if together else 0
        self.column(block.ONLY_OWN)[:] = int(self._exec_seen)
        self._command(block.PERFORM, list(scripts))
        self._finish_command(list(scripts))
        return {
            worker: [self._shown(worker, place) for place in range(len(calls))] for worker, calls in scripts.items()
        }

    def _end(self, call: Call) -> int:
        """Return one past the last page of a call: a fork that is given no pages copies all of them."""
        return call.end or (self.machine.ptes if call.kind.is_whole_mm else 0)

    def _check_call(self, call: Call) -> None:
        if call.name not in self.operations:
            raise ValueError(f"no operation {call.name}; this pool has {', '.join(self.operations)}")
        kind = call.kind
        if not self.design.machine.has_mms:
            return  # what an operation is given are numbers, of which its steps know the meaning
        last = self._end(call) if RANGE in kind.takes else call.address + 1
        if self.machine.child_ptes < self.machine.ptes and not kind.reads:
            raise ValueError(f"{call}: only where every mm has all pages")
        if not 0 <= call.address < last <= self.machine.ptes:
            raise ValueError(f"{call}: pages are 0 to {self.machine.ptes - 1}, a range has at least one")
        most = self.machine.frames - 1 if FRAME in kind.takes and MM not in kind.takes else self.machine.mms
        if not 0 <= call.arg <= most:
            raise ValueError(f"{call}: no such mm or frame")

    def taken(self) -> dict[str, set[tuple[int, int]]]:
        """Return by operation the steps that workers took, each with its outcome; for a pool that is ``covered``."""
        words = np.bitwise_or.reduce(self.column(block.COVERED, block.COVERED_STEPS), axis=0)
        found: dict[str, set[tuple[int, int]]] = {}
        at = 0
        for name in self.operations:
            program = assemble(self.design.programs[name], self.machine.arch)
            found[name] = set()
            for place, step in enumerate(program.steps):
                bits = int(words[at + place])
                outcomes = sorted(possible_outcomes(step) - {WAIT})
                found[name] |= {(place, outcome) for n, outcome in enumerate(outcomes) if bits >> n & 1}
            at += len(program.steps)
        return found

    def _shown(self, worker: int, place: int) -> Shown:
        at = block.SCRIPT + place * CALL_WORDS
        told = self._blocks[worker, at + block.C_RESIDENT : at + block.C_ANON_RSS + 1]
        resident, shared, anon = (None if value == NOT_SHOWN else int(value) for value in told)
        return Shown(resident, shared, None if shared is None else anon)

    def read(self, mm: int, by: str | None = None) -> Shown:
        """Return what the design's own read shows of an mm at rest; of a free one, what its counters would show.

        Tasks that have ended hold nothing.

        ``by``: another operation than `Design.exact_read`.
        """
        users = self.layout.regions["mm_struct"].index(mm, "mm_users")
        free = self.memory[users] == MM_FREE
        if free:
            self.memory[users] = MM_ONE_USER
        with self.ended_forgotten():
            shown = self.perform({0: [Call(by or self.design.exact_read, arg=mm + 1)]})[0][0]
        if free:
            self.memory[users] = MM_FREE
        return shown

    def truth(self, mm: int) -> Truth:
        """Return what the page table of an mm says at rest."""
        return Truth(*self._ask(block.SCAN, mm))

    def check(self, which: int) -> int:
        """Perform a check at rest by its place in `stress.checks.check_functions`."""
        return self._ask(block.CHECK, which)[0]

    def verdicts(self) -> list[Verdict]:
        """Return whether each check held since the last reset, in the order of `stress.checks.CHECKS`. At rest."""
        return judge(self.observe())

    def observe(self) -> Observed:
        """Return all that verdicts are made from. Where the workers are at rest, checks and reads are performed now."""
        # Counted before those that look at what is shown at rest.
        reads, pairs = (int(self.column(part).sum()) for part in (block.READS, block.PAIRS))
        broken, saw = self._broken_reads(), tuple(self._saw(worker) for worker in range(self.workers))
        places = tuple(self._places())
        mms = () if self.stuck else self._mms_at_rest()
        return Observed(
            design=self.design,
            layout=self.layout,
            exact=self.exact,
            bound=self.bound,
            reads=reads,
            pairs=pairs,
            worst=int(self.column(block.WORST).max()),
            broken_reads=broken,
            workers=saw,
            stuck=self.stuck,
            places=places,
            mms=mms,
        )

    def _operation_name(self, number: int) -> str:
        return next((name for name, n in self.numbers.items() if n == number), f"operation {number}")

    def _broken_reads(self) -> dict[str, BrokenReads]:
        found = {}
        for name, part in (("read_regular", block.REGULAR), ("read_pair", block.PAIR)):
            records = self.column(part, block.RECORD_WORDS)
            times = int(records[:, block.BROKEN].sum())
            if times:
                worker = int(np.flatnonzero(records[:, block.BROKEN])[0])
                _, shown, low, high, mm, by, late_low, late_high = (int(v) for v in records[worker])
                operation = self._operation_name(by)
                found[name] = BrokenReads(times, worker, operation, shown, low, high, mm, late_low, late_high)
        return found

    def _saw(self, worker: int) -> WorkerSaw:
        operation = int(self.column(block.OOPS_OP)[worker, 0])
        page = int(self.column(block.OOPS_ADDRESS)[worker, 0])
        where = f" {within(self._operation_name(operation), page)}" if operation else ""
        return WorkerSaw(int(self.registers(worker)[R_OOPS]), where)

    def _places(self) -> Iterator[int]:
        """Perform the checks at rest, up to one that does not end."""
        for which, (_, function) in enumerate(check_functions(self.design)):
            if self.stuck:
                return
            place = self.check(which)
            if self.stuck:
                self.stuck = f"check {getattr(function, '__name__', 'check')} does not end"
                return
            yield place

    def _mms_at_rest(self) -> tuple[MmAtRest, ...]:
        """Scan every page table, and read every mm's counters by what is promised, up to a read that does not end."""
        mms = range(self.machine.mms)
        found = [MmAtRest(self.in_use(mm), False, self.truth(mm)) for mm in mms]
        sums = self.design.sums
        for mm in mms if self.exact or sums else ():
            shown = self.read(mm)
            if self.stuck:
                return tuple(found)
            found[mm] = replace(found[mm], exact=shown)
        for mm in mms if self.bound != 0 or sums else ():
            shown = self.read(mm, self.design.bounded_read)
            if self.stuck:
                return tuple(found)
            found[mm] = replace(found[mm], bounded=shown, on_cpus=self.cpus_hold(mm))
        return tuple(found)
