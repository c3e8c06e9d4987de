"""What an exploration is bounded by, and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stress.design import Design
from stress.workload import Workload

Progress = Callable[[int, int, int], None]
"""Called now and then with states found, states visited, and depth."""

INTERRUPTED = "interrupted"
"""The bound of an exploration that a KeyboardInterrupt ended."""

BUFFER = "buffer"
"""The bound of an exploration in which a store buffer was full."""

NEVER_ENDS = "never ends"
"""The bound of an exploration that a step or check ended which does not end."""


NOT_SHORTEST = "not proven shortest"
"""Begins the note on a schedule of a search that passed over states, where the bounds left no room for another one."""


@dataclass(frozen=True)
class Bounds:
    """Where an exploration ends at the latest; None: no such bound.

    ``states``: states kept. ``memory``: bytes that they may take; None: half of what is free here.
    ``seconds``: time, the compiler's not included.
    """

    states: int | None = None
    memory: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Violation:
    """A check that does not hold.

    ``schedule``: the choice at each transition from the first state on. Below the number of CPUs it is the CPU that
    takes a step; a store that leaves the buffer of CPU c is c + CPUs * (1 + n), where n is the store's place in the
    buffer under pso, and 0 under tso. ``at_rest``: the check broke in the state at the end; else in the last
    transition.
    """

    check: str
    schedule: tuple[int, ...]
    at_rest: bool

    @property
    def length(self) -> int:
        """Number of transitions."""
        return len(self.schedule)


def with_endless(violations: Iterable[Violation], schedule: tuple[int, ...], under_way: int) -> tuple[Violation, ...]:
    """Return the violations, with that of a step or check that does not end.

    ``schedule`` leads to the state in which it was called; ``under_way``: see
    `stress.explore.model.transition.take_own`.
    """
    who = under_way & 0xFF
    found = Violation("progress", (*schedule, who - 1) if who else schedule, not who)
    return (*(v for v in violations if v.check != "progress"), found)


@dataclass(frozen=True)
class Result:
    """What an exploration found.

    ``complete``: every state that can be reached was visited. ``bound``: the bound that was reached, "" for none.
    ``transitions``: steps taken. ``depth``: length of the longest of the shortest ways. ``outcomes``: number of
    distinct final states, counted as far as the bounds allow. ``violations``: one for each check that breaks, with the
    shortest way to it if the strategy is breadth-first. ``bytes``: memory taken for the states and all that belongs to
    them. ``finals``: the final states, (memory after the constants, registers that are kept), where they were asked
    for; None, too, where the bounds leave no room for them. ``reads``: whether any of the reads of a name showed a
    value, for the names of which one came to an end (`stress.explore.model.reads`). ``taken``: the steps that
    schedules took, by operation, each with its outcome (`stress.coverage`). ``memory``: the memory model. ``reduced``:
    states were passed over that change no verdict; ``depth`` is that of the last state found then.
    """

    design: Design
    workload: Workload
    strategy: str
    complete: bool
    bound: str
    states: int
    transitions: int
    depth: int
    seconds: float
    outcomes: int
    violations: tuple[Violation, ...]
    bytes: int = 0
    notes: tuple[str, ...] = ()
    finals: frozenset[tuple[Any, ...]] | None = field(default=None, repr=False)
    reads: Mapping[str, bool] = field(default_factory=dict)
    taken: Mapping[str, Collection[tuple[int, int]]] = field(default_factory=dict, repr=False)
    memory: str = "sc"
    reduced: bool = False

    def violation(self, check: str) -> Violation | None:
        """Return the violation of one check, None when it holds."""
        return next((v for v in self.violations if v.check == check), None)

    def as_answer(self) -> Result:
        """Return the result itself. Raises KeyboardInterrupt where one ended the exploration too early."""
        if self.bound == INTERRUPTED:
            raise KeyboardInterrupt
        return self
