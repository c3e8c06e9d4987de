"""The command `pte-stress hunt`: look for workloads that break a design."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shm_layout.errors import UsageError
from stress.commands.cases import Judged, case_options, check_cases, judged
from stress.commands.coverage import coverage_option, echo_coverage
from stress.commands.json_output import results_option, told_as_json
from stress.commands.options import (
    allow_code_option,
    check_folder,
    dask_option,
    format_option,
    jobs_option,
    json_option,
    memory_option,
    seed_option,
)
from stress.commands.pictures import PICTURES, command_line, picture_options, write_report
from stress.report.color import painted
from stress.report.progress import status_shown
from stress.system.cpus import available_cores
from stress.system.writing import cannot_write

if TYPE_CHECKING:
    from stress.explore.hunt.hunt import Find, Hunt


@click.command()
@click.argument("design", required=False)
@click.option("--arch", type=click.Choice(["64", "pae"]), help="pae: a pte is two halves of 32 bits.  [default: 64]")
@click.option("--seconds", type=float, default=60, show_default=True, help="Seconds to look.")
@click.option("--first", is_flag=True, help="End when the first violation has been found and made smaller.")
@click.option(
    "--check",
    "checks",
    multiple=True,
    metavar="NAME",
    help="Look at this check, and at those after which a kernel would have stopped; may be repeated.",
)
@click.option("--from", "source", type=click.Path(path_type=Path), help="Start from a failure that `run --save` wrote.")
@allow_code_option
@memory_option
@click.option(
    "--save", type=click.Path(path_type=Path), metavar="FOLDER", help="Make this folder, for files that `replay` takes."
)
@click.option(
    "--database",
    metavar="FOLDER|redis://HOST",
    help="Keep finds there, too, and try those of others first: a folder, or a Redis server (needs the extra `redis`).",
)
@jobs_option("Processes that draw workloads, each from seeds of its own; 1 draws the same for the same --seed.")
@dask_option
@coverage_option
@picture_options
@case_options
@results_option
@json_option
@format_option
@seed_option
@click.pass_context
def hunt(context: click.Context, /, design: str | None, source: Path | None, **options: Any) -> None:
    """Let Hypothesis draw workloads that break DESIGN, and make them smaller.

    DESIGN is a page-fault path with its counters: its name (`pte-stress list designs`), or your own as
    my_design.py:MINE. A workload says which CPU performs which operations. Most workloads have two operations at the
    same time on one page, in each state of the page and of its tasks that matters; none of these is tried twice. The
    others are larger: up to three CPUs with two operations each, on pages of files, too.

    The explorer tries every interleaving of each workload. Violations are listed by check, each with its smallest
    workload and its shortest schedule. Where the mends of DESIGN are known (v12, v12_reviewed, a design with one edit),
    a row is a fault and names its mend, and the hunt goes on for the faults that it hid. What was found is tried first
    the next time. Exit status 1 when there is one.

    --from starts from the operations that were under way in a failed run. Where its file names a design in a Python
    file, that is run only with --allow-code, or when DESIGN names it.
    """
    from stress.explore.hunt.databases import shared_database
    from stress.explore.hunt.hunt import Hunt
    from stress.explore.hunt.mends import mends_of
    from stress.explore.hunt.workloads import batches_of, kinds_of, workloads
    from stress.report.fitted import fitted_text
    from stress.resolve import resolve_design
    from stress.run_failure import read_failure

    if design is None and source is None:
        raise UsageError("give a design, or --from with the file of a failed run")
    if not options["seconds"] > 0:  # nor "nan"
        raise UsageError(f"--seconds {options['seconds']:g}: give a time above zero")
    folder = options["save"]
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write("--save", folder, error) from None
        check_folder(folder, folder)
    checks = list(options["checks"]) or None
    if source is not None:
        failure = read_failure(source)
        arch = options["arch"] or failure.arch
        named_in = None if design or options["allow_code"] else (source, f"hunt --from {source}")
        design = design or failure.design
        resolved = resolve_design(design, named_in=named_in)
        if missing := sorted(set(failure.kinds) - resolved.programs.keys()):
            if design != failure.design:
                said = f"is of design {failure.design}, and {design} has no {missing[0]}: leave {design} out"
            else:
                said = f"was edited: design {design} has no {missing[0]}; let `run --save` write it again"
            raise UsageError(f"{source} {said}")
        kinds = failure.kinds
        checks = checks or list(failure.checks)
    else:
        assert design is not None
        resolved = resolve_design(design)
        arch = options["arch"] or "64"
        kinds = kinds_of(resolved)
    database = shared_database(options["database"], resolved, options["memory"]) if options["database"] else None
    jobs = options["jobs"] or available_cores()
    with ExitStack() as stack:
        team = None
        if options["dask"] is not None:
            from stress.cluster.connecting import connected
            from stress.cluster.sent import Sent
            from stress.explore.hunt.shards import Crew, Shard

            shard = Shard(
                Sent.of(design),
                tuple(kinds),
                arch,
                options["memory"],
                tuple(checks) if checks else None,
                options["first"] or source is not None,
                options["database"] or "",
                options["seed"],
            )
            cluster = stack.enter_context(connected(options["dask"], options["jobs"]))
            team = partial(Crew, cluster, shard, options["seconds"])
        show = stack.enter_context(status_shown("hunting"))
        found = Hunt(
            resolved,
            workloads(kinds, arch, kinds_of(resolved), batches_of(resolved), machine=resolved.machine),
            seconds=options["seconds"],
            seed_=options["seed"],
            first=options["first"] or source is not None,
            checks=checks,
            memory=options["memory"],
            mends=mends_of(resolved),
            jobs=jobs,
            team=team,
            database=database,
            progress=lambda hunt: show(
                lambda: f"{hunt.workloads:,} workloads, {len(hunt.distinct())} distinct violations"
            ),
        )
        found.run()
    finds = found.distinct()
    outcome = _judged(options, (resolved.name, design), found, finds)
    more = found.coverage(arch).as_json() if options["coverage"] else {}
    if not told_as_json(options["as_json"], lambda: {**_as_object(found, finds), **more, **outcome.as_json()}):
        if options["coverage"]:
            echo_coverage(found.coverage(arch), options["table_format"])
        _print(found, finds, options["seed"], options["table_format"])
        if line := found.coverage(arch).line():
            click.echo(fitted_text(line))
        outcome.echo()
    outcome.write(seconds=found.elapsed)
    if folder is not None:
        _save(folder, design, finds, found)
    _write_pictures(context, options, design, finds, found)
    if found.interrupted:
        raise KeyboardInterrupt
    if found.ended_by is not None:
        raise found.ended_by
    context.exit(outcome.status)


def _judged(options: dict[str, Any], names: tuple[str, str], found: Hunt, finds: list[Find]) -> Judged:
    """What was found as cases, held against --known. A workload is drawn, so it is nothing to compare."""
    broken = []
    for find in finds:
        mend = find.fault.mend.name if find.fault else ""
        says = f"{find.workload}\nbroken in {find.violation.length} steps{f'; mended by {mend}' if mend else ''}"
        marks = {"arch": find.workload.machine.arch, "memory": found.memory, "mend": mend}
        broken.append((find.signature[0], says, marks))
    return judged(options, check_cases(names, broken, options["checks"]))


def _save(folder: Path, design: str, finds: list[Find], found: Hunt) -> None:
    from stress.explore import explore
    from stress.explore.counterexample.saved import save

    for number, find in enumerate(finds, 1):
        violation = find.violation
        if find.design is not found.design:
            # the file names the design as it was given, without a mend
            given = explore(found.design, find.workload, memory=found.memory).violation(find.signature[0])
            if given is None:
                continue
            violation = given
        path = folder / f"{found.design.name}-{find.workload.machine.arch}-{number}-{find.signature[0]}.json"
        save(path, design, found.design, find.workload, violation, found.memory)


def _write_pictures(
    context: click.Context, options: dict[str, Any], design: str, finds: list[Find], found: Hunt
) -> None:
    """Write the report, a page for each find beside it, and the other pictures of the first find."""
    from stress.commands.pictures import explore_command, write_pictures
    from stress.explore.counterexample.history import History, history
    from stress.explore.model.model import build
    from stress.report.report import Link, Report, Section, Table

    def taken(find: Find) -> History:
        return history(build(find.design, find.workload, found.memory), find.violation)

    path: Path | None = options["html"]
    rows = []
    for number, find in enumerate(finds, 1):
        page = path.with_name(f"{path.stem}-{number}-{find.signature[0]}{path.suffix}") if path else None
        files = {"html": page, **({k: options[k] for k in PICTURES[1:]} if number == 1 else {})}
        write_pictures(files, partial(taken, find), command=explore_command(design, find.workload, found.memory))
        check = Link(find.signature[0], page.name) if page else find.signature[0]
        length = {"steps": find.violation.length, "arch": find.workload.machine.arch}
        rows.append({"check": check, "workload": str(find.workload), **length})

    def report() -> Report:
        count = f"{len(finds) or 'no'} distinct violation{'s' * (len(finds) != 1)}"
        section = Section("What was found", [Table(rows)] if rows else [], behind=found.looked_at_nothing())
        return Report(
            f"A hunt for workloads that break {found.design.name}",
            command_line(context),
            [section],
            lead=found.design.summary,
            verdict=f"{count} in {found.workloads:,} workloads, {found.given_up:,} of them too large to finish",
            ok=not finds,
        )

    write_report(path, report)


def _print(found: Hunt, finds: list[Find], seed: int, table_format: str) -> None:
    from stress.explore.counterexample.text import counterexample
    from stress.explore.counterexample.trace import trace
    from stress.explore.hunt.workloads import batches_of
    from stress.explore.model.model import build
    from stress.report.fitted import fitted, fitted_text

    for find in finds:
        model = build(find.design, find.workload, found.memory)
        machine = find.workload.machine
        notes = [f"arch {machine.arch}", *(["mmu cache"] if machine.mmu else [])]
        if found.memory != "sc":
            notes.append(f"memory {found.memory}")
        if len(batches_of(found.design)) > 1:
            notes.append(f"batch {machine.batch}")
        if machine.arch == "pae":
            notes.append("frames above 4 GiB" if machine.above_4g else "frames below 4 GiB")
        if machine.private_file or machine.shared_file:
            kinds = (("anonymous", machine.anon), ("private file", machine.private_file), ("file", machine.shared_file))
            notes.append("pages: " + ", ".join(f"{count} {kind}" for kind, count in kinds if count))
        click.echo(fitted_text(f"{find.workload}  ({', '.join(notes)})"))
        click.echo(painted(counterexample(model, trace(model, find.violation), table_format)) + "\n")
    rows = [
        {
            "check": f.signature[0],
            "workload": str(f.workload),
            "length": f.violation.length,
            **({"mend": f.fault.mend.name if f.fault else ""} if found.faults else {}),
        }
        for f in finds
    ]
    if rows:
        click.echo(fitted(rows, style=table_format))
    for find in found.faults:
        assert find.fault is not None
        click.echo(fitted_text(f"{find.fault.mend.name}: {find.fault.mend.why}"))
    summary = (
        f"{found.design.name}: {len(finds) or 'no'} distinct violation{'s' * (len(finds) != 1)} in {found.workloads:,}"
        f" workloads ({found.given_up} of them too large to explore completely), seed {seed}"
    )
    click.echo(fitted_text(summary))
    for note in found.looked_at_nothing():
        click.echo(fitted_text(note))


def _as_object(found: Hunt, finds: list[Find]) -> dict[str, Any]:
    from stress.explore.counterexample.text import memory_json
    from stress.explore.counterexample.trace import trace
    from stress.explore.model.model import build

    violations = []
    for find in finds:
        steps = trace(build(find.design, find.workload, found.memory), find.violation).to_json()
        mend = find.fault.mend if find.fault else None
        violations.append(
            {
                "check": find.signature[0],
                "arch": find.workload.machine.arch,
                "workload": str(find.workload),
                "machine": find.workload.to_json()["machine"],
                "length": find.violation.length,
                **({"mend": {"name": mend.name, "why": mend.why}} if mend else {}),
                "steps": steps,
            }
        )
    return {
        "design": found.design.name,
        **memory_json(found.memory),
        "seconds": found.elapsed,
        "workloads": found.workloads,
        "given_up": found.given_up,
        "violations": violations,
        **({"notes": notes} if (notes := found.looked_at_nothing()) else {}),
    }

