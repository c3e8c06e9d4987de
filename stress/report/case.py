"""One thing that a command looked at, and what came of it: a check of a design, a finding, a litmus test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

HOLDS, BROKEN, ERROR, OPEN = "holds", "broken", "error", "open"
"""States of a case. ``open``: it was not settled, because the search or the test did not get so far."""


@dataclass(frozen=True)
class Case:
    """One thing that was looked at, and what came of it.

    ``of`` and ``name``: the design and the check, the chapter and the finding. ``says``: what is wrong. ``marks``: what
    a known failure is compared by, such as ``{"design": "v12", "check": "mapcount"}``; a tuple for several names of
    one thing.
    """

    of: str
    name: str
    state: str = HOLDS
    says: str = ""
    marks: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether it makes the exit status 1."""
        return self.state in (BROKEN, ERROR)
