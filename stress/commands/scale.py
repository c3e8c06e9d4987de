"""The command `pte-stress scale`: the steps in simulated time, on up to 4,096 CPUs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shm_layout.errors import UsageError
from stress.commands.json_output import echo_json, results_option, told_as_json
from stress.commands.options import (
    doubled_up_to,
    format_option,
    json_option,
    listed_numbers,
    placement_option,
    plot_option,
    save_option,
)
from stress.commands.pictures import command_line, html_option, write_report
from stress.report.words import did_you_mean

if TYPE_CHECKING:
    from stress.report.report import Report
    from stress.scale.machine import ScaleMachine
    from stress.scale.simulation import Simulated

PREDICTED_GIB = (1, 4, 16, 32, 64)
PREDICTED = (("v12_list_rss", 3), ("page_table_lock", 3), ("v11_sloppy_rss_prefault", 10))
"""Published tables, and how often each row was repeated there."""
PREDICTED_FAULTS = 8_192
"""Faults that are simulated for a predicted row."""
CSV_COLUMNS = ("design", "gb", "rep", "threads", "faults_per_wall_s", "faults_per_wall_s_as_published")


def cpu_numbers(text: str | None, most: int) -> list[int]:
    """Numbers of CPUs from ``1,2,4``; by default 1, 2, 4, ... up to those of the machine. Raises `UsageError`."""
    return doubled_up_to(most) if text is None else listed_numbers("--cpus", text, most, ", the CPUs of the machine")


@click.command()
@click.option(
    "--design",
    "design_names",
    multiple=True,
    metavar="NAME",
    help="Design to simulate, as often as you like: its name, or your own as my_design.py:MINE."
    "  [default: page_table_lock and v12_sound]",
)
@click.option(
    "--machine",
    "machine_name",
    default="2004",
    show_default=True,
    metavar="NAME|FILE.toml",
    help="Machine: 2004, 2026, this, or a file (docs/scale.md).",
)
@click.option("--cpus", metavar="N,N,...", help="Numbers of CPUs that fault  [default: 1,2,4,... up to the machine's]")
@click.option("--faults", type=click.IntRange(1), metavar="N", help="Faults to simulate a row  [default: 30,000]")
@click.option(
    "--gib", type=click.FloatRange(0, 1 << 20), default=0.0, help="Memory of the run that this is a sample of."
)
@click.option(
    "--kind",
    default="anon-write",
    show_default=True,
    metavar="NAME",
    help="Kind of fault: anon-write, anon-read, cow, file, swap-in, or mixed.",
)
@click.option(
    "--work",
    type=click.Choice(["none", "trap+clear"]),
    default="trap+clear",
    show_default=True,
    help="Private work of a fault: none, or its entry and exit, and clearing the page.",
)
@click.option(
    "--readers", type=click.IntRange(0), default=0, metavar="N", help="CPUs more that read statm all the time."
)
@click.option("--fit", "fitting", is_flag=True, help="Fit machine 2004 to the published tables; print how well.")
@click.option(
    "--predict",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.csv",
    help="Write the rows of 2004 for 1, 4, 16, 32 and 64 GiB, to be held against published ones.",
)
@click.option("--measure", "measuring", is_flag=True, help="Measure this machine; --save keeps it as a machine file.")
@save_option("With --fit or --measure: write the machine into FILE.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=1,
    show_default=True,
    help="Where everything random comes from.",
)
@placement_option
@plot_option
@html_option()
@results_option
@json_option
@format_option
def scale(**options: Any) -> None:
    """Simulate a design on many CPUs: faults a second, and where the time goes.

    Every access of every step costs what its cache line's state and the distance to its owner cost. CPUs fault in pages
    of their own. A row of many faults is scaled up from a sample, whose size --faults sets.
    """
    modes = [name for name in ("fitting", "predict", "measuring") if options[name]]
    if len(modes) > 1:
        raise UsageError("give one of --fit, --predict and --measure")
    if options["save"] is not None and modes not in (["fitting"], ["measuring"]):
        raise UsageError("--save keeps the machine of --fit or --measure: give one of them")
    if options["html"] is not None and modes in (["predict"], ["measuring"]):
        raise UsageError("--html writes the rows of a simulation or of --fit: leave --predict and --measure out")
    if options["measuring"]:
        _measure(options)
        return
    from stress.scale.machine import get_machine

    machine = get_machine(options["machine_name"])
    if options["fitting"]:
        _fit(machine, options)
    elif options["predict"] is not None:
        _predict(machine, options)
    else:
        _simulate(machine, options)


def _print(options: dict[str, Any], found: dict[str, Any], rows: Sequence[dict[str, Any]], says: Sequence[str]) -> None:
    """One JSON object, or a table and sentences below it."""
    from stress.report.fitted import fitted, fitted_text

    if told_as_json(options["as_json"], lambda: found):
        return
    if rows:
        click.echo(fitted(rows, style=options["table_format"]))
    for sentence in says:
        click.echo(fitted_text(sentence))


def _row(name: str, found: Simulated) -> dict[str, Any]:
    shares = found.shares()
    row: dict[str, Any] = {"design": name, "CPUs": found.cpus, "faults/s": round(found.per_second)}
    row["ns a fault"] = round(found.ns_per_fault, 1)
    row |= {f"{what}, %": round(100 * share, 1) for what, share in shares.items()}
    for what in ("atomics", "transfers", "waits"):
        row[f"{what} a fault"] = round(getattr(found, what) / found.faults, 2)
    if found.reads:
        row["ns a read"] = round(found.read_ns, 1)
    return row


def _simulate(machine: ScaleMachine, options: dict[str, Any]) -> None:
    from stress.commands.run_progress import say
    from stress.kernel.fault_kinds import KINDS
    from stress.resolve import resolve_design
    from stress.scale.simulation import Given, faults_each, simulate

    if options["kind"] not in KINDS:
        raise UsageError(f"no kind of fault {options['kind']!r}{did_you_mean(options['kind'], KINDS)}")
    readers = options["readers"]
    if readers >= machine.cpus:
        raise UsageError(f"--readers {readers}: machine {machine.name} has {machine.cpus} CPUs, and one must fault")
    numbers = cpu_numbers(options["cpus"], machine.cpus - readers)
    chosen = [resolve_design(name) for name in options["design_names"] or ("page_table_lock", "v12_sound")]
    rows, objects = [], []
    curves: dict[str, dict[float, float]] = {}
    sampled = options["faults"] is None
    ended: BaseException | None = None
    say("simulating; the first run of a design compiles it ...")
    try:
        for design in chosen:
            for n in numbers:
                given = Given(
                    n,
                    faults=options["faults"],
                    kind=options["kind"],
                    placement=options["placement"],
                    work=options["work"] != "none",
                    readers=readers,
                    gib=options["gib"],
                    seed=options["seed"],
                )
                found = simulate(design, machine, given)
                rows.append(_row(design.name, found))
                objects.append({"design": design.name, **vars(found), "shares": found.shares()})
                curves.setdefault(design.name, {})[float(n)] = found.per_second
    except KeyboardInterrupt as interrupt:
        ended = interrupt  # what was simulated is printed all the same
    most = max(faults_each(Given(n, faults=options["faults"])) * n for n in numbers)
    says = [f"Simulated: {machine.name} ({machine.source}); {options['kind']}, placement {options['placement']}."]
    if sampled:
        says.append(f"Sampled: each row is of at most {most:,} faults; --faults simulates more.")
    _print(options, {"machine": machine.name, "seed": options["seed"], "rows": objects}, rows, says)
    _write_page(options, f"{options['kind']}, placement {options['placement']}", rows, says, curves)
    if options["plot"] is not None and curves:
        _draw(options["plot"], f"{options['kind']}, placement {options['placement']}", curves, machine.name)
    if ended is not None:
        raise ended


def _write_page(
    options: dict[str, Any],
    title: str,
    rows: Sequence[dict[str, Any]],
    says: Sequence[str],
    curves: Mapping[str, Mapping[float, float]],
) -> None:
    """Write rows, sentences and curves as a page, where --html asks for it."""

    def report() -> Report:
        from stress.report.plot import Panel
        from stress.report.report import Report, Section, Table, plots

        panel = Panel(title, "CPUs", "faults per second, all together", curves)
        picture = plots("Faults a second of all CPUs together, simulated", panel) if curves else []
        section = Section("Faults by number of CPUs", [Table(rows)], picture, behind=says)
        lead = "Every access of every step costs what its cache line's state and the distance to its owner cost."
        command = command_line(click.get_current_context())
        return Report(f"Simulated: {title}", command, [section], lead=lead)

    write_report(options["html"], report)


def _draw(path: Path, title: str, curves: dict[str, dict[float, float]], note: str) -> None:
    from stress.report.plot import Panel, draw

    draw(path, [Panel(title, "CPUs", "faults per second, all together", curves)], f"simulated: {note}")


def _save(path: Path | None, machine: ScaleMachine) -> None:
    from stress.scale.machine import text_of
    from stress.system.writing import write_file

    if path is not None:
        write_file("--save", path, text_of(machine).encode())


def _measure(options: dict[str, Any]) -> None:
    from stress.scale.machine import text_of
    from stress.scale.measure_machine import measure_machine

    machine = measure_machine()
    _save(options["save"], machine)
    if options["as_json"]:
        echo_json({"machine": text_of(machine)})
    else:
        click.echo(text_of(machine), nl=False)


def _fit(machine: ScaleMachine, options: dict[str, Any]) -> None:
    from dataclasses import replace

    from stress.commands.run_progress import say
    from stress.scale.judging import judge

    told = judge(machine, say, options["seed"])
    _save(options["save"], replace(told.machine, source=machine.source))
    _print(options, told.as_object(), told.residual_rows(), told.says())
    if not options["as_json"]:
        from stress.report.fitted import fitted

        click.echo(fitted(told.parameter_rows(), style=options["table_format"]))
    _write_page(options, "published and simulated", told.residual_rows(), told.says(), told.curves())
    if options["plot"] is not None:
        _draw(options["plot"], "published and simulated", told.curves(), told.machine.name)


def _predict(machine: ScaleMachine, options: dict[str, Any]) -> None:
    from stress import designs
    from stress.commands.run_progress import say
    from stress.scale.fit import DESIGNS
    from stress.scale.table_2004 import as_published, predict
    from stress.system.writing import write_file

    say("simulating each row of the tables ...")
    rows = []
    for name, rep in PREDICTED:
        design = designs.get(DESIGNS[name])
        for gb in PREDICTED_GIB:
            for threads in cpu_numbers(None, machine.cpus):
                given = {"gb": gb, "rep": rep, "threads": threads, "seed": options["seed"]}
                given["faults"] = PREDICTED_FAULTS
                all_run = predict(design, machine, **given)
                posted = as_published(design, machine, **given)
                rates = (f"{row.per_wall_s:.3f}" for row in (all_run, posted))
                rows.append(dict(zip(CSV_COLUMNS, (name, gb, rep, threads, *rates), strict=True)))
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_file("--predict", options["predict"], text.getvalue().encode())
    says = [
        f"{len(rows)} rows written to {options['predict']}: machine {machine.name}",
        "faults_per_wall_s: all threads run; as_published: at most 128 run, and the rate counts the pages of all",
        "v11_sloppy_rss_prefault: the prefault patch is no part of the model; a fault is taken to map two pages",
    ]
    _print(options, {"file": str(options["predict"]), "rows": rows}, (), says)
