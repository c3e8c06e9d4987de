"""The command `pte-stress live`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from shm_layout.errors import UsageError
from stress.commands.options import format_option, json_option, seconds_above_0, seed_option
from stress.system.interrupts import until_interrupted

WATCH, TABLE, COMPARE = "with --pid", "with --table", "with --compare"
PLAIN = "without --pid, --table and --compare"
ONLY = {
    "interval": {WATCH}, "count": {WATCH}, "tree": {WATCH},
    "kinds": {TABLE}, "modes": {TABLE}, "workers": {TABLE}, "repeat": {TABLE},
    "rounds": {PLAIN}, "seconds": {PLAIN}, "processes": {PLAIN}, "threads": {PLAIN},
    "design": {COMPARE}, "scripts": {COMPARE},
    "memory": {PLAIN, TABLE}, "folder": {PLAIN, TABLE, COMPARE},
}
"""The uses of the command that an option belongs to."""


def _numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> list[int] | None:
    """A list of positive numbers like 1,2,4."""
    if value is None:
        return None
    try:
        numbers = sorted({int(part) for part in value.split(",")})
    except ValueError:
        numbers = [0]
    if numbers[0] < 1:
        raise UsageError(f"--workers {value} is no list of numbers of workers: give one like 1,2,4")
    return numbers


@contextmanager
def _progress(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr, when that is a terminal; yields a function that takes how much is done."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting (the first time compiles)", total=total)
        yield lambda done: bar.update(task, completed=done, description=what)


def _reject_strangers(context: click.Context, use: str) -> None:
    """Refuse an option that means nothing for this use of the command."""
    for name, uses in ONLY.items():
        if use not in uses and context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE:
            flag = next(p.opts[0] for p in context.command.params if p.name == name)
            raise UsageError(f"{flag} means nothing {use}: it goes {' or '.join(sorted(uses))} only")


@click.command()
@click.option("--pid", "pids", type=int, multiple=True, help="Watch this running process; may be repeated.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Seconds between samples (--pid).",
)
@click.option("--count", type=click.IntRange(min=1), help="Number of samples (--pid)  [default: until interrupted]")
@click.option("--tree", is_flag=True, help="Watch the children of the process too (--pid).")
@click.option("--table", is_flag=True, help="Page faults by number of workers, in the columns of 2004.")
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(["anon", "cow", "tmpfs", "file"]),
    multiple=True,
    help="Kind of fault; may be repeated (--table)  [default: all]",
)
@click.option(
    "--mode",
    "modes",
    type=click.Choice(["processes", "threads"]),
    multiple=True,
    help="Kind of worker; may be repeated (--table)  [default: both]",
)
@click.option(
    "--workers",
    callback=_numbers,
    metavar="N,N,...",
    help="Numbers of workers (--table)  [default: powers of 2 up to the CPUs]",
)
@click.option(
    "--repeat",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Times that the memory is touched (--table).",
)
@click.option("--compare", is_flag=True, help="Model against kernel: drawn scripts must leave the same pages on both.")
@click.option(
    "--design",
    default="v12_sound",
    show_default=True,
    metavar="NAME",
    help="Design that the model runs, or my_design.py:MINE (--compare).",
)
@click.option(
    "--scripts", type=click.IntRange(min=1), default=50, show_default=True, help="Scripts to draw (--compare)."
)
@click.option("--rounds", type=click.IntRange(min=1), default=50, show_default=True, help="Rounds of load and rest.")
@click.option("--seconds", type=float, callback=seconds_above_0, help="End after this time, if rounds are left.")
@click.option("--processes", type=click.IntRange(min=1), default=2, show_default=True, help="Processes under load.")
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True, help="Threads of each.")
@seed_option
@click.option(
    "--memory",
    type=click.IntRange(min=1),
    metavar="MIB",
    help="Memory to use at most  [default: up to 256, with --table 700; never above a quarter of what is available]",
)
@click.option("--dir", "folder", type=click.Path(), help="Where to put the file to map  [default: TMPDIR or /var/tmp]")
@format_option
@json_option
@click.pass_context
def live(context: click.Context, /, **options: Any) -> None:
    """How far the resident sizes of the running kernel are off, and what reading them costs.

    Starts processes and threads that map, touch, copy, fork, discard and unmap memory while they hop between
    CPUs, and compares stat, statm, status and psutil with a walk of the page tables when all are at rest.

    With --pid it watches processes that run already; with --table it measures page faults by number of
    workers; with --compare it checks the model of a design against this kernel. --json then prints one object
    a sample, a line each, and one object for the others.
    """
    given = {WATCH: options["pids"], TABLE: options["table"], COMPARE: options["compare"]}
    asked = [use for use, value in given.items() if value]
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(use.removeprefix('with ') for use in asked)} exclude each other: give one")
    use = asked[0] if asked else PLAIN
    _reject_strangers(context, use)
    {WATCH: _watch, TABLE: _table, COMPARE: _compare, PLAIN: _plain}[use](context, options)


def _plain(context: click.Context, options: dict[str, Any]) -> None:
    """Load and rest, every interface against the page walk."""
    from shm_layout.available import memory_available
    from stress.live.measure import least_memory, measure
    from stress.live.reading.machine import grant_memory

    processes, threads = options["processes"], options["threads"]
    budget = grant_memory(options["memory"], 256, least_memory(processes, threads), memory_available())
    with _progress(options["rounds"], "load and rest") as progress:
        outcome = measure(
            processes=processes,
            threads=threads,
            rounds=options["rounds"],
            seconds=options["seconds"],
            seed=options["seed"],
            budget=budget,
            folder=options["folder"],
            progress=progress,
        )
    if outcome is None:
        raise KeyboardInterrupt
    from stress.commands.live_report import live_json, live_table

    click.echo(json.dumps(live_json(outcome)) if options["as_json"] else live_table(outcome, options["table_format"]))
    if outcome.interrupted:
        raise KeyboardInterrupt
    context.exit(0 if outcome.ok else 1)


def _table(context: click.Context, options: dict[str, Any]) -> None:
    """Page faults by number of workers."""
    from shm_layout.available import memory_available
    from stress.live.faults import KINDS, MODES, fault_table, least_memory
    from stress.live.reading.machine import grant_memory, kernel_release
    from stress.system.cpus import allowed_cpus

    cpus = len(allowed_cpus())
    workers = options["workers"] or sorted({*(1 << n for n in range(cpus.bit_length()) if 1 << n <= cpus), cpus})
    kinds, modes = options["kinds"] or tuple(KINDS), options["modes"] or MODES
    budget = grant_memory(options["memory"], 700, least_memory(max(workers)), memory_available())
    total = len(kinds) * len(modes) * len(workers) * options["repeat"]
    with _progress(total, "page faults") as progress:
        rows, interrupted = fault_table(
            kinds=list(dict.fromkeys(kinds)),
            modes=list(dict.fromkeys(modes)),
            workers=workers,
            repeat=options["repeat"],
            budget=budget,
            folder=options["folder"],
            progress=progress,
        )
    if not rows:
        raise KeyboardInterrupt
    from stress.commands.live_report import fault_json, fault_text

    if options["as_json"]:
        click.echo(json.dumps(fault_json(kernel_release(), rows)))
    else:
        click.echo(f"Linux {kernel_release()}, {cpus} CPUs")
        click.echo(fault_text(rows, options["table_format"]))
    if interrupted:
        raise KeyboardInterrupt


def _compare(context: click.Context, options: dict[str, Any]) -> None:
    """Drawn scripts on a design and on the running kernel."""
    from stress.commands.live_compare_report import compare_json, compare_text
    from stress.live.compare.compare import compare
    from stress.resolve import resolve_design

    design = resolve_design(options["design"])
    with _progress(options["scripts"], "scripts") as progress:
        done = compare(
            design, scripts=options["scripts"], seed=options["seed"], folder=options["folder"], progress=progress
        )
    if not done.scripts and not done.failing:
        raise KeyboardInterrupt
    click.echo(json.dumps(compare_json(done)) if options["as_json"] else compare_text(done, options["table_format"]))
    if done.interrupted:
        raise KeyboardInterrupt
    context.exit(0 if done.ok else 1)


def _watch(context: click.Context, options: dict[str, Any]) -> None:
    """VmRSS and the page walk of running processes, side by side."""
    from stress.commands.live_report import sample_head, sample_json, sample_line, sum_line, watch_summary
    from stress.live.reading.machine import page_size
    from stress.live.watch import Watch

    watch = Watch(options["pids"], tree=options["tree"])
    as_json = options["as_json"]

    def note(text: str) -> None:
        click.echo(text, err=True)

    if not as_json:
        click.echo(sample_head())
    with until_interrupted() as ended:
        for taken in watch.run(options["interval"], options["count"], note):
            if as_json:
                lines: Sequence[str] = [json.dumps(sample_json(sample, page_size())) for sample in taken]
            else:
                lines = [sample_line(sample) for sample in taken] + ([sum_line(taken)] if len(taken) > 1 else [])
            click.echo("\n".join(lines))
            sys.stdout.flush()
    if not watch.samples and not ended.is_set():
        raise UsageError("no sample was taken: every process ended before it could be read")
    if watch.samples and not as_json:
        click.echo()
        click.echo(watch_summary(watch.samples, options["table_format"]))
    if ended.is_set():
        raise KeyboardInterrupt
