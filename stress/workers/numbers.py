"""The number of each operation of a design: register R_OP holds it while the operation is under way."""

from __future__ import annotations

from stress.design import OPERATIONS, Design
from stress.workers.block import MAX_OPERATIONS


def operation_numbers(design: Design) -> dict[str, int]:
    """Operations of a design by name, each with its number (from 1), in the order of the numbers.

    The operations of `stress.design` keep their place in that table; those of a design's own come behind them.
    Raises `ValueError` when there are too many.
    """
    own = [name for name in design.programs if name not in OPERATIONS]
    names = [*OPERATIONS, *own]
    if len(names) > MAX_OPERATIONS:
        room = MAX_OPERATIONS - len(OPERATIONS)
        raise ValueError(f"design {design.name} has {len(own)} operations of its own; {room} fit")
    return {name: number for number, name in enumerate(names, 1) if name in design.programs}
