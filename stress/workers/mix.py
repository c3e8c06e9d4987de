"""A mix of operations: how often each is drawn, as weights."""

from __future__ import annotations

from collections.abc import Mapping

from shm_layout.errors import UsageError
from stress.design import Design
from stress.operation import KINDS, OPERATIONS
from stress.report.words import did_you_mean

MOST_WEIGHT = 1e9
"""Of an operation: what is a billion times rarer is never drawn."""

DRAWS = 1 << 30
"""Draws are numbers from 0 to this - 1."""


OWN = 5.0
"""Weight of an operation of a design's own: a check holds for what was performed alone."""


def default_mix(design: Design) -> dict[str, float]:
    """Return the default weights that a design is stressed with, those of its own operations last.

    An exit undoes a fork or a clone and does nothing at the bottom, so there are more of them than of both together.
    """
    known = {name: kind.run_weight for name, kind in KINDS.items() if name in design.programs and kind.run_weight}
    own = {name: OWN for name in design.programs if name not in OPERATIONS and name not in known}
    return {**known, **own}


def parse_mix(text: str, design: Design) -> dict[str, float]:
    """Return a mix such as ``fault=60,zap=10``. Raises `UsageError` when it is none, or chooses nothing."""
    mix: dict[str, float] = {}
    for part in text.split(","):
        name, separator, weight = part.strip().partition("=")
        if not separator:
            raise UsageError(f"mix: {part.strip()!r} is no weight; give it as fault=60,zap=10")
        if name.strip() in mix:
            raise UsageError(f"mix: {name.strip()} is named twice; give it one weight")
        try:
            mix[name.strip()] = float(weight)
        except ValueError:
            raise UsageError(f"mix: {weight!r} is no number; give it as fault=60,zap=10") from None
    check_mix(mix, design)
    return mix


def check_mix(mix: Mapping[str, float], design: Design) -> None:
    """Raise `UsageError` for an operation that the design does not have, or weights that choose nothing."""
    for name, weight in mix.items():
        if name not in design.programs:
            raise UsageError(f"design {design.name} has no operation {name!r}{did_you_mean(name, design.programs)}")
        if not 0 <= weight <= MOST_WEIGHT:
            raise UsageError(f"mix: the weight of {name} is {weight:g}; it is 0 to {MOST_WEIGHT:g}")
    if sum(mix.values()) <= 0:
        raise UsageError("mix: every weight is 0; give one operation a weight above 0")


def thresholds(mix: Mapping[str, float], numbers: Mapping[str, int], size: int) -> list[int]:
    """For each operation's place (number - 1) the draws below which it, or one before it, is chosen."""
    total = sum(mix.values())
    below = 0.0
    result = [0] * size
    names = {number: name for name, number in numbers.items()}
    for place in range(size):
        below += mix.get(names.get(place + 1, ""), 0)
        result[place] = round(DRAWS * below / total)
    return result
