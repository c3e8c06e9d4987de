"""Values of words and registers: whole numbers, and addresses of words, which equal no number."""

from __future__ import annotations

FIRST_ADDRESS = 1 << 40
"""The address of word 0. Numbers of a test stay far below it."""
ADDRESS_STEP = 1 << 20
"""Between the addresses of two words."""
MOST_NUMBER = 1 << 33
"""Numbers lie above its negative and below it; a result outside is not supported."""


def address(word: int) -> int:
    """Return the value that stands for the address of a word."""
    return FIRST_ADDRESS + word * ADDRESS_STEP


def word_at(value: int) -> int | None:
    """Return the word whose address a value is; None for a number."""
    return (value - FIRST_ADDRESS) // ADDRESS_STEP if value >= FIRST_ADDRESS else None
