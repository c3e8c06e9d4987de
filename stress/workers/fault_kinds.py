"""Faults one after the other over a range, performed by workers: what `pte-stress table` measures.

A worker touches every page of its part once, by the operation `touch`: the design's own fault in a loop. The kinds
are those of `stress.kernel.fault_kinds`.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from shm_layout.registers import KEPT, R_ADDRESS, R_END, R_FRAME_END, R_OP, R_WRITE, REGISTERS
from shm_layout.words import Words
from stress.design import Design
from stress.kernel.fault_kinds import KINDS as KINDS  # noqa: PLC0414
from stress.kernel.fault_kinds import SINGLE as SINGLE  # noqa: PLC0414
from stress.kernel.fault_kinds import Kind, parts
from stress.kernel.fault_kinds import areas as areas  # noqa: PLC0414
from stress.kernel.fault_kinds import machine_for as machine_for  # noqa: PLC0414
from stress.kernel.fault_kinds import resident as resident  # noqa: PLC0414
from stress.labels import NEXT_PAGE
from stress.program import At, Program
from stress.step import NEXT, step
from stress.workers.loop.block import SCRIPT_CALLS
from stress.workers.pool import Pool
from stress.workers.records import Call

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
    """Return the design with its fault in a loop as operation `touch`, beside the read that checks look at."""
    touch = Program(At(NEXT_PAGE), design.programs["fault"], touch_next_page)
    return design.with_programs(**{TOUCH: touch})


def prepare(pool: Pool, kinds: tuple[Kind, ...]) -> None:
    """Put the machine into the state that the kinds find. The workers must be at rest."""
    pool.reset()
    for worker in range(pool.workers):
        for kind, first, end in parts(kinds, pool.machine.ptes, worker, pool.workers):
            kind.prepare(pool.memory, pool.layout, int(pool.registers(worker)[R_FRAME_END]), first, end - first)


def script(kinds: tuple[Kind, ...], pages: int, worker: int, workers: int, rng: np.random.Generator) -> list[Call]:
    """Return the calls by which a worker touches its part, in order of address; kinds take turns in a drawn order."""
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
