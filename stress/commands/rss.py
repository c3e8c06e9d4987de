"""The command `pte-stress rss`: compare ways of counting resident pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shm_layout.errors import UsageError
from stress.commands.json_output import results_option, told_as_json
from stress.commands.options import format_option, json_option, plot_option, seed_option
from stress.commands.pictures import command_line, html_option, write_report
from stress.report.words import did_you_mean
from stress.system.cpus import available_cores
from stress.system.load import LoadWatch

if TYPE_CHECKING:
    from stress.report.report import Report
    from stress.rss.compared import Compared
    from stress.rss.subjects import Subject

MOST_CPUS = 1024


@click.command()
@click.option(
    "--counter",
    "names",
    multiple=True,
    metavar="NAME",
    help="Only this one, or your own as my_counter.py:MINE; may be repeated.",
)
@click.option(
    "--cpus",
    type=click.IntRange(1, MOST_CPUS),
    default=8,
    show_default=True,
    metavar="N",
    help="Virtual CPUs, on which workers claim to run.",
)
@click.option(
    "--threads", type=click.IntRange(1, MOST_CPUS), metavar="N", help="Tasks that count.  [default: as many as CPUs]"
)
@click.option("--hop", is_flag=True, help="Workers go from CPU to CPU and from task to task; else each stays.")
@click.option(
    "--updates",
    type=click.IntRange(1000, 1 << 62),
    default=2_000_000,
    show_default=True,
    metavar="N",
    help="Changes of each counter while readers look.",
)
@plot_option
@html_option()
@results_option
@json_option
@format_option
@seed_option
@click.pass_context
def rss(  # noqa: PLR0917
    context: click.Context,
    names: tuple[str, ...],
    cpus: int,
    threads: int | None,
    hop: bool,
    updates: int,
    plot: Path | None,
    html: Path | None,
    as_json: bool,
    table_format: str,
    seed: int,
) -> None:
    """Compare ways of counting resident pages: how far readers are off, what a change and a read cost.

    Errors are in pages: those of reads while workers count, and those at rest (no operation under way) when every CPU
    and every task holds back as much as it can. Costs are in nanoseconds, measured in turns in one run. `explored` is
    what the explorer found on small machines. `shown` says whether a change is cheaper than an atomic one: yes or no
    where 9 of 10 pairs of rounds say so, else "not measurable here". Exit status 1 when a counter that promises a bound
    does not keep it.
    """
    from stress.commands.rss_tables import Tables
    from stress.commands.run_progress import say_notes
    from stress.rss.compared import Compared, compare

    say_notes()
    chosen = chosen_subjects(names)
    lines = [Compared(subject, cpus, threads or cpus) for subject in chosen]
    cores = available_cores()
    watch = LoadWatch()
    ended: BaseException | None = None  # what is measured is printed all the same
    tables = Tables(lines, cores, table_format)
    if not as_json:
        tables.head(hop, updates, seed)
    try:
        for part in compare(lines, cores=cores, updates=updates, hop=hop, seed=seed):
            if not as_json:
                tables.print(part)
    except KeyboardInterrupt as interrupt:
        ended = interrupt
        click.echo("interrupted: what follows is what was measured until then", err=True)
    except Exception as error:
        if not any(line.accuracy or line.explored for line in lines):
            raise
        ended = error
    load = watch.load()
    head = {"cpus": cpus, "threads": threads or cpus, "hop": hop, "cores": cores, "seed": seed}
    if not told_as_json(
        as_json, lambda: {**head, "counters": [line.as_object() for line in lines], "load": load.as_json()}
    ):
        tables.rest(load)
    write_report(html, lambda: _report(context, lines, cores))
    if ended is not None:
        raise ended
    if plot is not None:
        from stress.rss.curves import draw_curves

        draw_curves(plot, lines, cores=cores, updates=updates, hop=hop, seed=seed)
        click.echo(f"drawn in {plot}", err=True)
    context.exit(0 if all(line.ok for line in lines) else 1)


def _report(context: click.Context, lines: Sequence[Compared], cores: int) -> Report:
    from stress.report.plot import Bars, Panel
    from stress.report.report import Report, Section, Table, plots

    atomic = next((line.cost for line in lines if line.subject.name == "atomic"), None)
    worst = {line.subject.name: float(line.accuracy.worst) for line in lines if line.accuracy}
    costs = {line.subject.name: line.cost for line in lines if line.cost}
    reads = {name: {float(size): ns for size, ns in cost.reads.items()} for name, cost in costs.items()}
    errors = Section(
        "Errors",
        [
            Table([line.accuracy_row() for line in lines]),
            Table([line.verdict_row() for line in lines], "What the explorer found on small machines"),
        ],
        plots("Worst error of a reader", Bars("Worst error of a reader", "pages", worst)) if worst else [],
        before=["In pages (of 4 KiB in what is published): how far a reader is off while workers count, and at rest."],
    )
    changes = Section(
        "Cost of a change",
        [
            Table([line.change_row(atomic) for line in lines]),
            Table([r for line in lines for r in line.spread_rows(atomic)], "Each round; shown: cheaper than atomic"),
        ],
        plots("Cost of a change", Bars("Cost of a change", "ns", {n: c.update for n, c in costs.items()}))
        if costs
        else [],
        before=[f"In nanoseconds. Contention is that of {cores} cores."],
    )
    sums = Section(
        "Cost of a read",
        [Table([line.read_row() for line in lines])],
        plots("Cost of a read", Panel("Cost of a read", "CPUs and tasks", "ns", reads)) if costs else [],
        before=["In nanoseconds, by the number of CPUs and tasks."],
    )
    kept = all(line.ok for line in lines)
    verdict = "every counter keeps what it promises" if kept else "not every counter keeps what it promises"
    if any(line.ok is None for line in lines):
        verdict = "ended early: not all of it was measured"
    lead = "Ways of counting resident pages, from 2004 on: how far a reader is off, and what a change and a read cost."
    return Report(
        "Resident-set counters side by side",
        command_line(context),
        [errors, changes, sums],
        lead=lead,
        verdict=verdict,
        ok=kept,
    )


def chosen_subjects(names: Sequence[str]) -> list[Subject]:
    """The counters of these names, all for none: in the order of the years, those of the user's own files after."""
    from stress.rss.own import own_subject
    from stress.rss.subjects import SUBJECTS

    own = [name for name in dict.fromkeys(names) if ":" in name or name.endswith(".py")]
    for name in names:
        if name not in SUBJECTS and name not in own:
            hint = did_you_mean(name, SUBJECTS)
            raise UsageError(f"no counter {name!r} (one in a file is my_counter.py:MINE){hint}")
    mine = {name: own_subject(name) for name in own}
    for name, subject in mine.items():
        if [s.name for s in mine.values()].count(subject.name) > 1:
            raise UsageError(f"{name}: two of the counters are called {subject.name!r}: give each a name of its own")
    return [*(s for s in SUBJECTS.values() if not names or s.name in names), *mine.values()]
