"""Steps as compiled functions chosen by number: those of the built-in designs once, those of a design on top.

The number of a step depends on the order of the designs' names and programs alone, so that all processes agree and
find the machine code on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from stress import designs
from stress.checks import takes_scratch
from stress.design import Design
from stress.step import StepFunction, info


@cache
def library() -> dict[StepFunction, int]:
    """The number of each step of the built-in designs."""
    found: dict[StepFunction, None] = {}
    for name in designs.names():
        found.update(dict.fromkeys(designs.get(name).steps))
    return {function: number for number, function in enumerate(found)}


def own_functions(design: Design) -> list[Callable[..., int]]:
    """What a design brings along: the steps that are in no built-in design, and behind them its checks."""
    return [f for f in design.steps if f not in library()] + list(design.checks)


@cache
def _compiled(name: str, functions: tuple[Callable[..., int], ...], checks: int) -> tuple[int, Any]:
    """The address of a compiled function (number, m, r) -> result, and what must be kept so that it stays valid.

    The last ``checks`` functions are checks at rest: they are given scratch words for ``r``, or ``m`` alone.
    """
    from stress.compile import compiled_module

    names = [f"f{i}_{getattr(f, '__name__', 'step')}" for i, f in enumerate(functions)]
    source = ["from numba import cfunc, types", "W = types.CPointer(types.int64)", ""]
    source += ["@cfunc(types.int64(types.int64, W, W), cache=True)", "def take(number, m, r):"]
    for i, (key, function) in enumerate(zip(names, functions, strict=True)):
        arguments = "m, r" if i < len(functions) - checks or takes_scratch(function) else "m"
        source += [f"    if number == {i}:", f"        return {key}({arguments})"]
    source += ["    return 0", ""]
    space = compiled_module(name, "\n".join(source), dict(zip(names, functions, strict=True)))
    return int(space["take"].address), space


def addresses(design: Design) -> tuple[int, int]:
    """Addresses of the library and of what the design brings along, 0 when that is nothing."""
    for function in design.steps:
        info(function)
    own = tuple(own_functions(design))
    return (
        _compiled("library", tuple(library()), 0)[0],
        _compiled(f"steps_{len(own)}", own, len(design.checks))[0] if own else 0,
    )


def functions(design: Design) -> tuple[Sequence[StepFunction], Sequence[Callable[..., int]]]:
    """The same as plain Python: the library's steps and the design's own, by number."""
    own = own_functions(design)
    return list(library()), [f if f in design.steps or takes_scratch(f) else _alone(f) for f in own]


def own_name(design: Design, number: int) -> str:
    """What to call a function that the design brings along: "step odd", "check leaks"."""
    function = own_functions(design)[number]
    return f"{'step' if function in design.steps else 'check'} {getattr(function, '__name__', 'of its own')}"


def _alone(check: Callable[..., int]) -> StepFunction:
    """A check of ``m`` alone, called as a step is."""
    return lambda m, r: check(m)
