"""Progress on a terminal, on stderr; nothing where stderr is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TypeVar

_T = TypeVar("_T")


def steps_shown(items: Sequence[_T], description: str) -> Iterator[_T]:
    """The items, with a progress bar while they are worked on, if there are any."""
    if not items or not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, description=description, console=Console(stderr=True), transient=True)
