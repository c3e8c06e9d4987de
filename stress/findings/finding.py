"""What a finding is: data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stress import designs
from stress.design import Design
from stress.workload import Workload


@dataclass(frozen=True)
class Case:
    """A workload, in its text form, and fields of the machine that it runs on."""

    workload: str
    machine: Mapping[str, Any] = field(default_factory=dict)

    def parse(self) -> Workload:
        """The workload on its machine."""
        return Workload.parse(self.workload, **self.machine)


@dataclass(frozen=True)
class Finding:
    """One point of the review, or one that it does not name.

    ``point`` is the fault in our own words. ``as_posted`` takes the sound design and puts this one point back as it
    was posted; ``edit`` says in a sentence what it changes. On ``case`` the design as posted, and V12 itself, break
    ``check``, while the sound design holds every check in every interleaving. On each of ``harmless``, a sentence
    and a case, the design as posted holds too: where the fault cannot strike.

    An ``equivalence`` breaks nothing: both designs hold, and reach the same final states.
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

    def posted(self) -> Design:
        """The sound design with this point as posted."""
        return self.as_posted(designs.get("v12_sound"))

    def corrected(self) -> Design:
        """The sound design."""
        return designs.get("v12_sound")
