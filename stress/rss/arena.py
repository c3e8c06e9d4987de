"""The segment of a comparison: the modelled machine without pages, and a block of words for each worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shm_layout.counter_tree import tree_width
from shm_layout.layout import Layout
from shm_layout.machine import Machine
from shm_layout.registers import R_CPU, R_CURRENT, REGISTERS
from shm_layout.segment import Segment
from stress.kernel.mm_types import MM_EXITING
from stress.rss.subjects import Subject

# words of a worker's block; the first line is what readers look at
PLUS_BEGUN = 0
"""Pages whose count has begun to go up, since the start."""
PLUS_DONE = 1
"""Pages whose count is up."""
MINUS_BEGUN = 2
MINUS_DONE = 3
COUNT = 8
"""Changes to make."""
SEED = 9
HOP = 10
"""1: the worker goes from CPU to CPU, and from task to task."""
PLACES = 11
"""CPUs and tasks that it goes round."""
WORKERS = 14
WORKER = 15
CPU_PLACES = 16
"""CPUs of the worker: those whose number is the worker's own modulo the number of workers."""
EVERY = 17
"""Changes between two reads."""
FIRST_BLOCK = 19
STAY_TABLE = 20
"""Index of the table: pages that a CPU counts before the worker hops on."""
BASE = 21
"""Pages that are counted from the start and stay."""
FILL_ONLY = 22
"""1: the worker goes round once and stops."""
TASK_PLACES = 23
"""Tasks of the worker."""
WORST = 24
"""Greatest error of its reads, pages."""
READS = 25
NEGATIVE = 26
"""Reads that showed a negative number."""
REST = 27
"""Error of a read at rest."""
REST_PRECISE = 28
"""Error of a precise read at rest."""
ELAPSED = 29
"""Nanoseconds that the last loop took."""
REGISTERS_AT = 32
SAMPLES_AT = 72
"""Errors of the last reads."""
SAMPLES = 4096
BLOCK_WORDS = SAMPLES_AT + SAMPLES

TICK = 1000
"""Changes from one timer tick to the next: at 50 ns a fault, 50 us, so that runs of a second see many."""


FIRST_SEED = 88172645463325252
"""Random numbers of a worker must not begin at 0."""


@dataclass(frozen=True)
class Arena:
    """A segment with one counter of mm 0 in it. ``shared`` is a line for the start, ``first`` worker 0's block."""

    layout: Layout
    segment: Segment
    subject: Subject
    cpus: int
    threads: int
    workers: int
    batch: int
    shared: int
    first: int

    def block(self, worker: int) -> int:
        """Return the index of a worker's block."""
        return self.first + worker * BLOCK_WORDS

    def word(self, worker: int, part: int) -> int:
        """Return what stands in a worker's block."""
        return int(self.segment.array[self.block(worker) + part])

    def set(self, part: int, value: int) -> None:
        """Write the same into every worker's block."""
        for worker in range(self.workers):
            self.segment.array[self.block(worker) + part] = value

    @property
    def bound(self) -> int | None:
        """The declared bound for these CPUs and threads, pages."""
        return self.subject.bound.pages(self.cpus, self.threads, self.batch)


def open_arena(
    subject: Subject, cpus: int, threads: int, workers: int, *, batch: int | None = None, seed: int = 0
) -> Arena:
    """Lay out and start a counter for these CPUs and threads (tasks of the mm). The caller closes the segment.

    There are no more ``workers`` than CPUs or threads, so that no two are on the same CPU or are the same task.
    """
    batch = subject.design.bound.batch(cpus) if batch is None else batch
    machine = Machine(cpus=cpus, mms=1, anon=1, frames=2, batch=batch, task_depth=1)
    layout = Layout(machine, more={"task_struct": threads})
    table = layout.words
    shared = -(-(table + cpus) // 8) * 8
    first = shared + 8
    segment = Segment.create(first + workers * BLOCK_WORDS, layout.hash(), "rss")
    m: Any = segment.array
    layout.write_constants(m)
    m[table : table + cpus] = subject.stay(cpus, batch)
    mm = layout.regions["mm_struct"]
    m[mm.index(0, "mm_users")] = MM_EXITING + threads
    m[mm.index(0, "single")] = int(threads == 1)
    m[mm.index(0, "task_list")] = 1
    task = layout.regions["task_struct"]
    for number in range(threads - 1):
        m[task.index(number, "next")] = number + 2
        m[task.index(number + 1, "prev")] = number + 1
    arena = Arena(layout, segment, subject, cpus, threads, workers, batch, shared, first)
    for worker in range(workers):
        block = arena.block(worker)
        cpu_places = len(range(worker, cpus, workers))
        task_places = len(range(worker, threads, workers))
        for part, value in (
            (SEED, FIRST_SEED + seed * workers + worker),
            (CPU_PLACES, cpu_places),
            (TASK_PLACES, task_places),
            (PLACES, max(cpu_places, task_places)),
            (WORKERS, workers),
            (WORKER, worker),
            (FIRST_BLOCK, first),
            (STAY_TABLE, table),
            (REGISTERS_AT + R_CPU, worker),
            (REGISTERS_AT + R_CURRENT, worker),
        ):
            m[block + part] = value
    return arena


def give_pages(arena: Arena, give: Callable[[int], object]) -> None:
    """Count pages on the mm that stay, more than any error could take away, so that what is shown is not cut at 0.

    As many as leave nothing behind in a tree on their way up. ``give`` counts so many pages.
    """
    whole = arena.batch * tree_width(arena.cpus)
    base = (2 * (arena.bound or 0) // whole + 1) * whole
    give(base)
    arena.set(BASE, base)


assert REGISTERS_AT + REGISTERS <= BLOCK_WORDS
