"""The command `pte-stress table`: faults by number of workers, in the columns of 2004."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from shm_layout.errors import UsageError
from stress.commands.options import (
    MOST_WORKERS,
    arch_option,
    format_option,
    json_option,
    placement_option,
    plot_option,
    seed_option,
)
from stress.report.words import did_you_mean, plural
from stress.system.cpus import available_cores
from stress.workers.table import PAGES_PER_GB, Given, Row, measure

if TYPE_CHECKING:
    from collections.abc import Callable


COLUMNS = ("Gb", "Rep", "Threads", "User", "System", "Wall", "flt/cpu/s", "fault/wsec")
FORMATS = ("g", "d", "d", ".2f", ".2f", ".2f", ".3f", ".3f")


def worker_counts(text: str | None, cores: int) -> list[int]:
    """Numbers of workers from ``1,2,4``; by default 1, 2, 4, ... up to the cores. Raises `UsageError`."""
    if text is None:
        most = min(cores, MOST_WORKERS)
        powers = [1 << i for i in range(most.bit_length())]
        return powers if powers[-1] == most else [*powers, most]
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--workers {text!r}: give numbers as in 1,2,4") from None
    if any(not 1 <= n <= MOST_WORKERS for n in counts):
        raise UsageError(f"--workers {text}: each number is 1 to {MOST_WORKERS}")
    return counts


def total_pages(gb: float | None, pages: int | None) -> int:
    """Pages to touch, from --gb or --pages. Raises `UsageError`."""
    if gb is not None and pages is not None:
        raise UsageError("give --gb or --pages, not both")
    if pages is not None:
        return pages
    size = 4.0 if gb is None else gb
    if not 1 / PAGES_PER_GB <= size < math.inf:
        raise UsageError(f"--gb {size:g}: at least one page, {1 / PAGES_PER_GB:g}")
    return round(size * PAGES_PER_GB)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    """A bar on a terminal; yields what is told of each repetition, with what is being measured."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("starting", total=total)
        yield lambda what: bar.update(task, advance=1, description=what)


def _format_rows(rows: list[Row], style: str) -> str:
    from stress.report.fitted import fitted

    shown = [[format(value, f) for value, f in zip(row, FORMATS, strict=True)] for row in rows]
    return fitted(shown, COLUMNS, style=style, disable_numparse=True, colalign=["right"] * 8)


@click.command()
@click.option(
    "--design",
    "design_name",
    default="v12_sound",
    show_default=True,
    metavar="NAME",
    help="Design to measure: its name, or your own as my_design.py:MINE.",
)
@click.option("--workers", metavar="N,N,...", help="Numbers of workers  [default: 1,2,4,... up to the cores]")
@click.option("--gb", type=float, metavar="N", help="Memory to touch in all, GiB of 4 KiB pages  [default: 4]")
@click.option("--pages", type=click.IntRange(1), metavar="N", help="The same in pages.")
@click.option("--rep", type=click.IntRange(1), default=10, show_default=True, help="How often.")
@click.option(
    "--kind",
    default="anon-write",
    show_default=True,
    metavar="NAME",
    help="Kind of fault: anon-write, anon-read, cow, file, swap-in, or mixed.",
)
@arch_option
@placement_option
@plot_option
@seed_option
@json_option
@format_option
def table(**options: Any) -> None:
    """Faults by number of workers, in the columns of 2004.

    One row is: touch so much memory, so often, from so many workers, each in its own part of one address space. User
    and System are CPU seconds of the workers, Wall is the time from their start to the last one's end; making the
    memory untouched again is not counted. The seed decides in which order the kinds of "mixed" take turns.
    """
    kind, arch, placement, seed, rep = (options[name] for name in ("kind", "arch", "placement", "seed", "rep"))
    counts = worker_counts(options["workers"], cores := available_cores())
    size = total_pages(options["gb"], options["pages"])
    from stress.commands.run_progress import say
    from stress.resolve import resolve_design
    from stress.workers.fault_kinds import KINDS
    from stress.workers.server.client import ForkServer

    if kind not in KINDS:
        raise UsageError(f"no kind of fault {kind!r}{did_you_mean(kind, KINDS)}")
    design = resolve_design(options["design_name"])
    if "fault" not in design.programs:
        raise UsageError(f"design {design.name} has no operation fault")
    if size < max(counts):
        raise UsageError(f"{size} pages for {max(counts)} workers: at least one page each")
    rows: list[Row] = []
    ended: BaseException | None = None
    try:
        with (
            ForkServer(lambda: say(f"compiling {design.name} for arch {arch}, once ...")) as server,
            _progress(len(counts) * rep) as tell,
        ):
            for n in counts:
                given = Given(n, size, rep, arch, placement, seed)
                now = partial(tell, f"{design.name}, {kind}, {plural(n, 'worker')}")
                rows.append(measure(design, kind, given, server, now))
    except KeyboardInterrupt as interrupt:
        ended = interrupt  # what was measured is printed all the same
    except Exception as error:
        if not rows:
            raise
        ended = error
    if options["as_json"]:
        click.echo(json.dumps({"design": design.name, "rows": [row._asdict() for row in rows]}))
    else:
        from stress.report.fitted import fitted_text

        click.echo(fitted_text(f"design {design.name}, {kind}, arch {arch}, placement {placement}, seed {seed}"))
        click.echo(_format_rows(rows, options["table_format"]))
        if max(counts) > cores:
            note = f"This machine has {cores} cores: rows with more workers share them, and show no scaling."
            click.echo(fitted_text(note))
    if options["plot"] is not None and rows:
        from stress.report.plot import draw_table

        rates = {row.threads: row.fault_wsec for row in rows}
        draw_table(options["plot"], {design.name: rates}, f"{kind}, arch {arch}", f"a machine with {cores} cores")
    if ended is not None:
        raise ended
