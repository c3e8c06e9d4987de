"""One simulation: a design, a machine, so many CPUs; and what came of it.

>>> simulate(designs.get("v12_sound"), get_machine("2004"), Given(cpus=128)).per_second
470000.0
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shm_layout.errors import UsageError
from shm_layout.layout import Layout
from shm_layout.placement import PLACEMENTS
from shm_layout.record import FAULT, RECORD_WORDS, STEP, new_record
from shm_layout.registers import R_FRAME_END, REGISTERS
from shm_layout.structs import LINE_WORDS
from stress.design import Design
from stress.kernel.boot import boot_registers, boot_tasks
from stress.kernel.fault_kinds import KINDS, machine_for, parts
from stress.kernel.pgtable import PG_FREE
from stress.scale import state
from stress.scale.code import CLEARS, COPIES, Code, code_of
from stress.scale.machine import ScaleMachine
from stress.step import info

Array = NDArray[np.int64]

SAMPLE = 30_000
"""Faults that are simulated where no number is given; a row of more is scaled up from them."""
LEAST_EACH = 16
"""Faults of each CPU at least: below, what happens at the start weighs too much."""
PS = 1000
"""Picoseconds in a nanosecond."""
GIB = 1 << 30


@dataclass(frozen=True)
class Given:
    """What is simulated.

    ``cpus``: CPUs that fault, each in pages of its own. ``faults``: of all together (None: `SAMPLE`, and at least
    `LEAST_EACH` a CPU). ``kind``: as in `table`. ``work``: False leaves out all private work. ``readers``: further
    CPUs that read ``read`` over and over. ``gib``: memory that all touch in a run of which this is a sample, which
    decides how much of it lies near. ``pages``: pages that one fault maps, for
    a design with prefault. ``started``: CPUs begin at times that are drawn, not all at 0.
    """

    cpus: int
    faults: int | None = None
    kind: str = "anon-write"
    placement: str = "posted"
    work: bool = True
    readers: int = 0
    read: str = "statm"
    gib: float = 0.0
    pages: int = 1
    started: bool = True
    seed: int = 1


@dataclass(frozen=True)
class Simulated:
    """What came of it. Counts are of all CPUs together over the whole run; times are ns of all CPUs together.

    ``per_second``: faults a second in the middle of the run, from a fifth to four fifths of the faults. ``ns``: the
    whole run. ``atomics``, ``transfers``: accesses that are atomic; those for which a line moved. ``waits``: times that
    a step found its lock taken. ``work``, ``own``, ``line``,
    ``queue``, ``spin``: private work, accesses to own lines, lines under way, waiting until a line was free, waiting
    for a lock (looking again included). ``reads`` of /proc, and ``read_ns`` of one.
    """

    cpus: int
    faults: int
    per_second: float
    ns: float
    accesses: int
    atomics: int
    transfers: int
    waits: int
    work: float
    own: float
    line: float
    queue: float
    spin: float
    reads: int
    read_ns: float

    @property
    def ns_per_fault(self) -> float:
        """CPU time of a fault, ns, where all CPUs fault."""
        return self.cpus * 1e9 / self.per_second if self.per_second else math.inf

    def shares(self) -> dict[str, float]:
        """Of the CPUs' time: work, atomics (own lines), lines (under way and queued for), and locks. Sum 1."""
        busy = self.work + self.own + self.line + self.queue
        total = max(self.cpus * self.ns, busy)
        locks = max(total - busy, 0.0)
        named = {"work": self.work, "atomics": self.own, "lines": self.line + self.queue, "locks": locks}
        return {name: value / total for name, value in named.items()}


@cache
def _compiled() -> Any:
    from stress.compiling.modules import compiled_module
    from stress.scale import events

    whole = {"until", "window"}

    def pointers(name: str, kind: Any) -> str:
        given = [f"{name}.{f}" if f in whole else f"words({name}.{f}, 0)" for f in kind._fields]
        return f"{kind.__name__}({', '.join(given)})"

    kinds = {"lines": state.Lines, "cpus": state.Cpus, "heap": state.Heap}
    source = "from stress.scale.state import Cpus, Heap, Lines, Run\n"
    source += "@njit\ndef simulate(address, memory, record, rows, lines, cpus, heap, nodes, run):\n"
    source += "    return simulate_(address, words(memory, 0), words(record, 0), words(rows, 0), "
    source += ", ".join(pointers(name, kind) for name, kind in kinds.items())
    source += f", words(nodes, 0), {pointers('run', state.Run)})\n"
    return compiled_module("scale", source, {"simulate_": events.simulate})["simulate"]


