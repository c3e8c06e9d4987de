"""The functions that were declared as steps or as helpers; `stress.step` declares, the rules of steps look them up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shm_layout.words import Words

StepFunction = Callable[[Words, Words], int]


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


STEPS: dict[StepFunction, StepInfo] = {}
"""Every function declared with `stress.step.step`."""
HELPERS: list[Callable[..., object]] = []
"""Every function declared with `stress.step.helper`, in the order of their declaration."""


def helpers() -> list[Callable[..., object]]:
    """Return every function declared with `stress.step.helper`, in the order of their declaration."""
    return list(HELPERS)


def is_step(function: object) -> bool:
    """Return whether a function was declared as a step."""
    return function in STEPS
