"""The command `pte-stress soak`: designs in turn for as long as told, from seconds to days.

    pte-stress soak --hours 8
    pte-stress soak --minutes 5 --designs v12_sound,my_design.py:MINE

Each round is one `pte-stress run` in a process of its own, with a new seed that decides everything else: arch,
number of workers, pages, placement and mix. A round is one line of JSON at the end of the log (``--log``, default
soak.jsonl). Started again with the same log, it goes on where it was stopped: with the next round, and the totals so
far. Each failure is kept as one file in the folder beside the log: what `pte-stress run --save` wrote, or for a round
that did not end by itself its command and last words.

Disk is bounded: a log that has grown beyond ``--most-mb`` becomes soak.jsonl.1, in the place of an older one, and a
new log begins with the totals; beyond ``--most-failures`` failures are counted and no longer kept. Ctrl-C, SIGTERM
and SIGHUP end it after the round under way has been broken off, with the summary. Exit status: 0 no failure in all
rounds of the log, 1 some, 2 wrong usage, 3 the machine cannot do it, 130 ended by a signal.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shm_layout.errors import MachineError, UsageError
from stress import designs
from stress.commands.cases import Judged, case_options, judged
from stress.commands.json_output import results_option, told_as_json
from stress.commands.options import SEEDS, dask_option
from stress.commands.pictures import command_line, html_option, write_report
from stress.commands.soak_log import NO_END, Log, Sums
from stress.commands.soak_round import INTERRUPTED, Round, Stop, play_round
from stress.design import Design
from stress.report.case import BROKEN, HOLDS, Case
from stress.report.color import painted
from stress.report.words import plural
from stress.resolve import resolve_design

if TYPE_CHECKING:
    from stress.report.report import Report

LIMITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}


MOST_LINKS = 200
"""Failures that the page of a soak leads to."""


def _figures(sums: Sums) -> dict[str, Any]:
    return {k: v for k, v in asdict(sums).items() if k != "broken"}


def _judged(options: dict[str, Any], log: Log) -> Judged:
    """The designs as cases, one for each check that broke, held against --known."""
    cases = []
    for name, sums in sorted(log.sums.items()):
        counted = sums.failures - sum(sums.broken.values())
        broken = {**sums.broken, **({NO_END: counted} if counted > 0 else {})}  # of logs that did not say which
        for check, rounds in broken.items():
            says = f"in {rounds:,} of {sums.rounds:,} rounds; failures are in {log.failures_folder}"
            cases.append(Case(name, check, BROKEN, says, {"design": name, "check": check}))
        if not broken:
            cases.append(Case(name, f"{sums.rounds:,} rounds", HOLDS))
    return judged(options, cases)


def _report(log: Log, command: str) -> Report:
    from stress.report.plot import Bars
    from stress.report.report import Link, Report, Section, Table, plots

    rates = {name: s.operations / s.seconds for name, s in sorted(log.sums.items()) if s.seconds}
    rows = [
        {"design": name, **_figures(s), "operations a second": round(rates[name]) if name in rates else None}
        for name, s in sorted(log.sums.items())
    ]
    picture = plots("Operations a second", Bars("Operations a second", "operations a second", rates)) if rates else []
    sections = [Section("Designs", [Table(rows)] if rows else [], picture)]
    if kept := sorted(log.failures_folder.iterdir())[:MOST_LINKS]:
        links = [{"failure": Link(path.name, path.absolute().as_uri())} for path in kept]
        before = ["A file is for `pte-stress hunt --from`, which looks for what can be replayed."]
        sections.append(Section("Failures", [Table(links)], before=before))
    verdict = f"{plural(log.failures, 'failure')} in {plural(log.rounds, 'round')}"
    return Report("A soak", command, sections, lead="Designs stressed in turn.", verdict=verdict, ok=not log.failures)


def _told(record: dict[str, Any]) -> str:
    if record["ok"]:
        return f"holds, {record['operations']:,} operations"
    why = ", ".join(record["broken"]) or (
        "killed: no end" if record["status"] is None else f"status {record['status']}"
    )
    return f"FAILED: {why}; kept in {record['failure'] or 'no file any more'}"


def play_here(log: Log, rounds: Iterator[tuple[Design, Round]], stop: Stop) -> Iterator[dict[str, Any]]:
    """Play rounds one after the other, and yield their records."""
    for design, given in rounds:
        number = log.rounds
        click.echo(f"round {number}: {given.named}, seed {given.seed}: ", nl=False)
        yield play_round(number, design, given, log.failure(number), stop)


def drawn_rounds(
    log: Log, turns: Sequence[tuple[str, Design]], limit: float, round_seconds: float, stop: Stop
) -> Iterator[tuple[Design, Round]]:
    """Yield rounds until the time is over or the user stops it. ``turns``: designs in turn, as they were named."""
    end = time.monotonic() + limit
    for turn in count(log.rounds):
        left = end - time.monotonic()
        if stop.asked or left <= 0:
            return
        name, design = turns[turn % len(turns)]
        seconds = round(min(round_seconds, max(left, 0.1)), 3)
        yield design, Round(name, random.SystemRandom().randrange(SEEDS), seconds)


def keep(log: Log, records: Iterator[dict[str, Any]], most_failures: int, stop: Stop) -> None:
    """Write the records of rounds into the log as they come, and say what became of each."""
    for record in records:
        if record["failure"] and log.failures >= most_failures:
            Path(record["failure"]).unlink()
            record["failure"] = None
        if record["status"] != INTERRUPTED or record["operations"]:
            click.echo(painted(_told(record)))
            log.append(record)
            told_as_json(False, partial(dict, record))
        if record["status"] == INTERRUPTED:  # by whomever
            stop.asked = True


@click.command()
@click.option("--seconds", type=click.FloatRange(0), default=0.0)
@click.option("--minutes", type=click.FloatRange(0), default=0.0)
@click.option("--hours", type=click.FloatRange(0), default=0.0)
@click.option("--days", type=click.FloatRange(0), default=0.0, help="How long, all four added up.")
@click.option("--designs", "chosen", metavar="NAME,...", help="Designs in turn  [default: all that are sound]")
@click.option("--round-seconds", type=click.FloatRange(0.1), default=10.0, show_default=True, help="Length of a run.")
@click.option(
    "--log",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    default="soak.jsonl",
    show_default=True,
    help="Where each round is a line; failures lie in the folder beside it.",
)
@click.option("--most-mb", type=click.FloatRange(0), default=64.0, show_default=True, help="Size of the log, MiB.")
@click.option("--most-failures", type=click.IntRange(0), default=1000, show_default=True, help="Failures to keep.")
@dask_option
@html_option("Write the summary as a page for a browser, in the end.")
@case_options
@results_option
@click.pass_context
def soak(context: click.Context, /, **options: Any) -> None:
    """Stress designs in turn for as long as told, each round with a new seed that decides everything else.

    Started again with the same log, it goes on where it was stopped. Each failure is kept as a file for
    `pte-stress hunt --from`. Ctrl-C ends it after the round under way has been broken off, with the summary.
    """
    chosen, path, most_failures = options["chosen"], options["path"], options["most_failures"]
    limit = sum(options[unit] * seconds for unit, seconds in LIMITS.items())
    for name in (*LIMITS, "round_seconds", "most_mb"):
        if not math.isfinite(options[name]):
            raise UsageError(f"--{name.replace('_', '-')} {options[name]}: give a number")
    if limit <= 0:
        raise UsageError("for how long? Give --seconds, --minutes, --hours or --days")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--log {path}: no such folder; make it first")
    named = chosen.split(",") if chosen else [name for name in designs.names() if name not in designs.BROKEN]
    turns = [(name, resolve_design(name)) for name in named]
    log, stop = Log(path, int(options["most_mb"] * (1 << 20))), Stop()
    try:
        with log.alone():
            log.read()
            if log.rounds:
                click.echo(f"{path} has {log.rounds} rounds: going on")
            stop.listen()
            rounds = drawn_rounds(log, turns, limit, options["round_seconds"], stop)
            if options["dask"] is not None:
                from stress.commands.soak_cluster import play_there

                keep(log, play_there(options["dask"], log, rounds, stop), most_failures, stop)
            else:
                keep(log, play_here(log, rounds, stop), most_failures, stop)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise MachineError(f"{error.filename or path}: {error.strerror}; earlier rounds are kept") from None
    if stop.asked:
        click.echo("stopped")
    click.echo(f"\n{log.summary()}")
    outcome = _judged(options, log)
    outcome.echo()
    outcome.write(seconds=sum(s.seconds for s in log.sums.values()))
    write_report(options["html"], lambda: _report(log, command_line(context)))
    if log.failures > most_failures:
        click.echo(f"{log.failures:,} failures; the first {most_failures:,} are kept")
    context.exit(INTERRUPTED if stop.asked else outcome.status)
