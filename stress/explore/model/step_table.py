"""Steps as compiled functions chosen by number: those of the built-in designs once, those of a design on top.

The number of a step depends on the order of the designs' names and programs alone, so that all processes agree and
find the machine code on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from shm_layout.words import Words
from stress import designs
from stress.checks import takes_registers, takes_scratch
from stress.design import Design
from stress.explore.model.image import STRIDE
from stress.explore.model.primitives import RAISED, window
from stress.step import StepFunction, info


@cache
def library() -> dict[StepFunction, int]:
    """The number of each step of the built-in designs."""
    found: dict[StepFunction, None] = {}
    for name in designs.names():
        found.update(dict.fromkeys(designs.get(name).steps))
    return {function: number for number, function in enumerate(found)}


def is_users(function: Callable[..., int]) -> bool:
    """Whether a step or a check is a user's own, not one of this package."""
    return not function.__module__.startswith("stress.")


def is_watched(design: Design) -> bool:
    """Whether the steps of a design are held against the rules of steps while they are taken.

    The built-in designs are by the tests of this package, on every workload there. A step of the user's own is, and
    so is one of the library in a design whose programs are not all of one built-in design: an edit may leave out the
    lock that keeps its accesses together, and two designs may rely on different locks.
    """
    if any(is_users(function) for function in own_functions(design)):
        return True
    return not any(_is_part_of(design, designs.get(name)) for name in designs.names())


def _is_part_of(design: Design, whole: Design) -> bool:
    """Whether all programs of a design are those that another one has for the same operations."""
    return all(whole.programs.get(name) == program for name, program in design.programs.items())


def own_functions(design: Design) -> list[Callable[..., int]]:
    """What a design brings along: the steps that are in no built-in design, then its holders, then its checks."""
    return [f for f in design.steps if f not in library()] + [*design.holders, *design.checks]


@cache
def _compiled(
    name: str, functions: tuple[Callable[..., int], ...], holders: int, checks: int, *, watched: bool, may_raise: bool
) -> tuple[int, Any]:
    """The address of a compiled function (number, m, r, record) -> result, and what must be kept for as long.

    The last ``checks`` functions are checks at rest: they are given scratch words for ``r``, or ``m`` alone. Before
    them come ``holders``, which are given a CPU's registers for ``r``, and behind those the scratch words.
    ``watched``: accesses are noted in the record. ``may_raise``: a function that raises an exception returns `RAISED`.
    """
    from stress.compiling.modules import compiled_module, refused_in_words

    names = [f"f{i}_{getattr(f, '__name__', 'step')}" for i, f in enumerate(functions)]
    source = ["from numba import types", "from shm_layout.registers import REGISTERS"]
    source += ["from shm_layout.structs import NR_PAGES"]
    source += ["from shm_layout.watched import watched_memory, watched_registers"]
    source += [
        "from stress.explore.model import primitives_compiled as lowered",
        "from stress.explore.model.primitives import window",
        "",
    ]
    source += ["W = types.CPointer(types.int64)"]
    source += ["@cfunc(types.int64(types.int64, W, W, W))", "def take(number, words, registers, record):"]
    if watched:
        source += ["    m = watched_memory(words, record, 0)"]
        source += ["    r = watched_registers(registers, record, REGISTERS)"]
        source += ["    w = watched_registers(registers, record, words[NR_PAGES])"]
        source += [f"    behind = watched_registers(window(registers, {STRIDE}), record, words[NR_PAGES])"]
    else:
        source += ["    m, r = words, registers"]
    for i, (key, function) in enumerate(zip(names, functions, strict=True)):
        call = f"return {key}(m, r)"
        if i >= len(functions) - checks:
            call = f"return place_of({key}({'m, w' if takes_scratch(function) else 'm'}))"
        elif i >= len(functions) - checks - holders:
            call = f"{key}({'m, r, behind' if takes_registers(function) else 'm, behind'})"
        source += [f"    if number == {i}:"]
        if may_raise:
            source += ["        try:", f"            {call}"]
            source += ["        except Exception:", f"            return {RAISED}"]
        else:
            source += [f"        {call}"]
    source += ["    return 0", ""]
    with refused_in_words(functions, functions[len(functions) - checks :]):
        space = compiled_module(name, "\n".join(source), dict(zip(names, functions, strict=True)))
    return int(space["take"].address), space


def _library(watched: bool) -> tuple[int, Any]:
    """The steps of the built-in designs, compiled: none of them raises an exception."""
    name = "library_watched" if watched else "library"
    return _compiled(name, tuple(library()), 0, 0, watched=watched, may_raise=False)


def _own(functions: tuple[Callable[..., int], ...], holders: int, checks: int) -> int:
    """The address of what a design brings along, compiled."""
    name = f"steps_{len(functions)}"
    return _compiled(name, functions, holders, checks, watched=True, may_raise=True)[0]


def addresses(design: Design) -> tuple[int, int]:
    """Addresses of the library and of what the design brings along, 0 when that is nothing."""
    for function in design.steps:
        info(function)
    own = tuple(own_functions(design))
    return (
        _library(is_watched(design))[0],
        _own(own, len(design.holders), len(design.checks)) if own else 0,
    )


def functions(design: Design) -> tuple[Sequence[StepFunction], Sequence[Callable[..., int]]]:
    """The same as plain Python: the library's steps and the design's own, by number."""
    own = own_functions(design)
    steps = own[: len(own) - len(design.holders) - len(design.checks)]
    checks = [f if takes_scratch(f) else _alone(f) for f in design.checks]
    return list(library()), [*steps, *map(_holding, design.holders), *checks]


def _holding(holder: Callable[..., Any]) -> StepFunction:
    """A holder, called as a step is: behind the registers lie the scratch words."""

    def add(m: Words, r: Words) -> int:
        scratch = window(r, STRIDE)
        holder(*((m, r, scratch) if takes_registers(holder) else (m, scratch)))
        return 0

    return add


def own_name(design: Design, number: int) -> str:
    """What to call a function that the design brings along: "step odd", "check leaks"."""
    function = own_functions(design)[number]
    return f"{'step' if function in design.steps else 'check'} {getattr(function, '__name__', 'of its own')}"


def _alone(check: Callable[..., int]) -> StepFunction:
    """A check of ``m`` alone, called as a step is."""
    return lambda m, r: check(m)
