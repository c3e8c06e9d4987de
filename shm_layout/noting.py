"""Memory in plain Python that notes each access in a record, as watched memory does in compiled code.

The operations of `shm_layout.atomic` ask `noted` for the words to act on, and thereby say what they are about to do.
A word that is reached by its index alone is noted as a plain load or store.

>>> from shm_layout.record import accesses, new_record
>>> record = new_record(300)
>>> m = NotingMemory([0] * 300, record)
>>> m[299] = 5
>>> accesses(record)
[Access(index=299, kind=1, half=0, value=5)]
"""

from __future__ import annotations

from shm_layout.record import (
    CHANGED,
    COUNT,
    ENTRIES,
    ENTRY,
    KIND_BITS,
    MOST,
    READ,
    WHOLE,
    WRITE,
)
from shm_layout.structs import FIRST_WORD
from shm_layout.words import Words


class NotingMemory:
    """Words whose accesses are noted in a record (`shm_layout.record`); constants of the layout are not."""

    __slots__ = ("record", "words")

    def __init__(self, words: Words, record: Words) -> None:
        """Note accesses to ``words`` in ``record``."""
        self.words, self.record = words, record

    def note(self, index: int, kind: int, half: int, value: int) -> None:
        """Enter an access; what is beyond `shm_layout.record.MOST` is counted and not kept."""
        number = min(self.record[COUNT], MOST - 1)
        self.record[COUNT] = self.record[COUNT] + 1
        entry = ENTRIES + ENTRY * number
        before = self.words[index] if index >= FIRST_WORD else 0
        for word, noted_word in enumerate((index, kind | half << KIND_BITS, value, before)):
            self.record[entry + word] = noted_word

    def __getitem__(self, index: int, /) -> int:
        """Return the word ``index``: a plain load."""
        if index >= FIRST_WORD:
            self.note(index, READ, WHOLE, 0)
        return self.words[index]

    def __setitem__(self, index: int, value: int, /) -> None:
        """Set it: a plain store."""
        self.note(index, WRITE, WHOLE, value)
        self.record[CHANGED] = self.record[CHANGED] | (self.words[index] ^ value)
        self.words[index] = value


def noted(m: Words, index: int, kind: int, half: int = WHOLE, value: int = 0) -> Words:
    """Return the words that an operation acts on, after noting its access where ``m`` is told of it."""
    if not isinstance(m, NotingMemory):
        return m
    m.note(index, kind, half, value)
    return m.words
