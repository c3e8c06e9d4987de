"""The type of the memory that steps act on: words of 64 bits, reached by their index."""

from __future__ import annotations

from typing import Protocol


class Words(Protocol):
    """Anything indexable that holds signed 64-bit words: an int64 array of numpy, or a list.

    Indices count words (8 bytes), never bytes.
    """

    def __getitem__(self, index: int, /) -> int:
        """Return the word at ``index``."""

    def __setitem__(self, index: int, value: int, /) -> None:
        """Store ``value``, which fits in 64 bits, at ``index``."""
