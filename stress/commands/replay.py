"""The command `pte-stress replay`: run a saved counterexample again."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import click

from shm_layout.errors import UsageError
from stress.commands.json_output import echo_json
from stress.commands.options import allow_code_option, format_option, json_option
from stress.commands.pictures import picture_options
from stress.memory_model import NAMES
from stress.report.color import painted


def check_terminal() -> None:
    """Raise `UsageError` where steps cannot be gone through with keys."""
    if importlib.util.find_spec("textual") is None:
        raise UsageError("--step needs textual: install pte-stress[step]")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("--step needs a terminal: use --diff, --states or --html where there is none")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--states", is_flag=True, help="Show the state after every step.")
@click.option("--diff", is_flag=True, help="Show only what changes at each step.")
@click.option("--step", is_flag=True, help="Go through the steps with keys, in the terminal (needs the extra `step`).")
@click.option("--design", metavar="NAME", help="Design to take, in the place of the one that FILE names.")
@click.option("--memory", type=click.Choice(NAMES), help="Refuse a FILE of another memory model.")
@allow_code_option
@picture_options
@json_option
@format_option
@click.pass_context
def replay(
    context: click.Context, /, file: Path, design: str | None, memory: str | None, allow_code: bool, **options: Any
) -> None:
    """Run a counterexample again that `explore --save` wrote to FILE, to the same end.

    Where FILE names a design in a Python file, that file is run only with --allow-code, or when it is named by
    --design my_design.py:MINE.

    It is run under the memory model that it was found under, as FILE says.

    Exit status 1, because a check breaks at its end; 2 for a file that was edited or belongs to another design.
    """
    from stress.commands.pictures import explore_command, write_pictures
    from stress.explore.counterexample.history import history
    from stress.explore.counterexample.saved import load
    from stress.explore.counterexample.text import counterexample, memory_json
    from stress.explore.counterexample.trace import trace

    if options["step"]:
        check_terminal()
    saved = load(file, design, memory=memory, allow_code=allow_code)
    states, as_json, table_format = options["states"], options["as_json"], options["table_format"]
    found = trace(saved.model, saved.violation, states=states)
    if as_json:
        workload = saved.model.workload
        head = {"design": saved.reference, "arch": workload.machine.arch, "workload": str(workload)}
        head |= memory_json(saved.model.memory_model.name)
        end = {"check": saved.violation.check, "length": saved.violation.length, "wrong": found.wrong}
        pictures = {"states": list(found.states)} if states else {}
        echo_json({**head, **end, "steps": found.to_json(), **pictures})
    elif options["step"]:
        from stress.explore.counterexample.stepper import Stepper

        Stepper(history(saved.model, saved.violation)).run()
    elif options["diff"]:
        from stress.explore.counterexample.text import changes_text

        click.echo(f"design {saved.reference}, workload {saved.model.workload}\n")
        click.echo(changes_text(history(saved.model, saved.violation), table_format))
    else:
        memory = "" if saved.model.memory_model.name == "sc" else f", memory {saved.model.memory_model.name}"
        click.echo(f"design {saved.reference}, workload {saved.model.workload}{memory}\n")
        click.echo(painted(counterexample(saved.model, found, table_format)))
    command = explore_command(saved.reference, saved.model.workload, saved.model.memory_model.name)
    write_pictures(options, lambda: history(saved.model, saved.violation), command=command)
    context.exit(1)
