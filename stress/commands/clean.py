"""The command `pte-stress clean`: remove what dead runs left in /dev/shm."""

from __future__ import annotations

from dataclasses import asdict

import click

from stress.commands.json_output import echo_json
from stress.commands.options import format_option, json_option


@click.command()
@json_option
@format_option
def clean(as_json: bool, table_format: str) -> None:
    """Remove the shared memory and semaphores that dead runs left in /dev/shm.

    What belongs to a run that still lives is never touched, nor what another user or program made. What a run in
    another PID namespace made (in a container that shares /dev/shm) is left alone, and listed.
    """
    from shm_layout.leftovers import clean as remove
    from shm_layout.leftovers import find

    removed, left = remove(), find().unjudged
    total = sum(leftover.bytes for leftover in removed)
    if as_json:
        not_judged = {"left": [asdict(each) for each in left]} if left else {}
        echo_json({"removed": [asdict(each) for each in removed], "bytes": total, **not_judged})
        return
    from stress.report.fitted import fitted, fitted_text

    if removed:
        click.echo(fitted([asdict(leftover) for leftover in removed], style=table_format))
        click.echo(f"removed {len(removed)}, {total:,} bytes")
    else:
        click.echo("nothing to remove: no dead run left anything in /dev/shm")
    if left:
        click.echo("\n" + fitted([asdict(each) for each in left], style=table_format))
        click.echo(
            fitted_text(
                f"left alone {len(left)}: whether these runs still live cannot be told from here. Run clean where they"
                " were started, or remove the files when you know that they are dead"
            )
        )
