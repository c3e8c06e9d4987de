"""The command `pte-stress table`: measure faults by number of workers, in the columns of 2004."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from shm_layout.errors import UsageError
from stress.commands.json_output import results_option, told_as_json
from stress.commands.options import (
    MOST_WORKERS,
    arch_option,
    doubled_up_to,
    format_option,
    json_option,
    listed_numbers,
    placement_option,
    plot_option,
    seed_option,
    work_option,
)
from stress.commands.pictures import command_line, html_option, write_report
from stress.report.progress import bar_shown
from stress.report.spread import NOT_HERE, Spread
from stress.report.words import did_you_mean, plural
from stress.system.cpus import available_cores
from stress.system.load import LoadWatch
from stress.workers.table import PAGES_PER_GB, Given, Row, measure, with_shares

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stress.design import Design
    from stress.report.report import Report

COLUMNS = ("Gb", "Rep", "Threads", "User", "System", "Wall", "flt/cpu/s", "fault/wsec")
FORMATS = ("g", "d", "d", ".2f", ".2f", ".2f", ".3f", ".3f")
MORE_COLUMNS = ("bare/wsec", "work", "atomics", "waiting")
MORE_FORMATS = (".3f", ".0%", ".0%", ".0%")


def worker_counts(text: str | None, cores: int) -> list[int]:
    """Return the numbers of workers from ``1,2,4``; by default 1, 2, 4, ... up to the cores. Raises `UsageError`."""
    if text is None:
        return doubled_up_to(min(cores, MOST_WORKERS))
    return listed_numbers("--workers", text, MOST_WORKERS)


def total_pages(gb: float | None, pages: int | None) -> int:
    """Return pages to touch, from --gb or --pages. Raises `UsageError`."""
    if gb is not None and pages is not None:
        raise UsageError("give --gb or --pages, not both")
    if pages is not None:
        return pages
    size = 4.0 if gb is None else gb
    if not 1 / PAGES_PER_GB <= size < math.inf:
        raise UsageError(f"--gb {size:g}: at least one page, {1 / PAGES_PER_GB:g}")
    return round(size * PAGES_PER_GB)


def _format_rows(rows: list[Row], style: str, *, worked: bool) -> str:
    from stress.report.fitted import fitted

    columns: tuple[str, ...] = COLUMNS
    formats: tuple[str, ...] = FORMATS
    if worked:
        columns, formats = (*COLUMNS, *MORE_COLUMNS), (*FORMATS, *MORE_FORMATS)
    shown = [[format(value, f) for value, f in zip(row, formats, strict=False)] for row in rows]
    return fitted(shown, columns, style=style, disable_numparse=True, colalign=["right"] * len(columns))


def _as_object(row: Row) -> dict[str, Any]:
    """A row for JSON, which has no NaN."""
    figures = {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in row._asdict().items()
        if key != "rates"
    }
    return {**figures, "fault_wsec_spread": Spread.of(row.rates).as_json()}


def spread_rows(rows: Sequence[Row], cores: int) -> list[dict[str, Any]]:
    """How far the repetitions of each row lie apart, and whether more workers than in the first row fault more."""
    first = Spread.of(rows[0].rates) if rows else None
    made = []
    for row in rows:
        spread = Spread.of(row.rates)
        figures = {k: v if k == "runs" else f"{v:,.0f}" for k, v in spread.as_json().items()}
        more = None
        if first and row is not rows[0]:
            more = NOT_HERE if row.threads > cores else spread.above(first)
        made.append({"Threads": row.threads, **figures, f"more than {rows[0].threads}": more})
    return made


def _report(
    context: click.Context, design: Design, options: Mapping[str, Any], rows: Sequence[Row], cores: int
) -> Report:
    from stress.report.plot import table_panel
    from stress.report.report import Report, Section, Table, plots

    kind, arch = options["kind"], options["arch"]
    ours = {design.name: {row.threads: row.fault_wsec for row in rows}}
    shown = [{name: format(value, f) for name, value, f in zip(COLUMNS, row, FORMATS, strict=False)} for row in rows]
    picture = plots(
        "Faults a second of all workers together, with the tables of December 2004 beside them",
        table_panel(ours, f"{kind}, arch {arch}"),
    )
    units = "User and System are CPU seconds of the workers, Wall is seconds, flt/cpu/s and fault/wsec faults a second."
    note = [f"This machine has {cores} cores: rows with more workers share them."] if rows[-1].threads > cores else []
    return Report(
        f"Faults by number of workers: {design.name}, {kind}",
        command_line(context),
        [Section("Faults", [Table(shown), Table(spread_rows(rows, cores))], picture, before=[units], behind=note)],
        lead=design.summary,
        facts=[("Arch", arch), ("Placement", options["placement"]), ("Seed", str(options["seed"]))],
    )


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
@click.option("--pages", type=click.IntRange(1), metavar="N", help="Memory to touch in all, in pages.")
@click.option("--rep", type=click.IntRange(1), default=10, show_default=True, help="Repetitions of each row.")
@click.option(
    "--kind",
    default="anon-write",
    show_default=True,
    metavar="NAME",
    help="Kind of fault: anon-write, anon-read, cow, file, swap-in, or mixed.",
)
@work_option("trap+clear")
@arch_option
@placement_option
@plot_option
@html_option()
@results_option
@seed_option
@json_option
@format_option
@click.pass_context
def table(context: click.Context, /, **options: Any) -> None:
    """Measure faults by number of workers, in the columns of 2004.

    For each row, workers touch --gb of memory --rep times, each worker its own part of one address space. User and
    System are CPU seconds of all workers. Wall is the time in seconds from their start to the end of the last one;
    making the memory untouched again is not counted. With --work, each row is measured without it, too (bare/wsec).
    Then it says which share of the CPU time is work, which the steps, and which waiting for lines and locks. The seed
    decides in which order the kinds of "mixed" take turns.

    A second table has the median, least and greatest of the repetitions of each row. Whether more workers fault more is
    shown there: yes or no where 9 of 10 pairs of repetitions say so, else "not measurable here". The last line says how
    busy the machine was.
    """
    kind, arch, placement, seed, rep = (options[name] for name in ("kind", "arch", "placement", "seed", "rep"))
    counts = worker_counts(options["workers"], cores := available_cores())
    size = total_pages(options["gb"], options["pages"])
    from stress.commands.run_progress import say, say_notes
    from stress.resolve import resolve_design
    from stress.workers.fault_kinds import KINDS
    from stress.workers.server.client import ForkServer
    from stress.workers.work import measure_work

    if kind not in KINDS:
        raise UsageError(f"no kind of fault {kind!r}{did_you_mean(kind, KINDS)}")
    say_notes()
    design = resolve_design(options["design_name"])
    if "fault" not in design.programs:
        raise UsageError(f"design {design.name} has no operation fault")
    if size < max(counts):
        raise UsageError(f"{size} pages for {max(counts)} workers: at least one page each")
    worked = options["work"] != "none"
    rows: list[Row] = []
    watch = LoadWatch()
    ended: BaseException | None = None
    try:
        with (
            ForkServer(lambda: say(f"compiling {design.name} for arch {arch}, once ...")) as server,
            bar_shown(len(counts) * rep * (2 if worked else 1), "starting") as bar,
        ):
            work = measure_work(options["work"], options["page_size"])
            alone: list[Row] = []
            for n in counts:
                given = Given(n, size, rep, arch, placement, seed)
                now = partial(bar.one_more, f"{design.name}, {kind}, {plural(n, 'worker')}")
                row = measure(design, kind, given, server, now, work)
                if worked:
                    bare = measure(design, kind, given, server, now)
                    if not alone and n == 1:
                        alone = [row, bare]
                    elif not alone:
                        one = given._replace(workers=1, rep=1)
                        alone = [measure(design, kind, one, server, work=each) for each in (work, None)]
                    row = with_shares(row, bare, *alone)
                rows.append(row)
    except KeyboardInterrupt as interrupt:
        ended = interrupt  # what was measured is printed all the same
    except Exception as error:
        if not rows:
            raise
        ended = error
    load = watch.load()

    def as_json() -> dict[str, Any]:
        figures = [_as_object(row) for row in rows]
        return {"design": design.name, "work": options["work"], "rows": figures, "load": load.as_json()}

    if not told_as_json(options["as_json"], as_json):
        from stress.report.fitted import fitted, fitted_text

        click.echo(
            fitted_text(
                f"design {design.name}, {kind}, arch {arch}, placement {placement}, work {options['work']}, seed {seed}"
            )
        )
        click.echo(_format_rows(rows, options["table_format"], worked=worked))
        if max(counts) > cores:
            note = f"This machine has {cores} cores: rows with more workers share them, and show no scaling."
            click.echo(fitted_text(note))
        if rows:
            click.echo("\nfault/wsec, repetition by repetition; whether more workers fault more is shown:")
            style = options["table_format"]
            click.echo(fitted(spread_rows(rows, cores), style=style, missingval="-", disable_numparse=True))
            click.echo(fitted_text(str(load)))
    if rows:
        write_report(options["html"], lambda: _report(context, design, options, rows, cores))
    if options["plot"] is not None and rows:
        from stress.report.plot import draw_table

        rates = {row.threads: row.fault_wsec for row in rows}
        draw_table(options["plot"], {design.name: rates}, f"{kind}, arch {arch}", f"a machine with {cores} cores")
    if ended is not None:
        raise ended
