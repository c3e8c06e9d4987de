"""`pte-stress live --pid`: sample running processes, and print, keep or draw what is seen."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from shm_layout.errors import UsageError
from stress.commands.json_output import echo_json
from stress.commands.live_watch_report import (
    draw_watch,
    prometheus_text,
    sample_head,
    sample_json,
    sample_lines,
    watch_summary,
)
from stress.live.reading.machine import page_size
from stress.live.watch import Sample, Watch
from stress.report.fitted import fitted
from stress.report.markup import STYLES
from stress.system.interrupts import until_interrupted
from stress.system.writing import write_file

Show = Callable[[Sequence[Sample]], None]


def _note(text: str) -> None:
    click.echo(text, err=True)


def _echo_objects(taken: Sequence[Sample]) -> None:
    for sample in taken:
        echo_json(sample_json(sample, page_size()))


@contextmanager
def _in_place() -> Iterator[Show]:
    """Show the newest sample of every process as one table that stays where it is."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(highlight=False), auto_refresh=False) as table:

        def show(taken: Sequence[Sample]) -> None:
            lines = [sample_head(), *sample_lines(taken, page_size())]
            table.update(Text("\n".join(lines), no_wrap=True), refresh=True)

        yield show


@contextmanager
def _shown(options: dict[str, Any]) -> Iterator[Show]:
    """Yield what prints samples: as JSON, CSV, a table that stays in place, or line by line."""
    if options["as_json"]:
        yield _echo_objects
    elif options["as_csv"]:
        head: list[str] = []

        def rows(taken: Sequence[Sample]) -> None:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            records = [sample_json(sample, page_size()) for sample in taken]
            if not head:
                head.extend(records[0])
                writer.writerow(head)
            writer.writerows(record.values() for record in records)

        yield rows
    elif options["table_format"] in STYLES:
        every: list[Sample] = []
        yield every.extend
        if every:
            rows_of_all = [sample_json(sample, page_size()) for sample in every]
            click.echo(fitted(rows_of_all, style=options["table_format"]))
    elif sys.stdout.isatty() and (len(set(options["pids"])) > 1 or options["tree"]):
        with _in_place() as show:
            yield show
    else:
        click.echo(sample_head())
        yield lambda taken: click.echo("\n".join(sample_lines(taken, page_size())))


def watch(context: click.Context, options: dict[str, Any]) -> None:
    """Print VmRSS and the page walk of running processes, side by side."""
    if options["as_json"] and options["as_csv"]:
        raise UsageError("--json and --csv exclude each other: give one")
    if options["until_exit"] and options["count"]:
        raise UsageError("--until-exit and --count exclude each other: give one")
    watched = Watch(options["pids"], tree=options["tree"], until_exit=options["until_exit"])
    with until_interrupted() as ended, _shown(options) as show:
        for taken in watched.run(options["interval"], options["count"], _note):
            show(taken)
            sys.stdout.flush()
            if options["prometheus"] is not None:
                write_file("--prometheus", options["prometheus"], prometheus_text(taken, page_size()).encode())
    if not watched.samples and not ended.is_set():
        raise UsageError("no sample was taken: every process ended before it could be read")
    if watched.samples and not options["as_json"] and not options["as_csv"]:
        click.echo("\n" + watch_summary(watched.samples, options["table_format"], page_size()))
    if watched.samples and options["plot"] is not None:
        draw_watch(options["plot"], watched.samples, page_size())
        _note(f"drawn in {options['plot']}")
    if ended.is_set():
        raise KeyboardInterrupt
    every = [abs(s.off(s.vmrss)) for taken in watched.samples.values() for s in taken]
    if options["fail_above"] is not None and max(every) > options["fail_above"]:
        context.exit(1)
