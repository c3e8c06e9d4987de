"""Format a count with its noun, and suggest the name that a user may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def plural(number: int, one: str, several: str | None = None) -> str:
    """Format a count with its noun: ``1 worker``, ``2 workers``.

    ``several``: the plural, where an s at the end of the noun will not do.
    """
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest a known name for a misspelt one: ``; did you mean X?``, or all names when none is near."""
    known = list(known)
    near = difflib.get_close_matches(name.lower(), known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; there is {', '.join(known)}"
