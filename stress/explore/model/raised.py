"""What a step or a check raised: a failed assertion is a broken check, any other exception an error of the design.

Compiled code says only that something was raised. What it was is seen when the schedule is taken again in plain
Python (`stress.explore.counterexample.trace`), where the same function raises it.
"""

from __future__ import annotations

from pathlib import Path
from traceback import extract_tb

from shm_layout.errors import UsageError


class DesignError(UsageError):
    """A step or a check of a design raised an exception that is no failed assertion."""


def told(error: Exception) -> str:
    """Return an exception with the function and the line that it comes from, as a sentence has it."""
    frame = extract_tb(error.__traceback__)[-1]
    said = " ".join(str(error).split())
    message = f"{type(error).__name__}: {said}" if said else type(error).__name__
    if isinstance(error, AssertionError):
        message = f"assert {said}" if said else f"{frame.line}"
    return f"{message} ({Path(frame.filename).name}, line {frame.lineno}, in {frame.name})"
