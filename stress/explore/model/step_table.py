"""Steps as compiled functions chosen by number: those of the built-in designs, those of a design on top.

A step of the built-in designs is compiled by itself, when a workload first takes it, and kept on disk for every design
and command that takes it. Its number depends on the order of the designs' names and programs alone. What a design
brings along is compiled together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
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
    """Return the number of each step of the built-in designs."""
    found: dict[StepFunction, None] = {}
    for name in designs.names():
        found.update(dict.fromkeys(designs.get(name).steps))
    return {function: number for number, function in enumerate(found)}


def is_users(function: Callable[..., int]) -> bool:
    """Return whether a step or a check is a user's own, not one of this package."""
    return not function.__module__.startswith("stress.")


def is_watched(design: Design) -> bool:
    """Return whether the steps of a design are held against the rules of steps while they are taken.

    The built-in designs are by the tests of this package, on every workload there. A step of the user's own is, and
    so is one of the library in a design whose programs are not all of one built-in design: an edit may leave out the
    lock that keeps its accesses together, and two designs may rely on different locks.
    """
    if any(is_users(function) for function in own_functions(design)):
        return True
    return not any(_is_part_of(design, designs.get(name)) for name in designs.names())


def _is_part_of(design: Design, whole: Design) -> bool:
    """Return whether all programs of a design are those that another one has for the same operations."""
    return all(whole.programs.get(name) == program for name, program in design.programs.items())


def own_functions(design: Design) -> list[Callable[..., int]]:
    """Return what a design brings along: steps that are in no built-in design, then holders, then checks."""
    return [f for f in design.steps if f not in library()] + [*design.holders, *design.checks]


@cache
def _own(functions: tuple[Callable[..., int], ...], holders: int, checks: int) -> tuple[int, Any]:
    """Return the address of a compiled function (number, m, r, record) -> result, and what must be kept for as long.

    It calls what a design brings along, by number, on watched words. The last ``checks`` functions are checks at rest:
    they are given scratch words for ``r``, or ``m`` alone. Before them come ``holders``, which are given a CPU's
    registers for ``r``, and after those the scratch words. A function that raises an exception returns `RAISED`.
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
    source += ["    m = watched_memory(words, record, 0)"]
    source += ["    r = watched_registers(registers, record, REGISTERS)"]
    source += ["    w = watched_registers(registers, record, words[NR_PAGES])"]
    source += [f"    behind = watched_registers(window(registers, {STRIDE}), record, words[NR_PAGES])"]
    for i, (key, function) in enumerate(zip(names, functions, strict=True)):
        call = f"return {key}(m, r)"
        if i >= len(functions) - checks:
            call = f"return place_of({key}({'m, w' if takes_scratch(function) else 'm'}))"
        elif i >= len(functions) - checks - holders:
            call = f"{key}({'m, r, behind' if takes_registers(function) else 'm, behind'})"
        source += [f"    if number == {i}:", "        try:", f"            {call}"]
        source += ["        except Exception:", f"            return {RAISED}"]
    source += ["    return 0", ""]
    with refused_in_words(functions, functions[len(functions) - checks :]):
        space = compiled_module(f"steps_{len(functions)}", "\n".join(source), dict(zip(names, functions, strict=True)))
    return int(space["take"].address), space


class _Table:
    """The addresses of the library's steps, compiled when a design first takes them; 0 for those none took."""

    def __init__(self, *, watched: bool) -> None:
        import numpy as np

        from stress.explore.model.primitives_compiled import STEP, WATCHED_STEP

        self._arguments = WATCHED_STEP if watched else STEP
        self._addresses = np.zeros(len(library()), np.int64)
        self.address = int(self._addresses.ctypes.data)

    def missing(self, steps: Iterable[StepFunction]) -> list[Callable[[], None]]:
        """Return the work for each of these steps that is neither in the table nor on disk: to compile it."""
        from stress.compiling.modules import is_on_disk

        return [
            partial(self.enter, step)
            for step in steps
            if self._addresses[library()[step]] == 0 and not is_on_disk(step, self._arguments)
        ]

    def enter(self, step: StepFunction) -> None:
        """See that a step is in the table: compile it, or read it from disk."""
        from stress.compiling.modules import pointer_to

        number = library()[step]
        if self._addresses[number] == 0:
            self._addresses[number] = pointer_to(step, self._arguments)


@cache
def _table(watched: bool) -> _Table:
    return _Table(watched=watched)


def _of_library(steps: Iterable[StepFunction]) -> list[StepFunction]:
    return [step for step in dict.fromkeys(steps) if step in library()]


def missing(design: Design, steps: Iterable[StepFunction], *, recorded: bool) -> list[Callable[[], None]]:
    """Return what is to be done before `addresses` takes no time, apart from compiling what the design brings along.

    What it is given is what `addresses` is.
    """
    return _table(recorded or is_watched(design)).missing(_of_library(steps))


def addresses(design: Design, steps: Iterable[StepFunction], *, recorded: bool) -> tuple[int, int]:
    """Addresses of a table of the library's steps and of what the design brings along, 0 when that is nothing.

    ``steps``: those that are going to be taken, of the library or the design's own. ``recorded``: whether the accesses
    of all steps are to be noted in the record, and not only where a design is watched.
    """
    for function in design.steps:
        info(function)
    own = tuple(own_functions(design))
    table = _table(recorded or is_watched(design))
    for step in _of_library(steps):
        table.enter(step)
    return table.address, _own(own, len(design.holders), len(design.checks))[0] if own else 0


def functions(design: Design) -> tuple[Sequence[StepFunction], Sequence[Callable[..., int]]]:
    """Return the same as plain Python: the library's steps and the design's own, by number."""
    own = own_functions(design)
    steps = own[: len(own) - len(design.holders) - len(design.checks)]
    checks = [f if takes_scratch(f) else _alone(f) for f in design.checks]
    return list(library()), [*steps, *map(_holding, design.holders), *checks]


def _holding(holder: Callable[..., Any]) -> StepFunction:
    """Return a holder, called as a step is: behind the registers lie the scratch words."""

    def add(m: Words, r: Words) -> int:
        scratch = window(r, STRIDE)
        holder(*((m, r, scratch) if takes_registers(holder) else (m, scratch)))
        return 0

    return add


def own_name(design: Design, number: int) -> str:
    """Return what to call a function that the design brings along: "step odd", "check leaks"."""
    function = own_functions(design)[number]
    return f"{'step' if function in design.steps else 'check'} {getattr(function, '__name__', 'of its own')}"


def _alone(check: Callable[..., int]) -> StepFunction:
    """Return a check of ``m`` alone, called as a step is."""
    return lambda m, r: check(m)
