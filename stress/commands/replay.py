"""The command `pte-stress replay`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from stress.commands.options import allow_code_option, format_option, json_option


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--states", is_flag=True, help="Show the state behind every step.")
@click.option("--design", metavar="NAME", help="The design, in the place of the name that FILE gives.")
@allow_code_option
@json_option
@format_option
@click.pass_context
def replay(context: click.Context, /, file: Path, design: str | None, allow_code: bool, **options: Any) -> None:
    """Run a counterexample again that `explore --save` wrote to FILE, to the same end.

    Where FILE names a design in a Python file, that file is run only with --allow-code, or when it is named by
    --design my_design.py:MINE.

    Exit status 1, because a check breaks at its end; 2 for a file that was edited or belongs to another design.
    """
    from stress.commands.counterexample_text import counterexample
    from stress.explore.counterexample.saved import load
    from stress.explore.counterexample.trace import trace

    saved = load(file, design, allow_code=allow_code)
    states, as_json, table_format = options["states"], options["as_json"], options["table_format"]
    found = trace(saved.model, saved.violation, states=states)
    if as_json:
        workload = saved.model.workload
        head = {"design": saved.reference, "arch": workload.machine.arch, "workload": str(workload)}
        end = {"check": saved.violation.check, "length": saved.violation.length, "wrong": found.wrong}
        pictures = {"states": list(found.states)} if states else {}
        click.echo(json.dumps({**head, **end, "steps": found.to_json(), **pictures}))
    else:
        click.echo(f"design {saved.reference}, workload {saved.model.workload}\n")
        click.echo(counterexample(saved.model, found, table_format))
    context.exit(1)
