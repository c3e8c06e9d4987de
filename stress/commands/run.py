"""The command `pte-stress run`: stress a design with worker processes, and check it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from shm_layout.errors import MachineError
from stress.commands.cases import Judged, case_options, check_cases, judged
from stress.commands.coverage import coverage_option, echo_coverage
from stress.commands.json_output import results_option, told_as_json
from stress.commands.options import (
    MOST_WORKERS,
    arch_option,
    format_option,
    json_option,
    placement_option,
    save_option,
    seconds_above_0,
    seed_option,
    work_option,
)
from stress.commands.pictures import perfetto_option
from stress.system.writing import write_file

if TYPE_CHECKING:
    from stress.coverage import Coverage
    from stress.system.interrupts import Asked
    from stress.workers.pool import Pool
    from stress.workers.records import Result, Verdict

REPORTING = ("known", "junit", "save", "perfetto", "as_json", "table_format")
"""Options that say how a run is reported, not what it does."""


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
@click.option("--seconds", type=float, default=3.0, show_default=True, callback=seconds_above_0, help="Seconds to run.")
@click.option(
    "--operations",
    type=click.IntRange(1, 1 << 62),
    metavar="N",
    help="Operations of all workers after which to end, if that is before --seconds.",
)
@click.option(
    "--pages",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    help="Anonymous pages of the first address space; its children have the same, or the last 8192 of them.",
)
@click.option(
    "--file-pages",
    type=click.IntRange(0),
    default=32,
    show_default=True,
    help="Pages of a file that is mapped, too: half in a private mapping, half in a shared one.",
)
@click.option(
    "--mix",
    metavar="fault=60,zap=10,...",
    help="How often each operation is drawn, as weights  [default: fault, zap, fork, clone, exit, /proc reads]",
)
@arch_option
@click.option("--below-4g", is_flag=True, help="Put all page frames below 4 GiB.")
@click.option(
    "--mmu", is_flag=True, help="update_mmu_cache loads a cache of translations for each CPU: check mmu_cache."
)
@placement_option
@work_option("none")
@perfetto_option
@save_option("File to write a failure to: design, seed, mix and the operations under way (JSON).")
@coverage_option
@case_options
@results_option
@seed_option
@json_option
@format_option
@click.pass_context
def run(context: click.Context, /, **options: Any) -> None:
    """Stress a design with worker processes on shared memory; check it.

    A design is a page-fault path with its counters (`pte-stress list designs`). Every worker performs random
    operations, such as faults, forks and reads of /proc, at full speed. Reads are compared with the truth while the
    workers run. At the end, when no operation is under way (at rest), all other checks are made. Exit status 1 when a
    check is broken.
    """
    from stress.commands.run_progress import say, say_notes
    from stress.explore.strategies.first_look import first_look
    from stress.resolve import resolve_design
    from stress.workers.mix import default_mix, parse_mix
    from stress.workers.mix_machine import machine_for
    from stress.workers.pool import Pool

    say_notes()
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
    performed = [name for name, weight in mix.items() if weight]
    looked_at = first_look(design, machine.arch, performed, options["workers"])
    if worked := options["work"] != "none" and "fault" in design.programs:
        from stress.workers.loop.page_work import working

        looked_at = working(looked_at, traps=options["work"] == "trap+clear")
    with Pool(
        looked_at,
        machine,
        options["workers"],
        placement=PLACEMENTS[options["placement"]],
        operations=performed,
        covered=options["coverage"],
        on_compile=lambda: say(f"compiling {design.name} for arch {machine.arch}, once ..."),
    ) as pool:
        if worked:
            from stress.workers.work import measure_work, set_work

            set_work(pool, measure_work(options["work"], options["page_size"]))
        context.exit(_run(pool, mix, options))


def _command(options: dict[str, Any]) -> list[str]:
    """Return what repeats this run, its seed included."""
    words = ["pte-stress", "run"]
    for option in run.params:
        value = options.get(str(option.name))
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
        outcome = _judged(pool, options, verdicts)
        failure = run_report.failed_json(pool, options["seed"], verdicts)
        if not told_as_json(options["as_json"], lambda: {**failure, **outcome.as_json()}):
            click.echo(run_report.verdicts_table(verdicts, options["table_format"]))
            outcome.echo()
        _save(pool, mix, options, verdicts)
        outcome.write()
        return outcome.status


def _judged(pool: Pool, options: dict[str, Any], verdicts: Sequence[Verdict]) -> Judged:
    """The verdicts as cases, held against --known."""
    marks = {"arch": pool.machine.arch, "memory": "sc"}
    broken = [(v.name, v.detail, marks) for v in verdicts if not v.ok]
    names = (pool.design.name, options["design"])
    return judged(options, check_cases(names, broken, [v.name for v in verdicts]))


def _covered(pool: Pool, result: Result) -> Coverage:
    """Say which steps of the operations that were performed no worker took."""
    from stress.coverage import Coverage

    performed = tuple(name for name, count in result.ops.items() if count)
    return Coverage(pool.design, pool.machine.arch, pool.taken(), performed)


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
        at_rest = pool.design.machine.has_mms and not pool.stuck
        read, true = (pool.read(0), pool.truth(0)) if at_rest else (None, None)
        outcome = _judged(pool, options, verdicts)
        covered = _covered(pool, result) if options["coverage"] else None
        more = {**(covered.as_json() if covered else {}), **outcome.as_json()}
        if not told_as_json(
            as_json, lambda: {**run_report.as_json(pool, seed, result, verdicts, read, true), **more}
        ):
            if covered:
                echo_coverage(covered, options["table_format"])
            click.echo(run_report.text(pool, result, verdicts, options["table_format"]))
            outcome.echo()
        outcome.write(seconds=result.seconds)
        _save(pool, mix, options, verdicts)
        if options["perfetto"]:
            from stress.workers.perfetto import perfetto

            write_file("--perfetto", options["perfetto"], perfetto(pool).encode())
    if asked.is_set():
        raise KeyboardInterrupt
    return outcome.status
