"""What a finding is: data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stress import designs
from stress.design import Design
from stress.memory_model import memory_model
from stress.workload import Workload


@dataclass(frozen=True)
class Case:
    """A workload, in its text form, and fields of the machine that it runs on."""

    workload: str
    machine: Mapping[str, Any] = field(default_factory=dict)

    def parse(self) -> Workload:
        """Return the workload on its machine."""
        return Workload.parse(self.workload, **self.machine)


def _v12_sound() -> Design:
    return designs.get("v12_sound")


@dataclass(frozen=True)
class Finding:
    """One point of the review, or one that it does not name.

    ``point`` is the fault in our own words. ``as_posted`` takes the sound design and puts this one point back as it
    was posted; ``edit`` says in a sentence what it changes. On ``case`` the design as posted, and V12 itself, break
    ``check``, while the sound design holds every check in every interleaving. On each of ``harmless``, a sentence
    and a case, the design as posted holds too: where the fault cannot strike.

    An ``equivalence`` breaks nothing: both designs hold, and reach the same final states.

    ``memory`` is the strongest memory model under which the fault shows: under a stronger one the design as posted
    holds. Where it is not sc, V12 is not looked at: the patch set has the barrier. ``sound`` gives the sound design.
    ``shipped`` names a design as it was posted that has the fault, and breaks the check on the same workload: V12, or
    what followed it; None where no design has it as posted.
    """

    id: str
    title: str
    point: str
    edit: str
    as_posted: Callable[[Design], Design]
    case: Case
    check: str
    harmless: tuple[tuple[str, Case], ...] = ()
    equivalence: bool = False
    memory: str = "sc"
    sound: Callable[[], Design] = _v12_sound
    shipped: str | None = "v12"

    def posted(self) -> Design:
        """Return the sound design with this point as posted."""
        return self.as_posted(self.sound())

    def corrected(self) -> Design:
        """Return the sound design."""
        return self.sound()

    def shows_under(self, memory: str) -> bool:
        """Return whether the fault shows under a memory model: one that is as weak as its own, or weaker."""
        return memory_model(memory).number >= memory_model(self.memory).number
