"""The display of a run while it goes on: on stderr, and only where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stress.system.machine_notes import machine_notes
from stress.workers.records import Progress

Show = Callable[[Progress], None]


def say(text: str) -> None:
    """Print a line on stderr at once, on a terminal or not: why nothing is to be seen for some seconds."""
    print(f"pte-stress: {text}", file=sys.stderr, flush=True)


def say_notes() -> None:
    """Print what is different on this machine from the one that figures and placements are made for, on stderr."""
    for note in machine_notes():
        say(note)


@contextmanager
def live_progress() -> Iterator[Show]:
    """Yields what shows the progress of a run: operations a second by kind, rss true and as read."""
    if not sys.stderr.isatty():
        yield lambda progress: None
        return
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    def table(progress: Progress) -> Table:
        shown = Table(title=f"{progress.seconds:.1f} s", box=None)
        for column in ("operation", "per second"):
            shown.add_column(column, justify="left" if column == "operation" else "right")
        for name, n in progress.ops.items():
            shown.add_row(name, f"{n / progress.seconds:,.0f}")
        if progress.true_rss is not None:
            shown.add_row("rss of mm 0, true now", f"{progress.true_rss:,}")
            shown.add_row("rss of mm 0, last read", f"{progress.read_rss:,}")
        return shown

    with Live(console=Console(stderr=True), transient=True, refresh_per_second=4) as live:
        yield lambda progress: live.update(table(progress))
