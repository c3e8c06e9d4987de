"""Faults apart: which mend removes what was found, and the smallest workload that shows this one fault.

A fault is what one mend removes. A find is one of the fault whose mend alone may not be left out: with all other mends
the design still breaks the same check on the same workload, and with all of them it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from stress.design import Design
from stress.explore.model.model import SetupError
from stress.explore.result import Result
from stress.workload import Workload

Explored = Callable[[Design, Workload], Result]
"""Explore a design on a workload, within the bounds of the hunt."""


class Mend(Protocol):
    """One change that removes one fault: a name, why it is needed, and how it is made."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def why(self) -> str:
        """What it mends, in a sentence."""

    def apply(self, design: Design) -> Design:
        """Return the design with it."""


@dataclass(frozen=True)
class Fault:
    """One fault of a design: ``mend`` removes it; ``alone`` is the design with all other mends, which still has it."""

    mend: Mend
    alone: Design


def mended(design: Design, mends: Sequence[Mend]) -> Design:
    """Return the design with these mends, one after the other, but for those that change what is not there.

    One mend may change what another puts into a design.
    """
    for mend in mends:
        if fits(design, mend):
            design = mend.apply(design)
    return design


def fits(design: Design, mend: Mend) -> bool:
    """Whether a design has what a mend changes."""
    try:
        mend.apply(design)
    except ValueError:
        return False
    return True


def faults_of(design: Design, mends: Sequence[Mend]) -> list[Fault]:
    """Return the faults of a design of which these mends are known: one for each."""
    return [Fault(one, mended(design, [m for m in mends if m is not one])) for one in mends]


def smaller(workload: Workload) -> Iterator[Workload]:
    """Yield the workload without one of its operations, in turn; a CPU that is left idle stays."""
    for i in range(len(workload.setup)):
        yield replace(workload, setup=workload.setup[:i] + workload.setup[i + 1 :])
    for cpu, column in enumerate(workload.cpus):
        for i in range(len(column)):
            less = column[:i] + column[i + 1 :]
            columns = (*workload.cpus[:cpu], less, *workload.cpus[cpu + 1 :])
            if any(columns):
                yield replace(workload, cpus=columns)


def smallest(workload: Workload, still: Callable[[Workload], bool]) -> Workload:
    """Leave operations out, one at a time, as long as the workload ``still`` breaks what it broke."""
    found = next(filter(still, smaller(workload)), None)
    while found is not None:
        workload = found
        found = next(filter(still, smaller(workload)), None)
    return workload


def broken(explored: Explored, design: Design, workload: Workload) -> list[str]:
    """Return the checks that a design breaks on a workload; none where its setup alone goes wrong."""
    try:
        return [violation.check for violation in explored(design, workload).violations]
    except SetupError:
        return []


def fault_behind(
    faults: Sequence[Fault], sound: Design, workload: Workload, check: str, explored: Explored
) -> tuple[Fault, str] | None:
    """Return the fault that a broken check comes from, and the check that it breaks by itself.

    That is the same check where some fault breaks it alone. None where no single one of these is behind it.
    """
    if broken(explored, sound, workload):
        return None
    by_fault = [(fault, checks) for fault in faults if (checks := broken(explored, fault.alone, workload))]
    same = next((fault for fault, checks in by_fault if check in checks), None)
    if same is not None:
        return same, check
    return (by_fault[0][0], by_fault[0][1][0]) if by_fault else None
