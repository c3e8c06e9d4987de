"""The rules of a design that can be seen before anything of it is compiled or performed."""

from __future__ import annotations

from collections.abc import Iterator

from shm_layout.registers import KEPT
from stress.design import Bound, Design
from stress.operation import kind_of
from stress.program import ByArch, Program
from stress.step import possible_outcomes
from stress.step_rules import RuleBroken, check_check, is_own, may_change


def check_design(design: Design) -> None:
    """Hold a design's fields, steps and checks to the rules. Raises `UsageError`, one line that says what to write."""
    for operation, program in design.programs.items():
        if not isinstance(program, Program):
            said = f"design {design.name}: operation {operation} is {type(program).__name__}"
            raise RuleBroken(f"{said}: write Program(step, step, ...) from stress.program")
    if not isinstance(design.bound, Bound):
        raise RuleBroken(f"design {design.name}: bound is {design.bound!r}: write EXACT, NO_BOUND or Bound(...)")
    design.bound.pages(2, 2, design.bound.batch(2))
    if not isinstance(design.checks, tuple) or not all(callable(check) for check in design.checks):
        raise RuleBroken(f"design {design.name}: checks are {design.checks!r}: write a tuple of functions")
    for function in design.steps:
        if not is_own(function):
            possible_outcomes(function)
    for check in design.checks:
        check_check(check)


def _steps(program: Program) -> Iterator[object]:
    for entry in program:
        if isinstance(entry, ByArch):
            yield from (*entry.arch_64, *entry.arch_pae)
        elif callable(entry):
            yield entry


def without_effect(design: Design, operations: list[str]) -> list[str]:
    """Say which of these operations change nothing, whatever they are given, in a sentence each.

    Reads change nothing either; of them it is said where they show no value.
    """
    found = []
    for name in operations:
        steps = _steps(design.programs[name])
        if not kind_of(name).reads and not any(may_change(f, KEPT) for f in steps):  # type: ignore[arg-type]
            found.append(f"{name} changes nothing: none of its steps writes to the memory")
    return found
