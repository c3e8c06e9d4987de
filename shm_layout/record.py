"""The record of the accesses that a step makes to memory: where each note of it lies.

`shm_layout.atomic` is the only door to shared memory. Compiled code can be given memory that is *watched*
(`shm_layout.watched`): the same functions then note each access in a record, an array of words of its own, and refuse
an access that is out of bounds or writes a constant. Nothing is written by hand: what is recorded is what the
compiled step does.

The record's first words are numbered below. After them lie the accesses, `ENTRY` words each, and after these a table
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
FAULT = 2
"""What is wrong with the first wrong access, one of the numbers below; 0 for nothing."""
FAULT_INDEX = 3
"""Index that the wrong access had, or the instance of a structure that is not there."""
LIMIT = 4
"""Words of the memory: an index lies below it."""
SPARE = 5
"""A word that wrong accesses are led to."""
FAULT_FIELD = 6
"""Constant of the field that a wrong stride or instance was given for, or the number that is no field."""
STEP = 7
"""For an engine that takes steps: the number of the step under way, or of the one that was wrong."""
NOTED = 8
"""1 where plain Python notes accesses, too (`shm_layout.noting`); compiled code does on memory that is watched."""
REGISTERS_READ = 9
"""A bit for each register that was read, its number."""
ENTRIES = 10
"""Index of the first access."""

ENTRY = 4
"""Words of an access: index of the word, kind and half, value written (0 for a read), what the word held before.

A barrier is noted as an access to word 0, which is no word that a run may change.
"""
MOST = 64
"""Accesses that are kept."""
STRIDE_OF = ENTRIES + ENTRY * MOST
"""Index of the table of stride constants: 0 for a constant that is no field's."""
RECORD_WORDS = STRIDE_OF + FIRST_WORD

NO_FAULT, OUT_OF_BOUNDS, CONSTANT_WRITTEN, NO_REGISTER, NO_FIELD, WRONG_STRIDE, NO_INSTANCE, FAULTS = range(8)
"""What `FAULT` holds: what is wrong with an access. An engine that takes steps has its own faults, from `FAULTS` on."""

READ, WRITE, READ_WRITE, COMPARE, RELEASE, FULL_BARRIER, WRITE_BARRIER = range(7)
"""Kinds of access: a load; a store; an atomic operation that always writes; a compare and exchange; a store with
release order; and two that reach no word: smp_mb and smp_wmb."""
KIND_BITS = 3
KIND = (1 << KIND_BITS) - 1
"""The bits of an entry's second word that say the kind."""
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
        index, kind, value, _ = (record[ENTRIES + ENTRY * number + word] for word in range(ENTRY))
        found.append(Access(index, kind & KIND, kind >> KIND_BITS, value))
    return found