def near_share(machine: ScaleMachine, gib: float, cpus: int) -> float:
    """Which share of the pages lies in the memory of the node of the CPU that touches them; the others are far.

    CPUs are taken node by node, and those of a node share its memory.
    """
    if gib <= 0:
        return 1.0
    nodes = -(-cpus // machine.memory.cpus)
    return min(1.0, nodes * machine.memory.node_gib / gib)


def costs_of(machine: ScaleMachine, *, work: bool) -> Array:
    """The costs of a machine as the event loop takes them (`stress.scale.state`)."""
    costs = np.zeros(state.COSTS, np.int64)
    line, fault = machine.line, machine.fault
    named = {
        state.OWN: line.own_ns,
        state.OWN_ATOMIC: line.own_atomic_ns,
        state.READ_BUSY: line.read_busy_ns,
        state.MEMORY: line.memory_ns,
        state.ENTRY: fault.entry_ns if work else 0,
        state.EXIT: fault.exit_ns if work else 0,
        state.CLEAR_BUSY: fault.page_bytes / machine.memory.node_gb_s if work else 0,
    }
    for place, ns in named.items():
        costs[place] = round(ns * PS)
    costs[state.JITTER] = round(1000 * fault.varies)
    costs[state.NODE_CPUS] = machine.memory.cpus
    costs[state.LEVELS] = len(machine.levels)
    for i, level in enumerate(machine.levels):
        costs[state.LEVEL_COST + 2 * i] = level.cpus
        costs[state.LEVEL_COST + 2 * i + 1] = round(level.ns * PS)
    return costs


def _work(machine: ScaleMachine, *, work: bool) -> Array:
    """Private work of a page by its kind, near and far, ps."""
    found = np.zeros((3, 2), np.int64)
    if work:
        for far, gb_s in enumerate((machine.memory.near_gb_s, machine.memory.far_gb_s)):
            found[CLEARS, far] = round(machine.fault.page_bytes / gb_s * PS)
            found[COPIES, far] = 2 * found[CLEARS, far]
    return found


def faults_each(given: Given) -> int:
    """Faults that each CPU makes: a multiple of 16, so that no two CPUs share a line of ptes."""
    wanted = SAMPLE if given.faults is None else given.faults
    each = -(-wanted // given.cpus)
    if given.faults is None:
        return max(-(-each // 16) * 16, LEAST_EACH)
    return each


class _Set:
    """Memory, lines, CPUs and heap of a simulation, as its first event finds them."""

    def __init__(self, design: Design, machine: ScaleMachine, given: Given, code: Code, sets: int) -> None:
        each, all_cpus = faults_each(given), given.cpus + given.readers
        kinds = KINDS[given.kind]
        pages = each * given.cpus
        modelled = machine_for(kinds, workers=all_cpus, pages=pages, arch="64", batch=design.bound.batch(all_cpus))
        if given.readers:  # a reader's own task, and its mm
            modelled = dataclasses.replace(modelled, mms=2, child_pages=1)
        modelled = design.machine.of_real_size(modelled)
        layout = Layout(modelled, PLACEMENTS[given.placement])
        self.memory = m = np.zeros(layout.words, np.int64)
        frames = layout.regions["page"]
        flags = frames.index(0, "flags")
        m[flags : frames.end : frames.stride] = PG_FREE
        boot_tasks(layout, m)
        self.record = np.array(new_record(layout.words), np.int64)
        assert len(self.record) == RECORD_WORDS
        registers = np.zeros(all_cpus * REGISTERS, np.int64)
        rng = np.random.default_rng(given.seed)
        table = np.zeros((all_cpus, len(kinds), state.PART_WORDS), np.int64)
        for cpu in range(all_cpus):
            r = registers[cpu * REGISTERS : (cpu + 1) * REGISTERS]
            boot_registers(layout, r, cpu, all_cpus)
            if cpu >= given.cpus:
                table[cpu, 0] = (0, 1 << 60, 1, code.begins[given.read], design.numbers[given.read])
                continue
            for i, (kind, first, end) in enumerate(parts(kinds, pages, cpu, given.cpus)):
                kind.prepare(m, layout, int(r[R_FRAME_END]), first, end - first)
                table[cpu, i] = (first, end, int(kind.write), code.begins["fault"], design.numbers["fault"])
        count = -(-layout.words // LINE_WORDS)
        zeros, width = partial_zeros(count), -(-all_cpus // 64)
        self.lines = state.Lines(
            owner=np.full(count, state.NOBODY, np.int64),
            free=zeros(),
            row=zeros(),
            low=zeros(),
            high=zeros(),
            first=np.full(count, -1, np.int64),
            last=np.full(count, -1, np.int64),
            sets=np.zeros(sets * width, np.int64),
            spare=np.arange(sets, dtype=np.int64) * width,
        )
        own = partial_zeros(all_cpus)
        quota = np.full(all_cpus, each, np.int64)
        quota[given.cpus :] = 1 << 60
        reader = own()
        reader[given.cpus :] = 1
        near = round(1000 * near_share(machine, given.gib, given.cpus))
        self.cpus = state.Cpus(
            registers=registers,
            pc=np.full(all_cpus, -1, np.int64),
            next=np.full(all_cpus, -1, np.int64),
            since=np.full(all_cpus, -1, np.int64),
            ready=own(),
            part=own(),
            parts=table.ravel(),
            done=own(),
            quota=quota,
            near=np.full(all_cpus, near, np.int64),
            reader=reader,
            began=own(),
        )
        total = pages
        sums = np.zeros(state.SUMS, np.int64)
        sums[state.FREE_SETS] = sets
        sums[state.RANDOM] = int(rng.integers(1, 1 << 62))
        costs = costs_of(machine, work=given.work)
        costs[state.CLEAR_BUSY] *= given.pages
        costs[state.SET_WORDS], costs[state.PARTS] = width, len(kinds)
        window = (max(total // 5, 1), max(4 * total // 5, min(2, total)))
        self.run = state.Run(
            costs=costs,
            sums=sums,
            work=_work(machine, work=given.work).ravel() * given.pages,
            until=total,
            window=window,
        )
        length = self._operation_ps(machine, given)
        begins = rng.integers(0, length + 1, all_cpus) if given.started else np.zeros(all_cpus, np.int64)
        order = np.lexsort((np.arange(all_cpus), begins))
        times, orders, numbers = (np.zeros(all_cpus + 1, np.int64) for _ in range(3))
        times[:all_cpus], orders[:all_cpus], numbers[:all_cpus] = begins[order], np.arange(all_cpus), order
        self.heap = state.Heap(time=times, order=orders, cpu=numbers, size=np.array([all_cpus], np.int64))
        sums[state.SEQUENCE] = all_cpus
        self.nodes = np.zeros(-(-all_cpus // machine.memory.cpus), np.int64)

    def _operation_ps(self, machine: ScaleMachine, given: Given) -> int:
        """About how long a fault takes: CPUs begin at times drawn from it, or they would all do the same at once."""
        work = int(self.run.work[2 * CLEARS]) if given.work else 0
        return work + round(1000 * (machine.fault.entry_ns + machine.fault.exit_ns) * given.work) + 1_000_000


def partial_zeros(count: int) -> Any:
    """Return a function that makes arrays of ``count`` zeros."""
    return lambda: np.zeros(count, np.int64)


def simulate(design: Design, machine: ScaleMachine, given: Given) -> Simulated:
    """Simulate faults of a design on a machine.

    Raises `UsageError` for more CPUs than the machine has, and what `code_of` raises.
    """
    if not 1 <= given.cpus + given.readers <= machine.cpus:
        raise UsageError(f"{given.cpus + given.readers} CPUs: machine {machine.name} has 1 to {machine.cpus}")
    operations = ["fault", given.read] if given.readers else ["fault"]
    code = code_of(design, operations)
    sets = 256 + 4 * (given.cpus + given.readers)
    while True:
        made = _Set(design, machine, given, code, sets)
        status = _compiled()(
            code.address, made.memory, made.record, code.rows, made.lines, made.cpus, made.heap, made.nodes, made.run
        )
        if status != state.NO_SETS:
            break
        sets *= 4
    if status != state.OK:
        name = info(code.steps[int(made.record[STEP])]).name if made.record[FAULT] else "a step"
        raise UsageError(f"design {design.name}: {name} makes a wrong access: explore it first, which says which")
    return _result(given, made.run)


def _result(given: Given, run: state.Run) -> Simulated:
    sums = run.sums
    faults, ended = int(sums[state.FAULTS]), int(sums[state.ENDED])
    span = int(sums[state.WINDOW_ENDED] - sums[state.WINDOW_BEGAN])
    inside = int(sums[state.WINDOW_LAST] - sums[state.WINDOW_FIRST])
    rate = inside / span * 1e12 if span > 0 else faults / max(ended, 1) * 1e12
    reads = int(sums[state.READS_DONE])
    return Simulated(
        cpus=given.cpus,
        faults=faults,
        per_second=rate * given.pages,
        ns=ended / PS,
        accesses=int(sums[state.ACCESSES]),
        atomics=int(sums[state.ATOMICS]),
        transfers=int(sums[state.TRANSFERS]),
        waits=int(sums[state.WAITS]),
        work=int(sums[state.WORK_PS]) / PS,
        own=int(sums[state.OWN_PS]) / PS,
        line=int(sums[state.LINE_PS]) / PS,
        queue=int(sums[state.QUEUE_PS]) / PS,
        spin=int(sums[state.SPIN_PS]) / PS,
        reads=reads,
        read_ns=int(sums[state.READ_PS]) / PS / reads if reads else 0.0,
    )
