"""The command `pte-stress list`: what a design can be made of, and what there is to edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shm_layout.errors import UsageError
from stress.commands.json_output import echo_json
from stress.commands.options import format_option, json_option
from stress.report.words import did_you_mean

if TYPE_CHECKING:
    from stress.design import Design

TABLES = ("steps", "fields", "labels", "registers", "operations", "checks", "designs")
ALONE = ("registers", "designs")
"""Tables that are the same whatever the design."""


@click.command("list")
@click.argument("what", metavar="|".join(TABLES))
@click.option(
    "--design",
    "design_name",
    metavar="NAME",
    help="Only what this design has: its name, or your own as my_design.py:MINE.",
)
@click.option(
    "--operation", metavar="NAME", help="Of `list steps --design`: the program of this operation, in order."
)
@json_option
@format_option
def list_command(
    what: str, design_name: str | None, operation: str | None, as_json: bool, table_format: str
) -> None:
    """List what a design can be made of: the names that an edit, a step, a check or a workload is written with.

    \b
    steps       the functions that programs consist of, and who uses them
    fields      the words of the modelled machine, and who writes them
    labels      the places in programs that steps jump to
    registers   the words that only one CPU touches
    operations  what a CPU of a workload can perform
    checks      what must hold
    designs     the designs that come with pte-stress
    """
    from stress.reference import tables

    if what not in TABLES:
        raise UsageError(f"nothing to list is called {what!r}{did_you_mean(what, TABLES)}")
    design = _design(what, design_name)
    if operation is not None:
        rows = _program(what, design, operation)
    else:
        rows = getattr(tables, what)(*(() if what in ALONE else (design,)))
    if as_json:
        echo_json({what: rows})
        return
    from stress.report.fitted import fitted

    if operation is not None:
        shown = [{key: row[key] for key in ("entry", "module", "does")} for row in rows]
        click.echo(fitted(shown, style=table_format))
        return
    groups = tables.by_module(rows)
    for place, (module, group) in enumerate(groups):
        if module:
            click.echo(("\n" if place else "") + f"from {module}:")
        click.echo(fitted(group, style=table_format, disable_numparse=True))


def _design(what: str, name: str | None) -> Design | None:
    if name is None:
        return None
    if what in ALONE:
        raise UsageError(f"--design means nothing to `list {what}`: leave it out")
    from stress.resolve import resolve_design

    return resolve_design(name)


def _program(what: str, design: Design | None, operation: str) -> list[dict[str, Any]]:
    from stress.reference.tables import program

    if what != "steps" or design is None:
        raise UsageError("--operation is for `list steps --design NAME`: it shows the program of one operation")
    if operation not in design.programs:
        known = list(design.numbers)
        raise UsageError(f"design {design.name} has no operation {operation!r}{did_you_mean(operation, known)}")
    return program(design, operation)


