"""What a step is: one small function ``(m, r) -> outcome``, and the outcomes it can have.

``m`` is the memory that all CPUs see, ``r`` the registers of the CPU that takes the step. A step makes at
most one access to ``m`` that matters to another CPU, through `shm_layout.atomic`; constants of the layout
are read from ``m`` directly. What stands for a piece of the kernel whose own locking is not in question
(the page allocator, the LRU's lists, the swap cache) is one step although it takes several accesses.

Steps are plain Python. They are compiled by `stress.compiling.modules` for the workers and for the explorer, and run as
they are where speed does not matter.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, ParamSpec, TypeVar, overload

from stress.declarations import HELPERS, STEPS
from stress.declarations import StepFunction as StepFunction  # noqa: PLC0414
from stress.declarations import StepInfo as StepInfo  # noqa: PLC0414
from stress.declarations import helpers as helpers  # noqa: PLC0414
from stress.labels import LabelInfo as LabelInfo  # noqa: PLC0414
from stress.labels import label as label  # noqa: PLC0414
from stress.labels import label_info as label_info  # noqa: PLC0414
from stress.labels import labels as labels  # noqa: PLC0414
from stress.labels import outcomes as outcomes  # noqa: PLC0414
from stress.step_rules import Reading, RuleBroken, check_body, check_signature, goes_on, is_own
from stress.system.callable_module import make_callable

_P = ParamSpec("_P")
_T = TypeVar("_T")

NEXT = 0
"""Go on to the step that follows."""
DONE = 1
"""The operation ends here."""
WAIT = 2
"""Not enabled: nothing in ``m`` was changed; try again later."""


_sources: dict[StepFunction, str] = {}
"""Of the user's steps: their files may be edited before its source is asked for."""
_cells: dict[StepFunction, tuple[Any, ...]] = {}
"""Of the user's steps: what they took from the function around them when they were declared."""


@overload
def step(function: StepFunction, /) -> StepFunction: ...
@overload
def step(
    *, private: bool = False, waits: bool = False, whole: str = ""
) -> Callable[[StepFunction], StepFunction]: ...
def step(
    function: StepFunction | None = None, /, *, private: bool = False, waits: bool = False, whole: str = ""
) -> StepFunction | Callable[[StepFunction], StepFunction]:
    """Declare a function as a step. It stays a plain function.

    ``private``: it touches registers alone. ``waits``: it may return `WAIT`. ``whole``: for a step that stands for a
    piece of the kernel whose own locking is not in question, such as the page allocator: what keeps its accesses
    together. Without it the explorer refuses a step that makes several accesses where another CPU can come between.

    Raises `TypeError` for a private step that waits: what it waits for changes in ``m``, which it does not touch;
    `RuleBroken` for what cannot be a step: a generator, a lambda, a function of other arguments than ``(m, r)``.
    """

    def declare(f: StepFunction) -> StepFunction:
        if private and waits:
            raise TypeError(f"step {getattr(f, '__name__', 'step')} is private and waits: it can be one of both only")
        if not is_own(f):
            check_signature(f, "step", (2,))
            with contextlib.suppress(OSError, TypeError):  # said when its outcomes are asked for
                _sources[f] = inspect.getsource(f)
            _cells[f] = _cell_contents(f)
        STEPS[f] = StepInfo(getattr(f, "__name__", "step"), private, waits, whole)
        return f

    return declare if function is None else declare(function)


_EMPTY = object()


def _cell_contents(function: StepFunction) -> tuple[Any, ...]:
    found: list[Any] = []
    for cell in getattr(inspect.unwrap(function), "__closure__", None) or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:
            found.append(_EMPTY)
    return tuple(found)


def helper(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Declare a function that steps call, so that it is compiled with them. It stays a plain function."""
    if not is_own(function):
        check_signature(function, "helper", None)
    HELPERS.append(function)
    return function


def info(function: StepFunction) -> StepInfo:
    """Return what was declared of a step.

    Raises `RuleBroken`, a `TypeError`, for a function that is no step.
    """
    try:
        return STEPS[function]
    except (KeyError, TypeError):
        name = getattr(function, "__name__", repr(function))
        raise RuleBroken(f"{name} is no step: declare it with @step from stress.step") from None


_RETURN = "return NEXT, DONE, WAIT or a label"


@cache
def possible_outcomes(function: StepFunction) -> frozenset[int]:
    """Return the outcomes that a step can have, read off the names in its return statements.

    Raises `RuleBroken`, a `TypeError`, for a step that returns anything but outcomes by their names, that can end
    without one, or that breaks another rule of `stress.step_rules`.
    """
    declared = info(function)
    reading = Reading(function, "step", _sources.get(function))
    if not is_own(function):
        cells = zip(reading.code.co_freevars, _cells[function], _cell_contents(function), strict=True)
        for name, before, now in cells:
            if before is not now and before is not _EMPTY:
                said = f"takes {name} from around it, which was {before!r} there and is {now!r} now"
                reading.refuse(None, f"{said}: make each step by a call of a function that takes {name}")
    found = set()
    for node, value in reading.returns():
        outcome = reading.resolve(value) if isinstance(value, ast.Name) else None
        if type(outcome) is not int or not 0 <= outcome < outcomes():
            said = "nothing" if value is None else ast.unparse(value)
            reading.refuse(node, f"returns {said}: {_RETURN}, by its name")
        if outcome == WAIT and declared.private:
            reading.refuse(node, "is private and may return WAIT: leave private out, and write @step(waits=True)")
        if outcome == WAIT and not declared.waits:
            reading.refuse(node, "returns WAIT: declare it with @step(waits=True)")
        found.add(outcome)
    if not is_own(function):
        check_body(reading)
    if goes_on(reading.tree.body):
        reading.refuse(None, f"can end without an outcome: {_RETURN} on every path")
    if not found:
        reading.refuse(None, f"never returns: {_RETURN}")
    return frozenset(found)


make_callable(__name__)
