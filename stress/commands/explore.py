"""The command `pte-stress explore`: try every interleaving of one small workload."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shm_layout.errors import PteStressError, UsageError
from stress.commands.cases import case_options, check_cases, judged
from stress.commands.coverage import coverage_option, echo_coverage
from stress.commands.json_output import results_option, told_as_json
from stress.commands.options import (
    format_option,
    jobs_option,
    json_option,
    memory_option,
    save_option,
    seconds_above_0,
    seed_option,
)
from stress.commands.pictures import PICTURES, command_line, picture_options, write_report
from stress.report.color import painted
from stress.report.progress import status_shown
from stress.system.text_file import parse_json, read_text

if TYPE_CHECKING:
    from stress.explore import Result
    from stress.workload import Workload

STRATEGIES = ("breadth-first", "random", "pct", "preemption")


def read_workload(text: str | None, file: Path | None, machine: dict[str, Any]) -> Workload:
    """Return the workload that the command line gives, as text or in a file (text, or JSON). Raises `UsageError`."""
    from stress.workload import Workload

    if (text is None) == (file is None):
        raise UsageError("give one workload, as text like 'fault 0 w | zap 0' or with --file")
    if file is not None:
        text = read_text(file, "name a file with a workload")
    assert text is not None
    if text.lstrip().startswith("{"):
        name = str(file or "the workload")
        loaded = Workload.from_json(parse_json(text, name, "what begins with '{' is JSON, as --json gives it"))
        return loaded.on(**{k: v for k, v in machine.items() if v is not None})
    return Workload.parse(" ".join(text.split()), **machine)


@click.command()
@click.argument("design")
@click.argument("workload", required=False)
@click.option("--file", type=click.Path(path_type=Path), help="Read the workload from a file.")
@click.option("--arch", type=click.Choice(["64", "pae"]), help="pae: a pte is two halves of 32 bits.  [default: 64]")
@click.option("--pages", "anon", type=int, help="Anonymous pages of an mm.")
@click.option("--private-file-pages", "private_file", type=int, help="Pages of a private file mapping: they come next.")
@click.option("--file-pages", "shared_file", type=int, help="Pages of a shared file mapping: they come last.")
@click.option("--mms", type=int, help="Address spaces.")
@click.option("--frames", type=int, help="Page frames, the zero page among them.")
@click.option("--swap", type=int, help="Swap slots.")
@click.option("--batch", type=int, help="Batch of per-CPU counters, pages.")
@click.option("--mmu", is_flag=True, default=None, help="Model the caches that update_mmu_cache loads.")
@click.option("--below-4g", is_flag=True, help="Put all page frames below 4 GiB.")
@click.option("--max-states", type=int, help="End when this many states are kept.")
@click.option(
    "--max-memory",
    type=int,
    metavar="MIB",
    help="End when the states take this much memory.  [default: half of what is free]",
)
@click.option("--max-seconds", type=float, callback=seconds_above_0, help="End after this many seconds.")
@click.option(
    "--strategy",
    type=click.Choice(STRATEGIES),
    default=STRATEGIES[0],
    show_default=True,
    help="How to look: at all states, or at a part of them where they are too many.",
)
@click.option("--runs", type=int, help="Schedules that random and pct try.  [default: 1000]")
@click.option("--depth", type=int, help="pct: ordering constraints of the bug looked for.  [default: 3]")
@click.option("--preemptions", type=int, help="preemption: switches away from a CPU that could go on.  [default: 2]")
@jobs_option("Threads that share the search. What it finds does not depend on them.")
@click.option(
    "--reduction/--no-reduction",
    default=None,
    help="Whether states of a large search are passed over that change no verdict.  [default: they are]",
)
@click.option("--symmetry/--no-symmetry", default=True, help="Whether CPUs that do the same are interchangeable.")
@click.option(
    "--check",
    "checks",
    multiple=True,
    metavar="NAME",
    help="Look at this check, and at those after which a kernel would have stopped; may be repeated.",
)
@click.option("--all", "show_all", is_flag=True, help="Print a counterexample for each check, not only the shortest.")
@memory_option
@coverage_option
@picture_options
@save_option("Write the shortest counterexample to a file.")
@case_options
@results_option
@click.option("--finals", is_flag=True, help="List the final states: the words in which they differ.")
@json_option
@format_option
@seed_option
@click.pass_context
def explore(context: click.Context, /, design: str, workload: str | None, file: Path | None, **options: Any) -> None:
    """Try every interleaving of one small WORKLOAD on DESIGN; print the shortest counterexample.

    DESIGN is a page-fault path with its counters: its name (`pte-stress list designs`), or your own as
    my_design.py:MINE. WORKLOAD says which CPU performs which operations, in a column for each CPU: 'fault 0 w; zap 0-1
    | swap_out | statm'. What stands before '||' is performed beforehand, one after the other, by CPU 0 or the CPU that
    is named: '1: fault 0 w || exec | status'.

    Exit status 1 when a check breaks.
    """
    from stress.coverage import Coverage
    from stress.explore import Bounds, search
    from stress.explore.counterexample.saved import save
    from stress.explore.counterexample.text import (
        counterexample,
        ending,
        looked_at_nothing,
        memory_json,
        summary,
        violations_json,
    )
    from stress.explore.counterexample.trace import trace
    from stress.explore.final_states import final_values, finals_table
    from stress.explore.model.model import buffer_note
    from stress.explore.result import NOT_SHORTEST
    from stress.resolve import resolve_design

    machine = {k: options[k] for k in _MACHINE}
    if options["below_4g"]:
        machine["above_4g"] = False
    resolved = resolve_design(design)
    given = read_workload(workload, file, machine)
    if options["finals"] and options["strategy"] != STRATEGIES[0]:
        raise UsageError(f"--finals lists all final states: use it with --strategy {STRATEGIES[0]}")
    megabytes = options["max_memory"]
    bounds = Bounds(
        options["max_states"], None if megabytes is None else megabytes << 20, options["max_seconds"]
    )
    with status_shown("exploring") as show:
        result, model = search(
            resolved,
            given,
            strategy=options["strategy"],
            bounds=bounds,
            checks=options["checks"] or None,
            seed=options["seed"],
            runs=options["runs"],
            depth=options["depth"],
            preemptions=options["preemptions"],
            memory=options["memory"],
            finals=options["finals"],
            jobs=options["jobs"],
            reduction=options["reduction"],
            symmetry=options["symmetry"],
            progress=lambda found, visited, depth: show(
                lambda: f"{found:,} states, {visited:,} visited, depth {depth}"
            ),
        )
    traces = [trace(model, violation) for violation in result.violations]
    marks = {"arch": given.machine.arch, "memory": result.memory, "workload": str(given)}
    performed = {operation.name for operation in given.operations()}
    covered = Coverage(
        resolved, given.machine.arch, result.taken, tuple(name for name in resolved.programs if name in performed)
    )
    outcome = judged(
        options,
        check_cases(
            (resolved.name, design),
            [(t.violation.check, counterexample(model, t, "simple"), marks) for t in traces],
            options["checks"],
            open_because="" if result.complete else ending(result),
        ),
    )
    shortest = min(traces, key=lambda t: t.violation.length, default=None)
    refused: PteStressError | None = None
    if options["save"] and shortest:  # before it is printed: a reader may stop there, as `head` does
        try:
            save(options["save"], design, resolved, given, shortest.violation, options["memory"])
        except PteStressError as error:
            refused = error

    def as_json() -> dict[str, Any]:
        figures = ("complete", "states", "transitions", "depth", "seconds", "outcomes")
        values = {name: getattr(result, name) for name in figures}
        head = {"design": result.design.name, "arch": given.machine.arch, "workload": str(given)}
        head |= memory_json(result.memory)
        told = [note for note in result.notes if note == buffer_note(model) or note.startswith(NOT_SHORTEST)]
        notes = [*told, *looked_at_nothing(result)]
        more: dict[str, Any] = {"notes": notes} if notes else {}
        if result.reduced:
            more["reduced"] = True
        if options["coverage"]:
            more |= covered.as_json()
        if options["finals"]:
            more["finals"] = final_values(model, result)
        return {**head, **values, "violations": violations_json(result, traces), **more, **outcome.as_json()}

    if not told_as_json(options["as_json"], as_json):
        for found in traces if options["show_all"] else [shortest] if shortest else []:
            click.echo(painted(counterexample(model, found, options["table_format"])) + "\n")
        if options["finals"]:
            click.echo(finals_table(final_values(model, result), options["table_format"]) + "\n")
        if options["coverage"]:
            echo_coverage(covered, options["table_format"])
        click.echo(painted(summary(result, options["table_format"], more=covered.line())))
        outcome.echo()
    outcome.write(seconds=result.seconds)
    if shortest:
        from stress.commands.pictures import explore_command, write_pictures
        from stress.explore.counterexample.history import history

        violation, command = shortest.violation, explore_command(design, given, result.memory)
        write_pictures(options, lambda: history(model, violation), command=command)
    else:
        _without_counterexample(context, options, result)
    if refused is not None:
        raise refused
    result.as_answer()
    context.exit(outcome.status)


def _without_counterexample(context: click.Context, options: dict[str, Any], result: Result) -> None:
    """Write the page of an exploration in which nothing broke; a trace or a diagram of it there is none."""
    from stress.explore.counterexample.text import ending, looked_at_nothing, summary_row
    from stress.report.report import Report, Section, Table

    def report() -> Report:
        said = [*result.notes, *looked_at_nothing(result)]
        section = Section("What was explored", [Table([summary_row(result)])], before=said)
        title = f"{result.design.name} holds on {result.workload}"
        lead = result.design.summary
        return Report(title, command_line(context), [section], lead=lead, verdict=ending(result), ok=result.complete)

    write_report(options["html"], report)
    for name in PICTURES[1:]:
        if options[name]:
            click.echo(f"--{name}: nothing is written, because no check was seen broken", err=True)


_MACHINE = ("arch", "anon", "private_file", "shared_file", "mms", "frames", "swap", "batch", "mmu")
