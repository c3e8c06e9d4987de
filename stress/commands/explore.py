"""The command `pte-stress explore`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shm_layout.errors import UsageError
from stress.commands.options import format_option, json_option, save_option, seconds_above_0, seed_option
from stress.report.progress import status_shown
from stress.system.text_file import parse_json, read_text

if TYPE_CHECKING:
    from stress.workload import Workload

STRATEGIES = ("breadth-first", "random", "pct", "preemption")


def read_workload(text: str | None, file: Path | None, machine: dict[str, Any]) -> Workload:
    """The workload that the command line gives, as text or in a file (text, or JSON). Raises `UsageError`."""
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
@click.option("--arch", type=click.Choice(["64", "pae"]), help="How wide an access to a pte is.  [default: 64]")
@click.option("--pages", "anon", type=int, help="Anonymous pages of an mm.")
@click.option("--private-file-pages", "private_file", type=int, help="Pages of a private file mapping, behind them.")
@click.option("--file-pages", "shared_file", type=int, help="Pages of a shared file mapping, behind these.")
@click.option("--mms", type=int, help="Address spaces.")
@click.option("--frames", type=int, help="Page frames, the zero page among them.")
@click.option("--swap", type=int, help="Swap slots.")
@click.option("--batch", type=int, help="Batch of per-CPU counters, pages.")
@click.option("--mmu", is_flag=True, default=None, help="update_mmu_cache loads a cache of translations.")
@click.option("--below-4g", is_flag=True, help="All pages lie below 4 GiB.")
@click.option("--max-states", type=int, help="States kept at most.")
@click.option("--max-memory", type=int, metavar="MIB", help="Memory at most, MiB.  [default: half of what is free]")
@click.option("--max-seconds", type=float, callback=seconds_above_0, help="Time at most.")
@click.option(
    "--strategy",
    type=click.Choice(STRATEGIES),
    default=STRATEGIES[0],
    show_default=True,
    help="How to look: all states, or schedules at random where they are too many.",
)
@click.option("--runs", type=int, help="Schedules that random and pct try.  [default: 1000]")
@click.option("--depth", type=int, help="pct: ordering constraints of the bug looked for.  [default: 3]")
@click.option("--preemptions", type=int, help="preemption: switches away from a CPU that could go on.  [default: 2]")
@click.option(
    "--check",
    "checks",
    multiple=True,
    metavar="NAME",
    help="Look at this check, and at those that end a path; may be repeated.",
)
@click.option("--all", "show_all", is_flag=True, help="Print a counterexample for each check, not only the shortest.")
@save_option("Write the shortest counterexample to a file.")
@json_option
@format_option
@seed_option
@click.pass_context
def explore(context: click.Context, /, design: str, workload: str | None, file: Path | None, **options: Any) -> None:
    """Try every interleaving of one small WORKLOAD on DESIGN; print the shortest counterexample.

    WORKLOAD has a column for each CPU: 'fault 0 w; zap 0-1 | swap_out | statm'. What stands before '||' is performed
    beforehand, one after the other, by CPU 0 or the CPU that is named: '1: fault 0 w || exec | status'. DESIGN is a
    name, or my_design.py:MINE.

    Exit status 1 when a check breaks.
    """
    from stress.commands.counterexample_text import counterexample, looked_at_nothing, summary, violations_json
    from stress.explore import Bounds, search
    from stress.explore.counterexample.saved import save
    from stress.explore.counterexample.trace import trace
    from stress.resolve import resolve_design

    machine = {k: options[k] for k in _MACHINE}
    if options["below_4g"]:
        machine["above_4g"] = False
    resolved = resolve_design(design)
    given = read_workload(workload, file, machine)
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
            progress=lambda found, visited, depth: show(
                lambda: f"{found:,} states, {visited:,} visited, depth {depth}"
            ),
        )
    traces = [trace(model, violation) for violation in result.violations]
    shortest = min(traces, key=lambda t: t.violation.length, default=None)
    if options["as_json"]:
        figures = ("complete", "states", "transitions", "depth", "seconds", "outcomes")
        values = {name: getattr(result, name) for name in figures}
        head = {"design": result.design.name, "arch": given.machine.arch, "workload": str(given)}
        notes = looked_at_nothing(result)
        more = {"notes": notes} if notes else {}
        click.echo(json.dumps({**head, **values, "violations": violations_json(result, traces), **more}))
    else:
        for found in traces if options["show_all"] else [shortest] if shortest else []:
            click.echo(counterexample(model, found, options["table_format"]) + "\n")
        click.echo(summary(result, options["table_format"]))
    if options["save"] and shortest:
        save(options["save"], design, resolved, given, shortest.violation)
    result.as_answer()
    context.exit(1 if result.violations else 0)


_MACHINE = ("arch", "anon", "private_file", "shared_file", "mms", "frames", "swap", "batch", "mmu")
