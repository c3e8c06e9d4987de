"""What --json prints: objects, the first with what made it under the key ``about``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

import click

GIVEN = "pte_stress.given"
"""Key of the context's `meta`: the arguments that the program was given."""
_SAID = "pte_stress.said"
"""Set there once something was printed."""


def command_given(context: click.Context) -> str:
    """The command of a context, as it can be typed again."""
    return shlex.join(["pte-stress", *(context.meta.get(GIVEN) or [context.info_name or ""])])


def echo_json(found: Mapping[str, Any]) -> None:
    """Print an object: the first of a command with ``about``, what the command was given and where it runs."""
    from stress import __version__
    from stress.report.about import about

    context = click.get_current_context()
    if not context.meta.get(_SAID):
        context.meta[_SAID] = True
        found = {**found, "about": about(__version__, command_given(context), context.params.get("seed"))}
    click.echo(json.dumps(found))
