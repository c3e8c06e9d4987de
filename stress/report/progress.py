"""Show progress on stderr where that is a terminal, and nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

_T = TypeVar("_T")


def steps_shown(items: Iterable[_T], description: str, count: int) -> Iterator[_T]:
    """Yield the ``count`` items, with a progress bar while they are worked on, if there are any."""
    if not count or not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, description=description, total=count, console=Console(stderr=True), transient=True)


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


class Bar:
    """A progress bar, or nothing where there is no terminal."""

    def __init__(self, update: Callable[..., None]) -> None:
        """``update``: as `rich.progress.Progress.update`, of one task."""
        self._update = update

    def reached(self, done: int) -> None:
        """Show that so much is done."""
        self._update(completed=done)

    def one_more(self, next_is: str) -> None:
        """Show that one more is done, and what is done next."""
        self._update(advance=1, description=next_is)


@contextmanager
def bar_shown(total: int, text: str) -> Iterator[Bar]:
    """Show a bar while the block runs, and nothing of it afterwards: how much of ``total`` is done."""
    if not sys.stderr.isatty():
        yield Bar(lambda **_: None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Bar(partial(bar.update, bar.add_task(text, total=total)))
