"""The error for what a litmus file holds and this program does not support, with its place."""

from __future__ import annotations

from typing import NamedTuple

from shm_layout.errors import UsageError


class Place(NamedTuple):
    """Where something stands in a litmus file. Lines and columns count from 1."""

    line: int
    column: int


class Unsupported(UsageError):
    """A construct that is not supported, or is no litmus test at all: its reason, with line and column.

    Example: ``Unsupported("loops", Place(7, 3))`` is printed as "line 7, column 3: not supported: loops".
    """

    def __init__(self, reason: str, place: Place, what: str = "not supported") -> None:
        """Keep the reason and the place. ``what``: "not supported", or another verdict on the reason."""
        super().__init__(f"line {place.line}, column {place.column}: {what}: {reason}")
        self.place = place
