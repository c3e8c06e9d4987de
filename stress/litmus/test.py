"""A litmus test as data: threads of instructions, initial values, a condition, a filter, and what is observed."""

from __future__ import annotations

from dataclasses import dataclass, field

from stress.litmus.conditions import Location, Proposition
from stress.litmus.instructions import Row
from stress.litmus.unsupported import Place

QUANTIFIERS = {"exists": "Allowed", "~exists": "Forbidden", "forall": "Required"}
"""Each quantifier, with the word that herd7 prints for it beside the name of the test."""


@dataclass
class Thread:
    """The program of one processor."""

    code: list[Row]
    """Instructions; the last is HALT. Jumps go forward."""
    places: list[Place]
    """Where in the file each instruction comes from."""
    registers: dict[str, int]
    """The registers that the test names, by name."""
    count: int
    """Number of registers, temporaries included."""
    initial: dict[int, int] = field(default_factory=dict)
    """Initial values of registers, where they are not 0."""


@dataclass
class Test:
    """A litmus test, whatever format it was written in."""

    __test__ = False  # not one of pytest's

    file: str
    name: str
    arch: str
    """"C", "X86" or "X86_64"."""
    words: list[str]
    """The names of the words of memory."""
    initial: list[int]
    """Their initial values."""
    threads: list[Thread]
    quantifier: str
    condition: Proposition
    filter: Proposition | None
    locations: list[Location]
    """What is printed of a final state, sorted; the condition's locations are among them."""
    locks: set[int] = field(default_factory=set)
    """Words that are spin locks."""
