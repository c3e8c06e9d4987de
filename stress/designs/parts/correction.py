"""One correction of a design, as data: its name, what it mends in a sentence, and the edit of each operation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stress.design import Design
from stress.program import Program

Change = Callable[[Program], Program]


@dataclass(frozen=True)
class Correction:
    """``name`` and ``why`` become the design's `Edit`; ``programs`` maps operations to the edit of their program.

    An operation that a design does not have needs no correction.
    """

    name: str
    why: str
    programs: Mapping[str, Change]

    def apply(self, design: Design, name: str | None = None) -> Design:
        """Return the design with this correction; with ``name`` a design of that name, based on the one given.

        Raises `ValueError` when the edit fits nowhere in an operation that the design has.
        """
        changes = {op: change for op, change in self.programs.items() if op in design.programs}
        return design.edit(self.name, self.why, name=name, **changes)


def everywhere(operations: tuple[str, ...], change: Change) -> dict[str, Any]:
    """Return the same change for several operations, also as keywords of `Design.edit`."""
    return dict.fromkeys(operations, change)


def corrected(base: Design, name: str, corrections: Iterable[Correction]) -> Design:
    """Return the design ``name``: ``base`` with these corrections, one after the other."""
    design = base
    for correction in corrections:
        design = correction.apply(design, name if design is base else None)
    return design
