"""What an operation costs where no other CPU wants its lines: the accesses of its steps, counted and priced.

The steps run in plain Python on memory that notes what they access. So this is for operations that the simulator does
not draw, and for both archs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from shm_layout.machine import Machine
from shm_layout.noting import NotingMemory
from shm_layout.record import COMPARE, COUNT, FULL_BARRIER, READ_WRITE, accesses, new_record
from shm_layout.structs import LINE_WORDS
from stress.design import Design
from stress.scale.machine import Line
from stress.sequential import PlainMachine
from stress.step import StepFunction

Call = tuple[str, int, int]
"""An operation, its first page, and one past its last."""


class Accesses(NamedTuple):
    """How many accesses there were. A full barrier costs what an atomic does, and counts as one."""

    plain: int
    atomic: int

    def ns(self, line: Line) -> float:
        """Return what they cost on lines that their CPU has."""
        return self.plain * line.own_ns + self.atomic * line.own_atomic_ns


class _Counting(PlainMachine):
    """A machine that counts the accesses of its steps: those of a step to one line are one, the strongest of them."""

    def __init__(self, design: Design, machine: Machine) -> None:
        super().__init__(design, machine)
        self.record = new_record(self.layout.words)
        self.m = NotingMemory(self.m, self.record)  # type: ignore[assignment]
        self.plain = self.atomic = 0

    def take(self, step: StepFunction, r: list[int]) -> int:
        self.record[COUNT] = 0
        outcome = super().take(step, r)
        made = accesses(self.record)
        barriers = sum(access.kind == FULL_BARRIER for access in made)
        lines = {access.index // LINE_WORDS for access in made if access.kind < FULL_BARRIER}
        atomics = {access.index // LINE_WORDS for access in made if access.kind in (READ_WRITE, COMPARE)}
        self.plain += len(lines - atomics)
        self.atomic += len(atomics) + barriers
        return outcome


def accesses_alone(design: Design, machine: Machine, before: Iterable[Call], calls: Iterable[Call]) -> Accesses:
    """Perform operations one after another on CPU 0, writing; return the accesses of ``calls``, not of ``before``.

    Raises what `stress.sequential.PlainMachine.perform` raises.
    """
    counting = _Counting(design, machine)

    def perform(some: Iterable[Call]) -> Accesses:
        for name, address, end in some:
            counting.perform(name, address=address, end=end, write=True)
        return Accesses(counting.plain, counting.atomic)

    first, last = perform(before), perform(calls)
    return Accesses(last.plain - first.plain, last.atomic - first.atomic)
