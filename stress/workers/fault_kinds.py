"""Kinds of page fault, one after the other over a range: what `pte-stress table` measures.

A worker touches every page of its part once, by the operation `touch`: the design's own fault in a loop. What the
kind needs to find there (the zero page, a page of the page cache, a swap entry) the launcher writes beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from shm_layout.machine import Machine
from shm_layout.registers import KEPT, R_ADDRESS, R_END, R_FRAME_END, R_OP, R_WRITE, REGISTERS
from shm_layout.words import Words
from stress.design import Design
from stress.kernel.page_alloc import fresh_content
from stress.kernel.pgtable import PG_FILE, PG_LRU, YOUNG, ZERO_PAGE, mk_pte, swp_entry
from stress.labels import NEXT_PAGE
from stress.program import At, Program
from stress.step import NEXT, step
from stress.workers.loop.block import SCRIPT_CALLS
from stress.workers.pool import Pool
from stress.workers.records import Call

SPARE = 16
"""Frames that a worker may hold beside those of its pages."""

TOUCH = "touch"
"""Name of the operation."""


@step(private=True)
def touch_next_page(m: Words, r: Words) -> int:
    """The fault has ended: its registers are cleared, as after any operation; on to the next page of the range."""
    operation, address, end, write = r[R_OP], r[R_ADDRESS] + 1, r[R_END], r[R_WRITE]
    for i in range(KEPT, REGISTERS):
        r[i] = 0
    r[R_OP] = operation
    r[R_ADDRESS] = address
    r[R_END] = end
    r[R_WRITE] = write
    return NEXT_PAGE if address < end else NEXT


def touching(design: Design) -> Design:
    """The design with its fault in a loop as operation `touch`, beside the read that checks look at."""
    touch = Program(At(NEXT_PAGE), design.programs["fault"], touch_next_page)
    return design.with_programs(**{TOUCH: touch})


Prepare = Callable[[Pool, int, int, int], None]
"""Writes what the kind finds: pool, worker, first page, number of pages."""


def _nothing(pool: Pool, worker: int, first: int, pages: int) -> None:
    """Untouched memory."""


def _zero_page(pool: Pool, worker: int, first: int, pages: int) -> None:
    """The zero page is mapped for reading."""
    m = pool.memory
    ptes = pool.layout.regions["pte"].start + first
    m[ptes : ptes + pages] = mk_pte(m, ZERO_PAGE, YOUNG)


def _fields(pool: Pool, struct: str, first: int, count: int) -> dict[str, NDArray[np.int64]]:
    """The fields of some instances of a structure, each as a view of the memory."""
    region = pool.layout.regions[struct]
    last = region.stride * (count - 1) + 1
    starts = {name: region.index(first, name) for name in region.offsets}
    return {name: pool.memory[start : start + last : region.stride] for name, start in starts.items()}


def _contents(first: int, pages: int) -> NDArray[np.int64]:
    return np.arange(first, first + pages, dtype=np.int64) * fresh_content(0) + fresh_content(0)


def _in_swap(pool: Pool, worker: int, first: int, pages: int) -> None:
    """Every page lies in the swap slot of its own number, and nowhere else."""
    m, regions = pool.memory, pool.layout.regions
    ptes = regions["pte"].start + first
    slots = np.arange(first, first + pages, dtype=np.int64)
    m[ptes : ptes + pages] = slots * swp_entry(0) + swp_entry(0)
    slot = _fields(pool, "swap", first, pages)
    slot["count"][:] = 1
    slot["content"][:] = _contents(first, pages)


def _in_page_cache(pool: Pool, worker: int, first: int, pages: int) -> None:
    """Every page is in the page cache, in the last frames of those that the worker takes first."""
    m, regions = pool.memory, pool.layout.regions
    frame = int(pool.registers(worker)[R_FRAME_END]) - pages
    cache = regions["page_cache"].start + first - pool.machine.anon
    m[cache : cache + pages] = np.arange(frame, frame + pages)
    page = _fields(pool, "page", frame, pages)
    page["count"][:] = 1
    page["flags"][:] = PG_FILE | PG_LRU
    page["content"][:] = _contents(first, pages)


@dataclass(frozen=True)
class Kind:
    """One kind of fault. ``counted``: rss counts the page that it maps."""

    name: str
    doc: str
    write: bool
    prepare: Prepare = _nothing
    file: bool = False
    counted: bool = True


SINGLE: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("anon-write", "untouched anonymous memory is written to, as in 2004", write=True),
        Kind("anon-read", "untouched anonymous memory is read: the zero page is mapped", write=False, counted=False),
        Kind("cow", "memory that maps the zero page is written to: do_wp_page makes a copy", True, _zero_page),
        Kind("file", "pages of a file that are in the page cache are read", False, _in_page_cache, file=True),
        Kind("swap-in", "anonymous memory that was swapped out is read", False, _in_swap),
    )
}
"""The kinds by name."""

KINDS: Mapping[str, tuple[Kind, ...]] = {
    **{name: (kind,) for name, kind in SINGLE.items()},
    "mixed": tuple(sorted(SINGLE.values(), key=lambda kind: kind.file)),
}
"""What can be measured: one kind, or all of them over equal shares of the memory; file pages come last."""


def areas(kinds: tuple[Kind, ...], pages: int) -> list[tuple[Kind, int, int]]:
    """Each kind with the first of its pages, and one past the last."""
    n = len(kinds)
    return [(kind, pages * i // n, pages * (i + 1) // n) for i, kind in enumerate(kinds)]


def machine_for(kinds: tuple[Kind, ...], *, workers: int, pages: int, arch: str, batch: int = Machine.batch) -> Machine:
    """One mm with so many pages, a frame for each, and swap slots if they are needed. ``batch``: see `Machine`."""
    file = sum(end - first for kind, first, end in areas(kinds, pages) if kind.file)
    return Machine(
        cpus=workers,
        mms=1,
        anon=pages - file,
        shared_file=file,
        frames=1 + pages + SPARE * workers + len(kinds) * workers,
        swap=pages - file if any(kind.prepare is _in_swap for kind in kinds) else 0,
        arch=arch,
        batch=batch,
        task_depth=1,
    )


def parts(kinds: tuple[Kind, ...], pages: int, worker: int, workers: int) -> list[tuple[Kind, int, int]]:
    """The worker's own part of the area of each kind: kind, first page, one past the last; empty parts left out."""
    own = []
    for kind, first, end in areas(kinds, pages):
        n = end - first
        a, b = first + n * worker // workers, first + n * (worker + 1) // workers
        if a < b:
            own.append((kind, a, b))
    return own


