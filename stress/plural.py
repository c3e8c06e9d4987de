"""Numbers of things, as they are said."""

from __future__ import annotations


def plural(number: int, one: str, several: str | None = None) -> str:
    """``1 worker``, ``2 workers``; ``several``: where an s behind the noun will not do."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"
