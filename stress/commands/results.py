"""The command `pte-stress results`: what --results kept, listed, compared and plotted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shm_layout.errors import UsageError
from stress.commands.json_output import echo_json, echo_object
from stress.commands.options import format_option, json_option, plot_option

if TYPE_CHECKING:
    from stress.results.store import Run


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--add",
    "added",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="OUTPUT",
    help="Keep what a command printed with --json, or the log of `soak`, as a run; may be repeated.",
)
@click.option("--show", type=click.IntRange(1), metavar="RUN", help="Print the objects of a run, one a line.")
@click.option(
    "--compare",
    type=(click.IntRange(1), click.IntRange(1)),
    metavar="RUN RUN",
    help="Print the figures of two runs that differ.",
)
@click.option("--figure", metavar="NAME", help="Print one figure of all runs that have it, as --compare names it.")
@plot_option
@json_option
@format_option
def results(file: Path, added: tuple[Path, ...], **options: Any) -> None:
    """List the runs that commands kept in FILE by `--results FILE`, compare two of them, or follow a figure over time.

    FILE is a database of SQLite. It has what --json prints, and what that says of version, machine and date.
    """
    from stress.results.figures import compared, figures
    from stress.results.store import Store

    asked = [name for name in ("show", "compare", "figure") if options[name]]
    if len(asked) > 1:
        raise UsageError(f"--{asked[0]} and --{asked[1]}: give one of the two")
    if options["plot"] is not None and not options["figure"]:
        raise UsageError("--plot draws one figure over time: name it with --figure, as --compare prints it")
    store = Store(file)
    for output in added:
        objects = _read(output)
        store.add_all(objects[0].get("about") or {"command": f"results --add {output}"}, objects)
    runs = store.runs()
    if options["show"]:
        for found in _run(runs, options["show"], file).objects:
            echo_object(found)
        return
    if options["compare"]:
        one, other = (_run(runs, number, file) for number in options["compare"])
        names = {"first": f"run {one.number}", "second": f"run {other.number}"}
        _print({"figures": compared(one, other)}, options, "the two runs have the same figures", names)
        return
    if options["figure"]:
        rows = [
            {"run": run.number, "date": run.about["date"], "version": run.about["version"], "value": value}
            for run in runs
            if (value := figures(run).get(options["figure"])) is not None
        ]
        if not rows:
            raise UsageError(f"{file}: no run has figure {options['figure']!r}: --compare prints their names")
        _print({"figure": options["figure"], "runs": rows}, options, "", {"value": options["figure"]})
        if options["plot"] is not None:
            from stress.report.plot import Panel, draw

            values = {float(row["run"]): row["value"] for row in rows}
            draw(options["plot"], [Panel(options["figure"], "run", options["figure"], {str(file): values})], "")
            click.echo(f"drawn in {options['plot']}", err=True)
        return
    _print({"runs": [_row(run) for run in runs]}, options, f"{file} has no runs", {})


def _row(run: Run) -> dict[str, Any]:
    machine = run.about["machine"] or {}
    return {
        "run": run.number,
        "date": run.about["date"],
        "command": run.command,
        "version": run.about["version"],
        "seed": run.about["seed"],
        "cpus": machine.get("cpus"),
        "objects": len(run.objects),
    }


def _print(found: dict[str, Any], options: dict[str, Any], otherwise: str, names: dict[str, str]) -> None:
    """Print the last value of ``found``, rows, as a table with columns called by ``names``, or all as JSON."""
    from stress.report.fitted import fitted

    rows = list(found.values())[-1]
    if options["as_json"]:
        echo_json(found)
    elif rows:
        shown = [{names.get(name, name): value for name, value in row.items()} for row in rows]
        click.echo(fitted(shown, style=options["table_format"], missingval="-", floatfmt=".6g"))
    else:
        click.echo(otherwise)


def _run(runs: list[Run], number: int, file: Path) -> Run:
    found = next((run for run in runs if run.number == number), None)
    if found is None:
        raise UsageError(f"{file} has no run {number}: `pte-stress results {file}` lists them")
    return found


def _read(output: Path) -> list[dict[str, Any]]:
    """Return the objects of an output, a line each. Raises `UsageError`."""
    from stress.system.text_file import parse_json, read_text

    wanted = "name what a command printed with --json, or a log of soak"
    objects = []
    for number, line in enumerate(read_text(output, wanted).splitlines(), 1):
        if line.strip():
            found = parse_json(line, f"{output}, line {number}", wanted)
            if not isinstance(found, dict):
                raise UsageError(f"{output}, line {number}: no JSON object; {wanted}")
            objects.append(found)
    if not objects:
        raise UsageError(f"{output} has no JSON object; {wanted}")
    return objects