def prepare(pool: Pool, kinds: tuple[Kind, ...]) -> None:
    """Put the machine into the state that the kinds find. The workers must be at rest."""
    pool.reset()
    for worker in range(pool.workers):
        for kind, first, end in parts(kinds, pool.machine.ptes, worker, pool.workers):
            kind.prepare(pool, worker, first, end - first)


def script(kinds: tuple[Kind, ...], pages: int, worker: int, workers: int, rng: np.random.Generator) -> list[Call]:
    """The calls by which a worker touches its part, in order of address; kinds take turns in an order that is drawn."""
    own = parts(kinds, pages, worker, workers)
    each = SCRIPT_CALLS // len(own) if own else 0
    turns: list[list[Call]] = []
    for kind, first, end in own:
        n = end - first
        cuts = sorted({first + n * i // each for i in range(each + 1)})
        turns.append([Call(TOUCH, a, b, kind.write) for a, b in pairwise(cuts)])
    calls: list[Call] = []
    while turns := [turn for turn in turns if turn]:
        calls += [turns[i].pop(0) for i in rng.permutation(len(turns))]
    return calls


def resident(kinds: tuple[Kind, ...], pages: int) -> int:
    """Pages that are mapped and counted once every page has been touched."""
    return sum(end - first for kind, first, end in areas(kinds, pages) if kind.counted)
