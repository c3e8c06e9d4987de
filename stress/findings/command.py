"""The command `pte-stress review`: the letter's points, broken as posted and sound when corrected."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from stress.errors import UsageError
from stress.nearest import did_you_mean
from stress.options import format_option, json_option

if TYPE_CHECKING:
    from stress.findings.show import Shown


@click.command()
@click.option("--finding", "identifier", metavar="ID", help="One finding, as a page with its counterexample.")
@json_option
@format_option
@click.pass_context
def review(context: click.Context, identifier: str | None, as_json: bool, table_format: str) -> None:
    """Show the findings of the review of V12, and what it does not name.

    Each is a workload on a pair of designs: the sound one with a point put back as it was posted, which breaks a
    check, and the sound one, which holds all checks in every interleaving. Exit status 1 when one is not shown.
    """
    from stress import findings
    from stress.explore import Bounds
    from stress.findings.show import show
    from stress.progress import steps_shown

    if identifier is not None and identifier.upper() not in findings.ids():
        raise UsageError(f"no finding {identifier!r}{did_you_mean(identifier.upper(), findings.ids())}")
    wanted = [identifier.upper()] if identifier else findings.ids()
    shown: list[Shown] = []
    try:
        for name in steps_shown(wanted, "exploring"):
            shown.append(show(findings.get(name), Bounds(seconds=60)))
    except KeyboardInterrupt:
        click.echo("interrupted: what follows is what was shown until then", err=True)
    ok = len(shown) == len(wanted) and all(s.ok for s in shown)
    if as_json:
        click.echo(json.dumps({"findings": [as_object(s) for s in shown], "ok": ok}))
    elif identifier:
        from stress.findings.page import page

        for s in shown:
            click.echo(page(s, table_format))
    else:
        from tabulate import tabulate

        click.echo(tabulate([row(s) for s in shown], headers="keys", tablefmt=table_format))
        for s in shown:
            for sentence in s.wrong:
                click.echo(f"{s.finding.id} is not shown: {sentence}")
        click.echo(f"{sum(s.ok for s in shown)} of {len(wanted)} findings shown")
    context.exit(0 if ok else 1)


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
