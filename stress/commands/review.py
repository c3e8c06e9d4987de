"""The command `pte-stress review`: show the points of the review, broken as posted and sound when corrected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shm_layout.errors import PteStressError, UsageError
from stress.commands.cases import case_options, judged
from stress.commands.json_output import results_option, told_as_json
from stress.commands.options import dask_option, format_option, jobs_option, json_option, seed_option
from stress.commands.pictures import PICTURES, picture_options
from stress.memory_model import NAMES
from stress.report.case import BROKEN, ERROR, HOLDS, OPEN, Case
from stress.report.color import painted
from stress.report.words import did_you_mean
from stress.system.load import LoadWatch

if TYPE_CHECKING:
    from stress.findings.measurement import Measured
    from stress.findings.show import Shown
    from stress.rss.subjects import Subject


@click.command()
@click.option(
    "--finding", "identifiers", multiple=True, metavar="ID", help="One finding, as a page of its own; may be repeated."
)
@click.option(
    "--chapter",
    type=click.Choice(["letter", "further", "races", "weak"]),
    help="One chapter: points of the letter, faults that it does not name, races that real kernels shipped, or what"
    " shows only where stores are seen late.",
)
@click.option("--measure", "measuring", is_flag=True, help="Take the measurements, too: some seconds each.")
@click.option(
    "--memory",
    type=click.Choice(NAMES),
    help="Explore all findings under this memory model.  [default: sc, and for W01 and on what they need]",
)
@click.option(
    "--counter",
    "own",
    multiple=True,
    metavar="FILE:NAME",
    help="With --measure: a counter of your own, as my_counter.py:MINE, beside those of F04; may be repeated.",
)
@click.option(
    "--effort",
    type=click.FloatRange(0.05, 100),
    default=1.0,
    show_default=True,
    help="Length of the measurements; 1 is the usual one.",
)
@jobs_option("Processes that explore several findings at once.")
@dask_option
@picture_options
@case_options
@results_option
@seed_option
@json_option
@format_option
@click.pass_context
def review(
    context: click.Context,
    /,
    identifiers: tuple[str, ...],
    measuring: bool,
    memory: str | None,
    own: tuple[str, ...],
    **options: Any,
) -> None:
    """Show the points of the review of V12, and the faults that it does not name.

    A finding is a workload on a pair of designs: the sound one with a point put back as it was posted, which breaks a
    check, and the sound one, which holds all checks in every interleaving; or it is a measurement. W01 and on show only
    where stores may be seen late or out of order: one barrier left out breaks them. Under --memory tso or pso "holds"
    says whether each corrected design still is sound there.

    Exit status 1 when one is not shown. When one ends in an error, the others are still shown, and then the error.
    """
    from stress import findings
    from stress.findings.measurement import measurement_ids
    from stress.report.fitted import fitted_text

    chapter = options["chapter"]
    wanted = list(dict.fromkeys(name.upper() for name in identifiers))
    identifier = wanted[0] if len(wanted) == 1 else None
    if wanted and chapter is not None:
        raise UsageError("--chapter takes many findings and --finding one: give one of the two")
    for name in PICTURES[1:]:
        if options[name] and identifier is None:
            raise UsageError(f"--{name} is of one counterexample: name a finding, as --finding F11")
    explored, measured = findings.ids(), measurement_ids()
    known = sorted((*explored, *measured, *findings.NOT_MODELLED))
    for name in wanted:
        if name not in known:
            raise UsageError(f"no finding {name!r}{did_you_mean(name, known)}")
    if wanted:
        explored = [i for i in explored if i in wanted]
        measured = [i for i in measured if i in wanted]
    elif not measuring:
        measured = []
    if chapter is not None:
        explored = findings.ids(chapter)
        measured = [i for i in measured if i.startswith(findings.CHAPTERS[chapter])]
    if options["dask"] is not None and not explored:
        raise UsageError("--dask explores findings, and measurements are taken here: leave it out")
    counters = _own_counters(own, measured)
    shown: list[Shown] = []
    figures: dict[str, Measured] = {}
    failed: dict[str, Exception] = {}
    interrupted = False
    watch = LoadWatch()
    try:
        _show_all(explored, shown, failed, memory, jobs=options["jobs"], dask=options["dask"])
        watch = LoadWatch()  # figures of time are those of the measurements
        _measure_all(measured, figures, failed, counters, effort=options["effort"], seed=options["seed"])
    except KeyboardInterrupt:
        interrupted = True
        click.echo("interrupted: this is what was shown until then", err=True)
    load = watch.load() if measured else None
    complete = len(shown) == len(explored) and len(figures) == len(measured)
    ok = complete and all(s.ok for s in shown) and all(m.ok for m in figures.values())
    outcome = judged(options, _cases(shown, figures, failed, (*explored, *measured)))

    def as_json() -> dict[str, Any]:
        found = {"findings": [as_object(s) for s in shown], "ok": ok, **outcome.as_json()}
        taken = [_measured_json(i, m) for i, m in figures.items()]
        errors = [{"id": i, "error": _in_words(error)} for i, error in failed.items()]
        more = {"measurements": taken, "load": load.as_json()} if load else {}
        return {**found, **more, **({"errors": errors} if errors else {})}

    if not told_as_json(options["as_json"], as_json):
        _print(shown, figures, failed, bool(wanted), options["table_format"])
        if load:
            click.echo(fitted_text(str(load)))
        for name in wanted:
            if name in findings.NOT_MODELLED:
                click.echo(fitted_text(findings.NOT_MODELLED[name]))
        if not wanted:
            click.echo(f"{sum(s.ok for s in shown)} of {len(explored)} findings shown")
        if not wanted and not measuring and chapter in (None, "letter"):
            ids = ", ".join(measurement_ids())
            click.echo(fitted_text(f"measured, not explored: {ids} (--measure, or --finding F05)"))
        outcome.echo()
    outcome.write()
    if any(options[name] for name in PICTURES):
        from stress.commands.review_report import write_review

        write_review(context, options, [(s, row(s)) for s in shown], figures, load, single=identifier is not None)
    if interrupted:
        raise KeyboardInterrupt
    for failing, error in failed.items():
        if f"review: {failing}" in outcome.names(known=False):
            raise error
    context.exit(outcome.status)


def _cases(
    shown: list[Shown], figures: dict[str, Measured], failed: dict[str, Exception], asked: tuple[str, ...]
) -> list[Case]:
    """Each finding that was asked for as a case."""
    cases = {i: Case("review", i, OPEN, "it was not come to") for i in asked}
    for s in shown:
        state = HOLDS if s.ok else BROKEN
        cases[s.finding.id] = Case("review", s.finding.id, state, "; ".join(s.wrong), {"finding": s.finding.id})
    for i, measured in figures.items():
        cases[i] = Case("review", i, HOLDS if measured.ok else BROKEN, "\n".join(measured.says), {"finding": i})
    for i, error in failed.items():
        cases[i] = Case("review", i, ERROR, _in_words(error), {"finding": i})
    return list(cases.values())


def _own_counters(names: tuple[str, ...], measured: list[str]) -> list[Subject]:
    """The counters of these names. Raises `UsageError` where none of the findings measures counters."""
    from stress.findings.measurement import get_measurement
    from stress.rss.own import own_subject

    takers = [identifier for identifier in measured if get_measurement(identifier).takes_counters]
    if names and not takers:
        raise UsageError("--counter is for what measures counters: add --measure, or --finding F04")
    return [own_subject(name) for name in names]


def _in_words(error: Exception) -> str:
    return str(error) if isinstance(error, PteStressError) else f"{type(error).__name__}: {error}"


def _show_all(
    identifiers: list[str],
    shown: list[Shown],
    failed: dict[str, Exception],
    memory: str | None,
    *,
    jobs: int | None,
    dask: str | None,
) -> None:
    """Append what each finding shows to ``shown``; an error of one goes into ``failed``, and the others follow."""
    from stress.commands.review_search import shown as searched
    from stress.report.progress import steps_shown

    with searched([(name, memory) for name in identifiers], jobs, dask) as results:
        for (name, _), result in steps_shown(results, "exploring", len(identifiers)):
            try:
                shown.append(result())
            except Exception as error:
                failed[name] = error


def _measure_all(
    identifiers: list[str],
    figures: dict[str, Measured],
    failed: dict[str, Exception],
    counters: list[Subject],
    *,
    effort: float,
    seed: int,
) -> None:
    """Enter each measurement into ``figures``; an error of one goes into ``failed``, and the others follow."""
    from stress.findings.measurement import get_measurement
    from stress.report.progress import steps_shown

    for name in steps_shown(identifiers, "measuring", len(identifiers)):
        try:
            measurement = get_measurement(name)
            own = {"own": counters} if measurement.takes_counters and counters else {}
            figures[name] = measurement.measure(effort, seed, **own)
        except Exception as error:
            failed[name] = error


def _print(
    shown: list[Shown], figures: dict[str, Measured], failed: dict[str, Exception], one: bool, table_format: str
) -> None:
    from stress.report.fitted import fitted, fitted_text

    if one:
        from stress.commands.review_page import page

        for s in shown:
            click.echo(painted(page(s, table_format)))
    else:
        click.echo(painted(fitted([row(s) for s in shown], style=table_format)))
        for s in shown:
            for sentence in s.wrong:
                click.echo(fitted_text(f"{s.finding.id} is not shown: {sentence}"))
    from stress.findings.measurement import get_measurement

    for name, measured in figures.items():
        measurement = get_measurement(name)
        click.echo(fitted_text(f"\n{measurement.id}: {measurement.title}\n{measurement.question}") + "\n")
        click.echo(fitted(measured.rows, style=table_format))
        if measured.simulated:
            click.echo(fitted_text("\nsimulated (docs/scale.md):"))
            click.echo(fitted(measured.simulated, style=table_format))
        if measured.spread:
            click.echo(fitted_text("\nturn by turn; whether it is above the one that it is compared with is shown:"))
            click.echo(fitted(measured.spread, style=table_format, missingval="-") + "\n")
        for sentence in measured.says:
            click.echo(fitted_text(sentence))
    for name, error in failed.items():
        click.echo(fitted_text(f"{name} ended in an error: {_in_words(error)}"))


def row(s: Shown) -> dict[str, Any]:
    """Return a finding's line of the table."""
    broken = s.posted.violation(s.finding.check)
    holds = "holds" if not s.posted.violations and s.posted.complete else "-"
    whole = "equal" if s.finding.equivalence else "-" if s.finding.shows_under(s.memory) else holds
    return {
        "id": s.finding.id,
        "finding": s.finding.title,
        "memory": s.memory,
        "as posted": f"{broken.check} in {broken.length}" if broken else whole,
        "corrected": "holds" if not s.corrected.violations and s.corrected.complete else "-",
        "states": s.corrected.states,
        "shown": "yes" if s.ok else "NO",
    }


def _measured_json(identifier: str, measured: Measured) -> dict[str, Any]:
    """Return a measurement for JSON. `rows` and `simulated` have heads of columns as keys, and are kept for scripts."""
    from stress.commands.columns import keyed

    tables = keyed(measured.rows)
    if measured.simulated:
        tables["simulated_columns"], tables["simulated_table"] = keyed(measured.simulated).values()
    return {
        "id": identifier,
        "rows": measured.rows,
        "simulated": measured.simulated,
        **tables,
        "spread": measured.spread,
        "says": measured.says,
        "ok": measured.ok,
    }


def as_object(s: Shown) -> dict[str, Any]:
    """Return a finding for JSON."""
    from stress.explore.counterexample.text import memory_json

    broken = s.posted.violation(s.finding.check)
    return {
        "id": s.finding.id,
        "title": s.finding.title,
        **memory_json(s.memory),
        "as_posted": {
            "check": broken.check if broken else None,
            "length": broken.length if broken else None,
            "states": s.posted.states,
            "seconds": s.posted.seconds,
        },
        "corrected": {
            "complete": s.corrected.complete,
            "states": s.corrected.states,
            "violations": [v.check for v in s.corrected.violations],
        },
        "ok": s.ok,
    }
