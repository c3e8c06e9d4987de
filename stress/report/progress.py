"""Progress on a terminal, on stderr; nothing where stderr is none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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


@contextmanager
def status_shown(text: str) -> Iterator[Callable[[Callable[[], str]], None]]:
    """Show a line while the block runs, and nothing of it afterwards.

    Yields what puts another text there: it is given a function, which is called where there is a terminal.
    """
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    from rich.console import Console

    with Console(stderr=True).status(text) as status:
        yield lambda text: status.update(text())
