"""Which steps and branches of a design no schedule took: a check that holds because its code never ran is no proof."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from stress import designs
from stress.design import Design
from stress.labels import label_info
from stress.program import Assembled, assemble
from stress.report.words import plural
from stress.step import DONE, NEXT, WAIT, info, possible_outcomes
from stress.step_rules import is_own

Taken = Mapping[str, Collection[tuple[int, int]]]
"""By operation: the steps that were taken, each by its place in the assembled program, with the outcome that it had."""
WORDS = {NEXT: "next", DONE: "done"}


@dataclass(frozen=True)
class Missed:
    """A step that was never taken, or an outcome that it never had. ``number``: of the step in its program, from 1."""

    operation: str
    number: int
    step: str
    branch: str = ""
    """The label that it never went to, "next" or "done"; empty where the step was never taken at all."""

    def __str__(self) -> str:
        """Name it: ``my_lock in fault``, ``pte_none in fault, to raced``."""
        return f"{self.step} in {self.operation}" + (f", to {self.branch}" if self.branch else "")


@dataclass(frozen=True)
class Coverage:
    """What the schedules took of some operations of a design. ``operations``: those that were performed."""

    design: Design
    arch: str
    taken: Taken
    operations: tuple[str, ...]

    @property
    def steps(self) -> int:
        """Steps of the programs."""
        return sum(len(self._program(name).steps) for name in self.operations)

    @property
    def missed(self) -> list[Missed]:
        """Steps that no schedule took, and branches of those that one took."""
        found = []
        for name in self.operations:
            seen = set(self.taken.get(name, ()))
            for place, step in enumerate(self._program(name).steps):
                had = {outcome for where, outcome in seen if where == place}
                if not had:
                    found.append(Missed(name, place + 1, info(step).name))
                    continue
                rest = sorted(possible_outcomes(step) - had - {WAIT})
                found += [Missed(name, place + 1, info(step).name, _word(outcome)) for outcome in rest]
        return found

    @property
    def steps_missed(self) -> int:
        """Steps that no schedule took."""
        return sum(not one.branch for one in self.missed)

    def of_the_edit(self) -> list[Missed]:
        """What no schedule took of the steps that a design of the user's own has and its base has not."""
        if self.design.name in designs.names() and designs.get(self.design.name) is self.design:
            return []
        own = {name: changed(self.design, name, self.arch) for name in self.operations}
        return [one for one in self.missed if not one.branch and one.number - 1 in own[one.operation]]

    def line(self) -> str:
        """Say in a sentence what of the user's own no schedule took; "" where there is nothing."""
        names = list(dict.fromkeys(map(str, self.of_the_edit())))
        if not names:
            return ""
        rest = f" and {plural(len(names) - 5, 'other')}" if len(names) > 5 else ""
        return f"no schedule took {', '.join(names[:5])}{rest}: what holds says nothing about it (--coverage)"

    def summary(self) -> str:
        """Say how many steps and branches were taken."""
        if not self.operations:
            return "coverage: no operation was performed"
        branches = len(self.missed) - self.steps_missed
        taken = self.steps - self.steps_missed
        return (
            f"coverage: {taken:,} of {plural(self.steps, 'step')} of {', '.join(self.operations)};"
            f" {plural(branches, 'branch', 'branches')} of these never taken"
        )

    def rows(self) -> list[dict[str, Any]]:
        """What was missed, as rows of a table."""
        return [
            {"operation": one.operation, "number": one.number, "step": one.step, "branch": one.branch or "-"}
            for one in self.missed
        ]

    def as_json(self) -> dict[str, Any]:
        """What --json prints with --coverage."""
        missed = [
            {"operation": one.operation, "number": one.number, "step": one.step, "branch": one.branch or None}
            for one in self.missed
        ]
        return {"coverage": {"steps": self.steps, "taken": self.steps - self.steps_missed, "missed": missed}}

    def _program(self, name: str) -> Assembled:
        return assemble(self.design.programs[name], self.arch)


def _word(outcome: int) -> str:
    return WORDS.get(outcome) or label_info(outcome).name


def changed(design: Design, operation: str, arch: str) -> set[int]:
    """The places of the steps of an operation that its design has and the design that it was made from has not.

    That is the built-in design of its name, which it changes without an edit, or else its base. Where it was made from
    none of this package, they are the user's own steps.
    """
    steps = assemble(design.programs[operation], arch).steps
    nearest = design.name if design.name in designs.names() else design.base
    base = designs.get(nearest) if nearest in designs.names() else None
    if base is None or operation not in base.programs:
        return {place for place, step in enumerate(steps) if not is_own(step)}
    old = assemble(base.programs[operation], arch).steps
    blocks = SequenceMatcher(None, old, steps, autojunk=False).get_opcodes()
    return {place for what, _, _, begin, end in blocks if what != "equal" for place in range(begin, end)}
