"""The command `pte-stress run`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from shm_layout.errors import MachineError
from stress.commands.options import (
    MOST_WORKERS,
    arch_option,
    format_option,
    json_option,
    placement_option,
    save_option,
    seconds_above_0,
    seed_option,
)
from stress.system.writing import write_file

if TYPE_CHECKING:
    from stress.system.interrupts import Asked
    from stress.workers.pool import Pool
    from stress.workers.records import Result, Verdict

REPORTING = ("save", "as_json", "table_format")
"""Options that say how a run is told, not what it does."""


@click.command()
@click.option(
    "--design",
    default="v12_sound",
    show_default=True,
    metavar="NAME",
    help="Design to stress: its name, or your own as my_design.py:MINE.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, MOST_WORKERS),
    default=2,
    show_default=True,
    metavar="N",
    help="Worker processes.",
)
@click.option(
    "--seconds", type=float, default=3.0, show_default=True, callback=seconds_above_0, help="How long to run."
)
@click.option(
    "--operations",
    type=click.IntRange(1, 1 << 62),
    metavar="N",
    help="End after so many operations, if that comes first.",
)
@click.option(
    "--pages",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    help="Anonymous pages of the first address space; its children have the same, or the last 8192.",
)
@click.option(
    "--file-pages",
    type=click.IntRange(0),
    default=32,
    show_default=True,
    help="Pages of a file that is mapped too, half of them privately.",
)
@click.option(
    "--mix",
    metavar="fault=60,zap=10,...",
    help="Weights of the operations  [default: fault, zap, fork, clone, exit and /proc reads]",
)
@arch_option
@click.option("--below-4g", is_flag=True, help="Put all page frames below 4 GiB.")
@click.option(
    "--mmu", is_flag=True, help="update_mmu_cache loads a cache of translations for each CPU: check mmu_cache."
)
@placement_option
@save_option("Where to write a failure: design, seed, mix and what was under way (JSON).")
@seed_option
@json_option
@format_option
@click.pass_context
def run(context: click.Context, /, **options: Any) -> None:
    """Stress a design with worker processes on shared memory; check it.

    Every worker performs random operations at full speed. Reads of /proc are compared with the truth while they run;
    at the end, at rest, all other checks are made. Exit status 1 when a check is broken.
    """
    from stress.commands.run_progress import say
    from stress.explore.strategies.first_look import first_look
    from stress.resolve import resolve_design
    from stress.workers.mix import default_mix, parse_mix
    from stress.workers.mix_machine import machine_for
    from stress.workers.pool import Pool

    design = resolve_design(options["design"])
    mix = default_mix(design) if options["mix"] is None else parse_mix(options["mix"], design)
    from shm_layout.placement import PLACEMENTS

    machine = machine_for(
        mix,
        workers=options["workers"],
        pages=options["pages"],
        file_pages=options["file_pages"],
        arch=options["arch"],
        above_4g=not options["below_4g"],
        mmu=options["mmu"],
        batch=design.bound.batch(options["workers"]),
    )
    with Pool(
        first_look(design, machine.arch, [name for name, weight in mix.items() if weight]),
        machine,
        options["workers"],
        placement=PLACEMENTS[options["placement"]],
        operations=[name for name, weight in mix.items() if weight],
        on_compile=lambda: say(f"compiling {design.name} for arch {machine.arch}, once ..."),
    ) as pool:
        context.exit(_run(pool, mix, options))


def _command(options: dict[str, Any]) -> list[str]:
    """What repeats this run, its seed included."""
    words = ["pte-stress", "run"]
    for option in run.params:
        value = options[str(option.name)]
        if option.name in REPORTING or value is None or value is False:
            continue
        words += option.opts if value is True else [*option.opts, str(value)]
    return words


def _finish(pool: Pool, asked: Asked) -> Result:
    """Bring the workers to rest. Who gets no CPU is not waited for when the user wants the end."""
    from stress.workers.crew import NO_CPU_ASKED

    if not asked.is_set():
        return pool.finish()
    pool.patience = NO_CPU_ASKED
    try:
        return pool.finish()
    except MachineError:
        raise KeyboardInterrupt from None


def _run(pool: Pool, mix: dict[str, float], options: dict[str, Any]) -> int:
    """Run, print, and return the exit status. A failed assertion in a step or a check breaks check `user`."""
    from stress.commands import run_report
    from stress.workers.errors import StepFailed
    from stress.workers.records import Verdict

    try:
        return _perform(pool, mix, options)
    except StepFailed as failed:
        verdicts = [Verdict("user", False, str(failed))]
        if options["as_json"]:
            click.echo(json.dumps(run_report.failed_json(pool, options["seed"], verdicts)))
        else:
            click.echo(run_report.verdicts_table(verdicts, options["table_format"]))
        _save(pool, mix, options, verdicts)
        return 1


def _save(pool: Pool, mix: dict[str, float], options: dict[str, Any], verdicts: Sequence[Verdict]) -> None:
    """Write what --save asks for when a check is broken."""
    from stress.commands import run_report

    if options["save"] and not all(v.ok for v in verdicts):
        found = run_report.failure(pool, options["design"], options["seed"], mix, verdicts, _command(options))
        write_file("--save", options["save"], (json.dumps(found, indent=1) + "\n").encode())


def _perform(pool: Pool, mix: dict[str, float], options: dict[str, Any]) -> int:
    """Let the workers run, print what came out, and return the exit status."""
    from stress.commands import run_report
    from stress.commands.run_progress import live_progress
    from stress.system.interrupts import interrupts

    seed, as_json = options["seed"], options["as_json"]
    if not as_json:
        click.echo(run_report.head(pool, seed))
    pool.start(mix, seed=seed, operations=options["operations"] or 0)
    with interrupts() as asked:
        with live_progress() as show:
            while not asked.is_set() and pool.progress().seconds < options["seconds"] and pool.running():
                pool.wait(min(0.25, options["seconds"] - pool.progress().seconds))
                show(pool.progress())
        result = _finish(pool, asked)
        verdicts = pool.verdicts()
        read, true = (None, None) if pool.stuck else (pool.read(0), pool.truth(0))
        if as_json:
            click.echo(json.dumps(run_report.as_json(pool, seed, result, verdicts, read, true)))
        else:
            click.echo(run_report.text(pool, result, verdicts, options["table_format"]))
        _save(pool, mix, options, verdicts)
    if asked.is_set():
        raise KeyboardInterrupt
    return 0 if all(v.ok for v in verdicts) else 1
