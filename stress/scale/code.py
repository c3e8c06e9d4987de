"""The programs of a design as numbers, and their steps as one compiled function that notes each access.

Importing this module imports numba.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shm_layout.errors import UsageError
from stress.design import Design
from stress.design_rules import check_design
from stress.kernel.page_alloc import alloc_copy, alloc_zeroed_page
from stress.labels import outcomes
from stress.program import assemble
from stress.step import StepFunction, info

NO_WORK, CLEARS, COPIES = range(3)
"""Private work of a step: none, clearing a fresh page, copying a page."""

WORK: dict[StepFunction, int] = {alloc_zeroed_page: CLEARS, alloc_copy: COPIES}
"""Steps that stand for touching a whole page. All other work of a fault is spent on its entry and exit."""


class Code(NamedTuple):
    """Programs behind one another, a row of words for each step of each.

    A row: number of the step, its work, then where the row begins that follows each outcome. ``begins``: where the
    first row of an operation begins. ``address``: of the compiled function that takes a step by its number.
    ``kept``: what must live as long.
    """

    rows: NDArray[np.int64]
    begins: dict[str, int]
    address: int
    kept: Any
    steps: tuple[StepFunction, ...]


ROW_STEP, ROW_WORK, ROW_JUMP = range(3)


@cache
def _compiled(functions: tuple[StepFunction, ...]) -> Any:
    from stress.compiling.modules import compiled_module, refused_in_words

    names = [f"f{i}_{info(f).name}" for i, f in enumerate(functions)]
    source = ["from numba import types", "from shm_layout.watched import watched_memory"]
    source += ["W = types.CPointer(types.int64)"]
    source += ["@cfunc(types.int64(types.int64, W, W, W))", "def take(number, words_, r, record):"]
    source += ["    m = watched_memory(words_, record, 0)"]
    for i, name in enumerate(names):
        source += [f"    if number == {i}:", f"        return {name}(m, r)"]
    source += ["    return 0", ""]
    with refused_in_words(functions):
        return compiled_module(f"scale_{len(functions)}", "\n".join(source), dict(zip(names, functions, strict=True)))


def code_of(design: Design, operations: Sequence[str], arch: str = "64") -> Code:
    """Compile the operations of a design for the simulator.

    Raises `UsageError` for an operation that the design does not have, and for a step that breaks the rules of steps.
    """
    check_design(design)
    missing = [name for name in operations if name not in design.programs]
    if missing:
        raise UsageError(f"design {design.name} has no operation {missing[0]}")
    programs = {name: assemble(design.programs[name], arch) for name in operations}
    numbers: dict[StepFunction, int] = {}
    for program in programs.values():
        for function in program.steps:
            numbers.setdefault(function, len(numbers))
    rows: list[int] = []
    begins = {}
    width = ROW_JUMP + outcomes()
    for name, program in programs.items():
        first = begins[name] = len(rows)
        for function, jump in zip(program.steps, program.jump, strict=True):
            rows += [numbers[function], WORK.get(function, NO_WORK)]
            rows += [to if to < 0 else first + to * width for to in jump]
    space = _compiled(tuple(numbers))
    return Code(np.array(rows, np.int64), begins, int(space["take"].address), space, tuple(numbers))
