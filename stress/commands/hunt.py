"""The command `pte-stress hunt`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shm_layout.errors import UsageError
from stress.commands.options import allow_code_option, check_folder, format_option, json_option, seed_option
from stress.report.progress import status_shown

if TYPE_CHECKING:
    from stress.explore.hunt.hunt import Find, Hunt


@click.command()
@click.argument("design", required=False)
@click.option("--arch", type=click.Choice(["64", "pae"]), help="How wide an access to a pte is.  [default: 64]")
@click.option("--seconds", type=float, default=60, show_default=True, help="How long to look.")
@click.option("--first", is_flag=True, help="End at the first find, when it has been made smaller.")
@click.option(
    "--check",
    "checks",
    multiple=True,
    metavar="NAME",
    help="Look at this check, and at those that end a path; may be repeated.",
)
@click.option("--from", "source", type=click.Path(path_type=Path), help="Start from a failure that `run --save` wrote.")
@allow_code_option
@click.option("--save", type=click.Path(path_type=Path), metavar="FOLDER", help="Write a replay file for each find.")
@json_option
@format_option
@seed_option
@click.pass_context
def hunt(context: click.Context, /, design: str | None, source: Path | None, **options: Any) -> None:
    """Let Hypothesis draw workloads that break DESIGN, and make them smaller.

    One half of the workloads are two operations at the same time on one page, on each state of the page and of its
    tasks that matters: all of these are tried in the end, none of them twice. The others are larger: up to three CPUs
    with two operations each, on pages of files, too.

    --from starts from what was under way in a failed run. Where its file names a design in a Python file, that is run
    only with --allow-code, or when DESIGN names it.

    The explorer tries every interleaving of each workload. Violations are listed by check, each with its smallest
    workload and shortest schedule. What was found is tried first the next time. Exit status 1 when there is a find.
    """
    from stress.explore.hunt.hunt import Hunt
    from stress.explore.hunt.workloads import batches_of, kinds_of, workloads
    from stress.resolve import resolve_design
    from stress.run_failure import read_failure

    if design is None and source is None:
        raise UsageError("give a design, or --from with the file of a failed run")
    if not options["seconds"] > 0:  # nor "nan"
        raise UsageError(f"--seconds {options['seconds']:g}: give a time above zero")
    folder = options["save"]
    if folder is not None and not folder.is_dir():
        raise UsageError(f"--save {folder}: no such folder; make it first")
    if folder is not None:
        check_folder(folder, folder)
    checks = list(options["checks"]) or None
    if source is not None:
        failure = read_failure(source)
        arch = options["arch"] or failure.arch
        named_in = None if design or options["allow_code"] else (source, f"hunt --from {source}")
        design = design or failure.design
        resolved = resolve_design(design, named_in=named_in)
        if missing := sorted(set(failure.kinds) - resolved.programs.keys()):
            raise UsageError(
                f"{source} was edited, or is of another design: design {design} has no {missing[0]};"
                " let `run --save` write it again"
            )
        strategy = workloads(failure.kinds, arch, kinds_of(resolved), batches_of(resolved))
        checks = checks or list(failure.checks)
    else:
        assert design is not None
        resolved = resolve_design(design)
        arch = options["arch"] or "64"
        strategy = workloads(kinds_of(resolved), arch, batches=batches_of(resolved))
    with status_shown("hunting") as show:
        found = Hunt(
            resolved,
            strategy,
            seconds=options["seconds"],
            seed_=options["seed"],
            first=options["first"] or source is not None,
            checks=checks,
            progress=lambda hunt: show(
                lambda: f"{hunt.workloads:,} workloads, {len(hunt.distinct())} distinct violations"
            ),
        )
        found.run()
    finds = found.distinct()
    if options["as_json"]:
        click.echo(json.dumps(_as_object(found, finds)))
    else:
        _print(found, finds, options["seed"], options["table_format"])
    if folder is not None:
        _save(folder, design, finds, found)
    if found.interrupted:
        raise KeyboardInterrupt
    context.exit(1 if finds else 0)


def _save(folder: Path, design: str, finds: list[Find], found: Hunt) -> None:
    from stress.explore.counterexample.saved import save

    for number, find in enumerate(finds, 1):
        path = folder / f"{found.design.name}-{find.workload.machine.arch}-{number}-{find.signature[0]}.json"
        save(path, design, found.design, find.workload, find.violation)


def _print(found: Hunt, finds: list[Find], seed: int, table_format: str) -> None:
    from stress.commands.counterexample_text import counterexample
    from stress.explore.counterexample.trace import trace
    from stress.explore.hunt.workloads import batches_of
    from stress.explore.model.model import build
    from stress.report.fitted import fitted, fitted_text

    for find in finds:
        model = build(found.design, find.workload)
        machine = find.workload.machine
        notes = [f"arch {machine.arch}", *(["mmu cache"] if machine.mmu else [])]
        if len(batches_of(found.design)) > 1:
            notes.append(f"batch {machine.batch}")
        if machine.arch == "pae":
            notes.append("frames above 4 GiB" if machine.above_4g else "frames below 4 GiB")
        if machine.private_file or machine.shared_file:
            kinds = (("anonymous", machine.anon), ("private file", machine.private_file), ("file", machine.shared_file))
            notes.append("pages: " + ", ".join(f"{count} {kind}" for kind, count in kinds if count))
        click.echo(fitted_text(f"{find.workload}  ({', '.join(notes)})"))
        click.echo(counterexample(model, trace(model, find.violation), table_format) + "\n")
    rows = [
        {"check": f.signature[0], "workload": str(f.workload), "length": f.violation.length} for f in finds
    ]
    if rows:
        click.echo(fitted(rows, style=table_format))
    summary = (
        f"{found.design.name}: {len(finds) or 'no'} distinct violation{'s' * (len(finds) != 1)} in {found.workloads:,}"
        f" workloads ({found.given_up} of them too large to explore completely), seed {seed}"
    )
    click.echo(fitted_text(summary))
    for note in found.looked_at_nothing():
        click.echo(fitted_text(note))


def _as_object(found: Hunt, finds: list[Find]) -> dict[str, Any]:
    from stress.explore.counterexample.trace import trace
    from stress.explore.model.model import build

    violations = []
    for find in finds:
        steps = trace(build(found.design, find.workload), find.violation).to_json()
        violations.append(
            {
                "check": find.signature[0],
                "arch": find.workload.machine.arch,
                "workload": str(find.workload),
                "machine": find.workload.to_json()["machine"],
                "length": find.violation.length,
                "steps": steps,
            }
        )
    return {
        "design": found.design.name,
        "seconds": found.elapsed,
        "workloads": found.workloads,
        "given_up": found.given_up,
        "violations": violations,
        **({"notes": notes} if (notes := found.looked_at_nothing()) else {}),
    }

