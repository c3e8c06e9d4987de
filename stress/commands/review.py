"""The command `pte-stress review`: the letter's points, broken as posted and sound when corrected."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from shm_layout.errors import PteStressError, UsageError
from stress.commands.options import format_option, json_option, seed_option
from stress.report.words import did_you_mean

if TYPE_CHECKING:
    from stress.findings.measurement import Measured
    from stress.findings.show import Shown


@click.command()
@click.option("--finding", "identifier", metavar="ID", help="One finding, as a page of its own.")
@click.option("--measure", "measuring", is_flag=True, help="Take the measurements, too: some seconds each.")
@click.option("--effort", type=click.FloatRange(0.05, 100), default=1.0, show_default=True, help="How long to measure.")
@seed_option
@json_option
@format_option
@click.pass_context
def review(context: click.Context, /, identifier: str | None, measuring: bool, **options: Any) -> None:
    """Show the findings of the review of V12, and what it does not name.

    A finding is a workload on a pair of designs: the sound one with a point put back as it was posted, which breaks a
    check, and the sound one, which holds all checks in every interleaving; or it is a measurement. Exit status 1 when
    one is not shown. When one ends in an error, the others are still shown, and then the error.
    """
    from stress import findings
    from stress.findings.measurement import measurement_ids

    explored, measured = findings.ids(), measurement_ids()
    if identifier is not None and identifier.upper() not in (*explored, *measured):
        raise UsageError(f"no finding {identifier!r}{did_you_mean(identifier.upper(), sorted((*explored, *measured)))}")
    if identifier is not None:
        explored = [i for i in explored if i == identifier.upper()]
        measured = [i for i in measured if i == identifier.upper()]
    elif not measuring:
        measured = []
    shown: list[Shown] = []
    figures: dict[str, Measured] = {}
    failed: dict[str, Exception] = {}
    interrupted = False
    try:
        _show_all(explored, shown, failed)
        _measure_all(measured, figures, failed, options["effort"], options["seed"])
    except KeyboardInterrupt:
        interrupted = True
        click.echo("interrupted: this is what was shown until then", err=True)
    complete = len(shown) == len(explored) and len(figures) == len(measured)
    ok = complete and all(s.ok for s in shown) and all(m.ok for m in figures.values())
    if options["as_json"]:
        found = {"findings": [as_object(s) for s in shown], "ok": ok}
        taken = [{"id": i, "rows": m.rows, "says": m.says, "ok": m.ok} for i, m in figures.items()]
        errors = [{"id": i, "error": _in_words(error)} for i, error in failed.items()]
        click.echo(
            json.dumps(
                {**found, **({"measurements": taken} if measured else {}), **({"errors": errors} if errors else {})}
            )
        )
    else:
        _print(shown, figures, failed, identifier is not None, options["table_format"])
        if not identifier:
            click.echo(f"{sum(s.ok for s in shown)} of {len(explored)} findings shown")
        if not identifier and not measuring:
            from stress.report.fitted import fitted_text

            ids = ", ".join(measurement_ids())
            click.echo(fitted_text(f"measured, not explored: {ids} (--measure, or --finding F05)"))
    if interrupted:
        raise KeyboardInterrupt
    for error in failed.values():
        raise error
    context.exit(0 if ok else 1)


def _in_words(error: Exception) -> str:
    return str(error) if isinstance(error, PteStressError) else f"{type(error).__name__}: {error}"


def _show_all(identifiers: list[str], shown: list[Shown], failed: dict[str, Exception]) -> None:
    """Append what each finding shows to ``shown``; an error of one goes into ``failed``, and the others follow."""
    from stress import findings
    from stress.explore import Bounds
    from stress.findings.show import show
    from stress.report.progress import steps_shown

    for name in steps_shown(identifiers, "exploring"):
        try:
            shown.append(show(findings.get(name), Bounds(seconds=60)))
        except Exception as error:
            failed[name] = error


def _measure_all(
    identifiers: list[str], figures: dict[str, Measured], failed: dict[str, Exception], effort: float, seed: int
) -> None:
    """Enter each measurement into ``figures``; an error of one goes into ``failed``, and the others follow."""
    from stress.findings.measurement import get_measurement
    from stress.report.progress import steps_shown

    for name in steps_shown(identifiers, "measuring"):
        try:
            figures[name] = get_measurement(name).measure(effort, seed)
        except Exception as error:
            failed[name] = error


def _print(
    shown: list[Shown], figures: dict[str, Measured], failed: dict[str, Exception], one: bool, table_format: str
) -> None:
    from stress.report.fitted import fitted, fitted_text

    if one:
        from stress.commands.review_page import page

        for s in shown:
            click.echo(page(s, table_format))
    else:
        click.echo(fitted([row(s) for s in shown], style=table_format))
        for s in shown:
            for sentence in s.wrong:
                click.echo(fitted_text(f"{s.finding.id} is not shown: {sentence}"))
    from stress.findings.measurement import get_measurement

    for name, measured in figures.items():
        measurement = get_measurement(name)
        click.echo(fitted_text(f"\n{measurement.id}: {measurement.title}\n{measurement.question}") + "\n")
        click.echo(fitted(measured.rows, style=table_format))
        for sentence in measured.says:
            click.echo(fitted_text(sentence))
    for name, error in failed.items():
        click.echo(fitted_text(f"{name} ended in an error: {_in_words(error)}"))


def row(s: Shown) -> dict[str, Any]:
    """A finding's line of the table."""
    broken = s.posted.violation(s.finding.check)
    return {
        "id": s.finding.id,
        "finding": s.finding.title,
        "as posted": f"{broken.check} in {broken.length}" if broken else ("equal" if s.finding.equivalence else "-"),
        "corrected": "holds" if not s.corrected.violations and s.corrected.complete else "-",
        "states": s.corrected.states,
        "shown": "yes" if s.ok else "NO",
    }


def as_object(s: Shown) -> dict[str, Any]:
    """A finding for JSON."""
    broken = s.posted.violation(s.finding.check)
    return {
        "id": s.finding.id,
        "title": s.finding.title,
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
