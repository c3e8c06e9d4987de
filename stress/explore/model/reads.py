"""Which reads showed a value while workloads were explored: where none did, there was nothing to compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stress.explore.model.image import P_SEEN, SEEN_BOUNDED, SEEN_EXACT
from stress.explore.model.model import Model
from stress.kernel.proc import shows_nothing
from stress.operation import READS

_AT_REST = " at rest"


def reads_seen(model: Model, p: Any) -> dict[str, bool]:
    """Say of each read that came to an end whether one of its name showed a value. ``p``: the image of the search."""
    numbers = model.design.numbers
    named = [(SEEN_EXACT, model.design.exact_read), (SEEN_BOUNDED, model.design.bounded_read)]
    passes = [(number, f"{name}{_AT_REST}") for number, name in named]
    seen: dict[str, bool] = {}
    for number, name in (*((numbers[name], name) for name in READS if name in numbers), *passes):
        bits = int(p[P_SEEN]) >> (2 * number)
        if bits & 1:
            seen[name] = seen.get(name, False) or bool(bits & 2)
    return seen


def joined(found: Iterable[Mapping[str, bool]]) -> dict[str, bool]:
    """Join what several explorations saw."""
    seen: dict[str, bool] = {}
    for one in found:
        for name, shown in one.items():
            seen[name] = seen.get(name, False) or shown
    return seen


def unshown(reads: Mapping[str, bool]) -> list[str]:
    """Say which reads showed no value, in a sentence each: a name that showed none at all is named once."""
    silent = [name for name, shown in reads.items() if not shown]
    return [
        shows_nothing(name)
        for name in silent
        if not (name.endswith(_AT_REST) and name.removesuffix(_AT_REST) in silent)
    ]
