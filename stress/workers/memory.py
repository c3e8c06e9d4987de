"""The memory of a pool as its launcher sees it: the machine, and a block for each worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from shm_layout.layout import Layout
from shm_layout.machine import Machine
from shm_layout.placement import Placement
from shm_layout.registers import R_ADDRESS, R_GHOST, R_MM, R_OP, R_PC, REGISTERS
from shm_layout.segment import Segment
from shm_layout.structs import FIRST_WORD, STOP
from stress.design import Design
from stress.designs.parts.counter_checks import words_of_cpus
from stress.kernel.boot import boot_registers, boot_tasks
from stress.kernel.mm_types import MM_FREE, NO_MM
from stress.kernel.pgtable import PG_FREE
from stress.operation import PAGE, RANGE, kind_of
from stress.program import assemble
from stress.workers.loop import block
from stress.workers.loop.block import operation_numbers, place_blocks


def within(operation: str, page: int) -> str:
    """Say where a worker is: "in fault of page 3", "in fork"."""
    return f"in {operation}" + (f" of page {page}" if kind_of(operation).takes & {PAGE, RANGE} else "")


class Memory:
    """A segment with a machine and the blocks of its workers, in the first state. For `stress.workers.pool.Pool`."""

    def __init__(self, design: Design, machine: Machine, workers: int, placement: Placement, judge: bool) -> None:
        """Create the segment. Raises `MachineError` when there is no room."""
        self.design = design
        self.machine = machine
        self.workers = workers
        self.judge = judge
        self.layout = Layout(machine, placement)
        self.blocks = place_blocks(self.layout, workers)
        self.numbers = operation_numbers(design)
        """Operations of the design, each with its number in register R_OP."""
        self.stuck = ""
        """Who waits where, once the workers got stuck."""
        self._exec_seen = False
        self._overlapped = False
        self.segment = Segment.create(self.blocks.words, self.layout.hash())

    @property
    def memory(self) -> NDArray[np.int64]:
        """All words of the segment: what `layout` describes, then the blocks."""
        return self.segment.array

    @property
    def _blocks(self) -> NDArray[np.int64]:
        """One row for each worker's block."""
        return self.memory[self.blocks.first :].reshape(self.workers, self.blocks.stride)

    def column(self, part: int, words: int = 1) -> NDArray[np.int64]:
        """Return a part of all blocks: one row for each worker."""
        return self._blocks[:, part : part + words]

    def registers(self, worker: int) -> NDArray[np.int64]:
        """Return registers of a worker, as it has them now."""
        row: NDArray[np.int64] = self._blocks[worker, block.REGISTERS_AT : block.REGISTERS_AT + REGISTERS]
        return row

    def reset(self) -> None:
        """Put machine, counts and verdicts into the first state. The workers must be at rest."""
        m = self.memory
        m[STOP] = 0
        m[FIRST_WORD : self.layout.words] = 0
        answered = self.column(block.ANSWERED).copy()
        m[self.layout.words :] = 0
        self.column(block.ANSWERED)[:] = answered
        page = self.layout.regions["page"]
        m[page.start + page.offsets["flags"] : page.end : page.stride] = PG_FREE
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
        self._overlapped = False
        self.stuck = ""

    @property
    def bound(self) -> int | None:
        """How far the design's counter may be off on this machine, pages; None where it promises nothing."""
        return self.design.bound.pages(self.machine.cpus, self.machine.tasks, self.machine.batch)

    def in_use(self, mm: int) -> bool:
        """Return whether an mm has users."""
        return bool(self.memory[self.layout.regions["mm_struct"].index(mm, "mm_users")] != MM_FREE)

    def cpus_hold(self, mm: int) -> bool:
        """Return whether a CPU keeps counts of an mm."""
        return bool(self.memory[words_of_cpus(self.layout, mm)].any())

    @property
    def exact(self) -> bool:
        """Whether the design's counters must be exact at rest: always, or as long as no two operations overlapped."""
        return self.bound == 0 or (self.bound is None and self.design.bound.raced and not self._overlapped)

    @contextmanager
    def ended_forgotten(self) -> Iterator[None]:
        """Let a read that still finds a task that has ended find 0 there, until the end of the block."""
        tasks = self.layout.regions["task_struct"]
        array = self.memory[tasks.start : tasks.end].reshape(tasks.count, tasks.stride)
        kept = array.copy()
        ended = kept[:, tasks.offsets["mm"]] == NO_MM
        array[ended] = 0
        array[ended, tasks.offsets["mm"]] = NO_MM
        yield
        array[ended] = kept[ended]

    def doing(self, worker: int) -> str:
        """Return what a worker is doing, as its registers in the segment say."""
        r = self.registers(worker).copy()  # the worker may go on meanwhile
        name = next((n for n, number in self.numbers.items() if number == r[R_OP]), None)
        if name is None:
            return "between two operations"
        where = f"in {name}"
        if self.design.machine.has_mms:
            where = f"{within(name, int(r[R_ADDRESS]))}, mm {r[R_MM]}"
        own = int(self._blocks[worker, block.OWN])
        if 0 < own <= len(self.design.own_steps):
            return f"{where}, in step {getattr(self.design.own_steps[own - 1], '__name__', 'of its own')}"
        steps = assemble(self.design.programs[name], self.machine.arch).steps
        if 0 < r[R_PC] <= len(steps):
            step = steps[int(r[R_PC]) - 1]
            where += f", waiting in {getattr(step, '__name__', 'a step')}"
        return where

    def under_way(self) -> list[dict[str, int | str]]:
        """Return what each worker was doing when one of them first saw a check broken; empty when none did."""
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
