"""The command `pte-stress rss`: ways of counting side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shm_layout.errors import UsageError
from stress.commands.options import format_option, json_option, plot_option, seed_option
from stress.report.words import did_you_mean
from stress.system.cpus import available_cores

if TYPE_CHECKING:
    from stress.rss.compared import Compared
    from stress.rss.cost import Cost

MOST_CPUS = 1024


@click.command()
@click.option("--counter", "names", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option(
    "--cpus",
    type=click.IntRange(1, MOST_CPUS),
    default=8,
    show_default=True,
    metavar="N",
    help="Virtual CPUs: workers claim to run on them.",
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
    as_json: bool,
    table_format: str,
    seed: int,
) -> None:
    """Compare ways of counting resident pages: how far readers are off, what a change and a read cost.

    Errors are in pages: of readers while workers count, and at rest when every CPU and task holds as much as it can
    without telling. Costs are nanoseconds, all measured in turns in one run. `explored` is what the explorer found
    on small machines. Exit status 1 when a counter that promises a bound does not keep it.
    """
    from stress.rss.compared import Compared, compare
    from stress.rss.subjects import SUBJECTS

    for name in names:
        if name not in SUBJECTS:
            raise UsageError(f"no counter {name!r}{did_you_mean(name, SUBJECTS)}")
    chosen = [s for s in SUBJECTS.values() if not names or s.name in names]
    lines = [Compared(subject, cpus, threads or cpus) for subject in chosen]
    cores = available_cores()
    ended: BaseException | None = None  # what is measured is printed all the same
    try:
        compare(lines, cores=cores, updates=updates, hop=hop, seed=seed)
    except KeyboardInterrupt as interrupt:
        ended = interrupt
        click.echo("interrupted: what follows is what was measured until then", err=True)
    except Exception as error:
        if not any(line.accuracy or line.explored for line in lines):
            raise
        ended = error
    if as_json:
        found = {"cpus": cpus, "threads": threads or cpus, "hop": hop, "cores": cores, "seed": seed}
        click.echo(json.dumps({**found, "counters": [line.as_object() for line in lines]}))
    else:
        _print_tables(lines, cores, hop, updates, seed, table_format)
    if ended is not None:
        raise ended
    if plot is not None:
        from stress.rss.curves import draw_curves

        draw_curves(plot, [line.subject for line in lines], most_cpus=cpus, cores=cores, seed=seed)
        click.echo(f"drawn in {plot}", err=True)
    context.exit(0 if all(line.ok for line in lines) else 1)


def _print_tables(  # noqa: PLR0917
    lines: Sequence[Compared], cores: int, hop: bool, updates: int, seed: int, table_format: str
) -> None:
    from stress.report.fitted import fitted, fitted_text

    first = lines[0]
    how = "hopping" if hop else "staying on their CPUs"
    what = f"{first.cpus} virtual CPUs, {first.threads} threads, workers {how}"
    click.echo(fitted_text(f"{what}, {updates:,} changes of each; seed {seed}"))
    click.echo("Errors in pages (of 4 KiB in what is published):")
    rows = [line.accuracy_row() for line in lines]
    click.echo(fitted(rows, style=table_format, intfmt=",", missingval="-"))
    atomic: Cost | None = next((line.cost for line in lines if line.subject.name == "atomic"), None)
    changes = [line.change_row(atomic) for line in lines]
    reads = [line.read_row() for line in lines]
    click.echo(f"\nNanoseconds a change; contention is that of {cores} cores:")
    click.echo(fitted(changes, style=table_format, floatfmt=".2f", missingval="-"))
    click.echo("\nNanoseconds a read, by CPUs and tasks:")
    click.echo(fitted(reads, style=table_format, floatfmt=".2f", intfmt=",", missingval="-"))
