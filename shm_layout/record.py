"""The record of the accesses that a step makes to memory: where each note of it lies.

`shm_layout.atomic` is the only door to shared memory. Compiled code can be given memory that is *watched*
(`shm_layout.watched`): the same functions then note each access in a record, an array of words of its own, and refuse
an access that is out of bounds or writes a constant. Nothing is written by hand: what is recorded is what the
compiled step does.

The record's first words are numbered below. Behind them lie the accesses, `ENTRY` words each, and behind these a table
that names the stride constant of each field constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shm_layout.structs import FIRST_WORD, STRUCTS
from shm_layout.words import Words

COUNT = 0
"""Accesses since the record was cleared; those beyond `MOST` are counted and not kept."""
CHANGED = 1
"""Not 0 when an access has changed a word."""
REGISTERS_CHANGED = 2
"""Not 0 when a register was given another value."""
FAULT = 3
"""What is wrong with the first wrong access, one of the numbers below; 0 for nothing."""
FAULT_INDEX = 4
"""Index that the wrong access had, or the instance of a structure that is not there."""
LIMIT = 5
"""Words of the memory: an index lies below it."""
SPARE = 6
"""A word that wrong accesses are led to."""
FAULT_FIELD = 7
"""Constant of the field that a wrong stride or instance was given for."""
STEP = 8
"""For whoever takes steps: the number of the step under way, or of the one that was wrong."""
ENTRIES = 9
"""Index of the first access."""

ENTRY = 3
"""Words of an access: index of the word, kind and half, value written (0 for a read)."""
MOST = 64
"""Accesses that are kept."""
STRIDE_OF = ENTRIES + ENTRY * MOST
"""Index of the table of stride constants: 0 for a constant that is no field's."""
RECORD_WORDS = STRIDE_OF + FIRST_WORD

NO_FAULT, OUT_OF_BOUNDS, CONSTANT_WRITTEN, NO_REGISTER, WRONG_STRIDE, NO_INSTANCE, FAULTS = range(7)
"""What `FAULT` holds: what is wrong with an access. Whoever takes steps has faults of its own, from `FAULTS` on."""

READ, WRITE, READ_WRITE, COMPARE = range(4)
"""Kinds of access: a load; a store; an atomic operation that always writes; a compare and exchange."""
KIND_BITS = 2
WHOLE, LOW_HALF, HIGH_HALF = range(3)
"""Which part of a word an access reaches: the bits of an entry above its kind."""


@dataclass(frozen=True)
class Access:
    """One access: ``index`` of the word, ``kind`` and ``half`` by the numbers above, the ``value`` that it writes."""

    index: int
    kind: int
    half: int
    value: int


def new_record(words: int) -> list[int]:
    """Return the words of an empty record for a memory of ``words`` words."""
    record = [0] * RECORD_WORDS
    record[LIMIT] = words
    for struct in STRUCTS.values():
        for field in struct.fields:
            record[STRIDE_OF + field.constant] = struct.stride
    return record


def accesses(record: Words) -> Sequence[Access]:
    """Return the accesses that a record holds, in their order."""
    found = []
    for number in range(min(record[COUNT], MOST)):
        index, kind, value = (record[ENTRIES + ENTRY * number + word] for word in range(ENTRY))
        found.append(Access(index, kind & ((1 << KIND_BITS) - 1), kind >> KIND_BITS, value))
    return found
