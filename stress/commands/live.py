"""The command `pte-stress live`: measure the resident sizes that the running kernel shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from shm_layout.errors import UsageError
from stress.commands.json_output import echo_json
from stress.commands.options import (
    MOST_WORKERS,
    doubled_up_to,
    format_option,
    json_option,
    listed_numbers,
    plot_option,
    seconds_above_0,
    seed_option,
)
from stress.report.progress import bar_shown

WATCH, TABLE, COMPARE, EXPLAIN = "with --pid", "with --table", "with --compare", "with --explain"
PLAIN = "without --pid, --table, --compare and --explain"
ONLY = {
    "interval": {WATCH}, "count": {WATCH}, "tree": {WATCH}, "until_exit": {WATCH},
    "as_csv": {WATCH}, "prometheus": {WATCH}, "plot": {WATCH},
    "kinds": {TABLE}, "modes": {TABLE}, "workers": {TABLE}, "repeat": {TABLE},
    "rounds": {PLAIN}, "seconds": {PLAIN}, "processes": {PLAIN}, "threads": {PLAIN, EXPLAIN},
    "fail_above": {PLAIN, EXPLAIN, WATCH},
    "design": {COMPARE}, "scripts": {COMPARE},
    "memory": {PLAIN, TABLE}, "folder": {PLAIN, TABLE, COMPARE},
}
"""The uses of the command that an option belongs to."""


def _numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> list[int] | None:
    """Return the numbers of --workers in order, None where there are none."""
    return None if value is None else sorted(set(listed_numbers("--workers", value, MOST_WORKERS)))


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
@click.option(
    "--until-exit", is_flag=True, help="End when the named processes have ended, whatever children still run (--pid)."
)
@click.option("--csv", "as_csv", is_flag=True, help="Print samples as lines of CSV (--pid).")
@click.option(
    "--prometheus",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep the newest samples in this file, in Prometheus' text format (--pid).",
)
@plot_option
@click.option("--explain", is_flag=True, help="Which figure can be off by how much, why, and what to read instead.")
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
@click.option(
    "--fail-above",
    type=click.IntRange(min=0),
    metavar="PAGES",
    help="Exit with status 1 when VmRSS was off by more than this (--explain: when it can be).",
)
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
    """Measure how far the resident sizes of the running kernel are off, and what reading them costs.

    Starts processes and threads that map, touch, copy, fork, discard and unmap memory while they hop between
    CPUs, and compares stat, statm, status and psutil with a walk of the page tables when all are at rest.

    The last line says which figure to trust. With --explain that is said at once, without any load.

    With --pid it watches processes that run already; with --table it measures page faults by number of
    workers; with --compare it checks the model of a design against this kernel. --json then prints one object
    a sample, a line each, and one object for the others.
    """
    given = {
        WATCH: options["pids"],
        TABLE: options["table"],
        COMPARE: options["compare"],
        EXPLAIN: options["explain"],
    }
    asked = [use for use, value in given.items() if value]
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(use.removeprefix('with ') for use in asked)} exclude each other: give one")
    use = asked[0] if asked else PLAIN
    _reject_strangers(context, use)
    {WATCH: _watch, TABLE: _table, COMPARE: _compare, EXPLAIN: _explain, PLAIN: _plain}[use](context, options)


def _plain(context: click.Context, options: dict[str, Any]) -> None:
    """Load and rest, every interface against the page walk."""
    from shm_layout.available import memory_available
    from stress.live.measure import least_memory, measure
    from stress.live.reading.machine import grant_memory

    processes, threads = options["processes"], options["threads"]
    budget = grant_memory(options["memory"], 256, least_memory(processes, threads), memory_available())
    with bar_shown(options["rounds"], "load and rest") as bar:
        outcome = measure(
            processes=processes,
            threads=threads,
            rounds=options["rounds"],
            seconds=options["seconds"],
            seed=options["seed"],
            budget=budget,
            folder=options["folder"],
            progress=bar.reached,
        )
    if outcome is None:
        raise KeyboardInterrupt
    from stress.commands.live_report import live_json, live_table

    if options["as_json"]:
        echo_json(live_json(outcome))
    else:
        click.echo(live_table(outcome, options["table_format"]))
    if outcome.interrupted:
        raise KeyboardInterrupt
    too_far = options["fail_above"] is not None and outcome.above(options["fail_above"])
    context.exit(1 if too_far or not outcome.ok else 0)


def _explain(context: click.Context, options: dict[str, Any]) -> None:
    """Print what each figure can be off by on this kernel."""
    from stress.commands.live_report import explain_json, explain_text
    from stress.live.figures import BY_NAME, explain

    said = explain(options["threads"])
    if options["as_json"]:
        echo_json(explain_json(said))
    else:
        click.echo(explain_text(said, options["table_format"]))
    limit = said.bound(BY_NAME["status", "VmRSS"])
    assert limit is not None
    if options["fail_above"] is not None and limit.pages > options["fail_above"]:
        context.exit(1)


def _table(context: click.Context, options: dict[str, Any]) -> None:
    """Page faults by number of workers."""
    from shm_layout.available import memory_available
    from stress.live.faults import KINDS, MODES, fault_table, least_memory
    from stress.live.reading.machine import grant_memory, kernel_release
    from stress.system.cpus import allowed_cpus

    cpus = len(allowed_cpus())
    workers = options["workers"] or doubled_up_to(cpus)
    kinds, modes = options["kinds"] or tuple(KINDS), options["modes"] or MODES
    budget = grant_memory(options["memory"], 700, least_memory(max(workers)), memory_available())
    total = len(kinds) * len(modes) * len(workers) * options["repeat"]
    with bar_shown(total, "page faults") as bar:
        rows, interrupted = fault_table(
            kinds=list(dict.fromkeys(kinds)),
            modes=list(dict.fromkeys(modes)),
            workers=workers,
            repeat=options["repeat"],
            budget=budget,
            folder=options["folder"],
            progress=bar.reached,
        )
    if not rows:
        raise KeyboardInterrupt
    from stress.commands.live_report import fault_json, fault_text

    if options["as_json"]:
        echo_json(fault_json(kernel_release(), rows))
    else:
        click.echo(f"Linux {kernel_release()}, {cpus} CPUs")
        click.echo(fault_text(rows, options["table_format"]))
    if interrupted:
        raise KeyboardInterrupt


def _compare(context: click.Context, options: dict[str, Any]) -> None:
    """Perform drawn scripts on a design and on the running kernel, and print where they differ."""
    from stress.commands.live_compare_report import compare_json, compare_text
    from stress.live.compare.compare import compare
    from stress.resolve import resolve_design

    design = resolve_design(options["design"])
    with bar_shown(options["scripts"], "scripts") as bar:
        done = compare(
            design, scripts=options["scripts"], seed=options["seed"], folder=options["folder"], progress=bar.reached
        )
    if not done.scripts and not done.failing:
        raise KeyboardInterrupt
    if options["as_json"]:
        echo_json(compare_json(done))
    else:
        click.echo(compare_text(done, options["table_format"]))
    if done.interrupted:
        raise KeyboardInterrupt
    context.exit(0 if done.ok else 1)


def _watch(context: click.Context, options: dict[str, Any]) -> None:
    """Print VmRSS and the page walk of running processes, side by side."""
    from stress.commands.live_watch import watch

    watch(context, options)
