"""The number of each operation of a design, where there is room for it in a worker's block."""

from __future__ import annotations

from stress.design import OPERATIONS, Design
from stress.errors import UsageError
from stress.workers.loop.block import MAX_OPERATIONS


def operation_numbers(design: Design) -> dict[str, int]:
    """`Design.numbers`. Raises `UsageError` when there are too many operations."""
    own = len(design.programs.keys() - set(OPERATIONS))
    room = MAX_OPERATIONS - len(OPERATIONS)
    if own > room:
        raise UsageError(f"design {design.name} has {own} operations of its own; workers have room for {room}")
    return dict(design.numbers)
