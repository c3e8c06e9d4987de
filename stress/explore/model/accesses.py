"""What several files ask of a recorded access, and what may be wrong with the accesses of a step."""

from __future__ import annotations

from shm_layout.record import FAULTS, KIND_BITS
from shm_layout.words import Words
from stress.explore.model.image import P_SHADOWS
from stress.explore.model.primitives import window
from stress.step import helper

PRIVATE_ACCESS, CHANGED_BEFORE_WAIT, TORN, CHECK_WRITES, TOO_MANY = range(FAULTS, FAULTS + 5)
"""Faults of steps beyond those of an access: a private step's access; a change before WAIT; several accesses between
which another CPU can come; a check that writes; more accesses than a record keeps."""


@helper
def is_shadow(p: Words, index: int) -> bool:
    """Return whether a word is kept beside the design, which does not read it."""
    ranges = window(p, p[P_SHADOWS])
    found = False
    for i in range(ranges[0]):
        found |= ranges[1 + 2 * i] <= index < ranges[2 + 2 * i]
    return found


@helper
def same_place(kind: int, other: int) -> bool:
    """Return whether two accesses to one word reach the same half of it."""
    half = kind >> KIND_BITS
    other_half = other >> KIND_BITS
    return half == 0 or other_half in (0, half)
