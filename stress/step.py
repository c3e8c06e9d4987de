"""What a step is: one small function ``(m, r) -> outcome``, and the outcomes it can have.

``m`` is the memory that all CPUs see, ``r`` the registers of the CPU that takes the step. A step makes at
most one access to ``m`` that matters to another CPU, through `shm_layout.atomic`; constants of the layout
are read from ``m`` directly. What stands for a piece of the kernel whose own locking is not in question
(the page allocator, the LRU's lists, the swap cache) is one step although it takes several accesses.

Steps are plain Python. They are compiled by `stress.compile` for the workers and for the explorer, and run as
they are where speed does not matter.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import ParamSpec, TypeVar, overload

from shm_layout.words import Words

StepFunction = Callable[[Words, Words], int]
_P = ParamSpec("_P")
_T = TypeVar("_T")

NEXT = 0
"""Go on to the step that follows."""
DONE = 1
"""The operation ends here."""
WAIT = 2
"""Not enabled: nothing in ``m`` was changed; try again later."""

_FIRST_LABEL = 3


@dataclass(frozen=True)
class StepInfo:
    """What is known of a step beside its code.

    ``private``: it touches registers alone, so it is no scheduling point. ``waits``: it may return `WAIT`.
    ``whole``: what keeps its accesses together where it makes more than one, "" where nothing does.
    """

    name: str
    private: bool
    waits: bool
    whole: str = ""


@dataclass(frozen=True)
class LabelInfo:
    """A label: its name, whether a jump to it goes back (a loop) or forward, and whether a section begins."""

    name: str
    back: bool
    section: bool


_steps: dict[StepFunction, StepInfo] = {}
_sources: dict[StepFunction, str] = {}
"""Of the user's steps: their files may be edited before anybody asks."""
_helpers: list[Callable[..., object]] = []
_labels: list[LabelInfo] = []


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

    Raises `TypeError` for a private step that waits: what it waits for changes in ``m``, which it does not touch.
    """

    def declare(f: StepFunction) -> StepFunction:
        if private and waits:
            raise TypeError(f"step {getattr(f, '__name__', 'step')} is private and waits: it can be one of both only")
        _steps[f] = StepInfo(getattr(f, "__name__", "step"), private, waits, whole)
        if not f.__module__.startswith("stress."):
            with contextlib.suppress(OSError, TypeError):  # said when somebody asks what it returns
                _sources[f] = inspect.getsource(f)
        return f

    return declare if function is None else declare(function)


def helper(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Declare a function that steps call, so that it is compiled with them. It stays a plain function."""
    _helpers.append(function)
    return function


def helpers() -> list[Callable[..., object]]:
    """Every function declared with `helper`, in the order of their declaration."""
    return list(_helpers)


def info(function: StepFunction) -> StepInfo:
    """What was declared of a step.

    Raises `TypeError` for a function that is no step.
    """
    try:
        return _steps[function]
    except (KeyError, TypeError):
        name = getattr(function, "__name__", repr(function))
        raise TypeError(f"{name} is no step: declare it with @step from stress.step") from None


def label(name: str, *, back: bool = False, section: bool = False) -> int:
    """Declare a label and return the outcome that jumps to it.

    A jump goes to the nearest place with that label behind the step (``back``: before it), so a fragment
    of a program can use a label of its own wherever it is put. A ``section`` is a part of a program that
    an edit can be confined to.
    """
    for i, known in enumerate(_labels):
        if known == LabelInfo(name, back, section):
            return _FIRST_LABEL + i
    _labels.append(LabelInfo(name, back, section))
    return _FIRST_LABEL + len(_labels) - 1


def labels() -> tuple[LabelInfo, ...]:
    """All labels, in the order of their declaration, which is that of their outcomes."""
    return tuple(_labels)


def label_info(outcome: int) -> LabelInfo:
    """The label that an outcome jumps to."""
    return _labels[outcome - _FIRST_LABEL]


def _returned(function: StepFunction) -> Iterator[ast.expr]:
    tree = ast.parse(textwrap.dedent(_sources.get(function) or inspect.getsource(function)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Return) and node.value is not None:
            pending = [node.value]
            while pending:
                value = pending.pop()
                if isinstance(value, ast.IfExp):
                    pending += [value.body, value.orelse]
                else:
                    yield value


@cache
def possible_outcomes(function: StepFunction) -> frozenset[int]:
    """The outcomes that a step can have, read off the names in its return statements.

    Raises `TypeError` for a step that returns anything but outcomes by their names.
    """
    found = set()
    for value in _returned(function):
        if isinstance(value, ast.Name):
            outcome = inspect.unwrap(function).__globals__.get(value.id)
            if isinstance(outcome, int) and 0 <= outcome < outcomes():
                found.add(outcome)
                continue
        raise TypeError(f"step {info(function).name} returns {ast.unparse(value)}: return NEXT, DONE, WAIT or a label")
    return frozenset(found)


def outcomes() -> int:
    """Number of outcomes declared so far: they are 0 to this number - 1."""
    return _FIRST_LABEL + len(_labels)


# The labels of this package get the lowest numbers, whatever a user's file declares: machine code on disk knows them.
import stress.labels  # noqa: E402, F401
