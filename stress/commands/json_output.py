"""What --json prints: objects, the first with what made it under the key ``about``; --results keeps them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from shm_layout.errors import UsageError

GIVEN = "pte_stress.given"
"""Key of the context's `meta`: the arguments that the program was given."""
_SAID = "pte_stress.said"
"""Set there once something was printed."""


def command_given(context: click.Context) -> str:
    """The command of a context, as it can be typed again."""
    return shlex.join(["pte-stress", *(context.meta.get(GIVEN) or [context.info_name or ""])])


_F = TypeVar("_F", bound=Callable[..., Any])
_FILE, _RUN = "pte_stress.results", "pte_stress.run"
"""Keys of the context's `meta`: the file that --results names, and the number of the run there."""


def _results(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    if value is not None:
        if not value.absolute().parent.is_dir():
            raise UsageError(f"--results {value}: no such folder; make it first")
        context.meta[_FILE] = value


def results_option(command: _F) -> _F:
    """Give a command ``--results FILE``: what it gives to `told_as_json` is kept there."""
    return click.option(
        "--results",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        callback=_results,
        expose_value=False,
        help="Keep what --json prints in a database of SQLite, for `results`.",
    )(command)


def _about(context: click.Context) -> dict[str, Any]:
    from stress import __version__
    from stress.report.about import about

    return about(__version__, command_given(context), context.params.get("seed"))


def told_as_json(as_json: bool, found: Callable[[], Mapping[str, Any]]) -> bool:
    """Keep what a command found where --results asks for it, print it as JSON if ``as_json``; returns ``as_json``.

    Raises `MachineError` where the file cannot be written, after it was printed.
    """
    context = click.get_current_context()
    file = context.meta.get(_FILE)
    if not as_json and file is None:
        return False
    made = found()
    if as_json:
        echo_json(made)
    if file is not None:
        from stress.results.store import Store

        store = Store(file)
        if _RUN not in context.meta:
            context.meta[_RUN] = store.begin(_about(context))
        store.add(context.meta[_RUN], made)
    return as_json


def echo_json(found: Mapping[str, Any]) -> None:
    """Print an object: the first of a command with ``about``, what the command was given and where it runs."""
    context = click.get_current_context()
    if not context.meta.get(_SAID):
        context.meta[_SAID] = True
        found = {**found, "about": _about(context)}
    echo_object(found)


def echo_object(found: Mapping[str, Any]) -> None:
    """Print an object as it is, in a line."""
    click.echo(json.dumps(found))
