"""The command `pte-stress clean`."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from stress.options import format_option, json_option


@click.command()
@json_option
@format_option
def clean(as_json: bool, table_format: str) -> None:
    """Remove the shared memory and semaphores that dead runs left in /dev/shm.

    What belongs to a run that still lives is never touched, nor what another user or program made.
    """
    from shm_layout.leftovers import clean as remove

    removed = remove()
    total = sum(leftover.bytes for leftover in removed)
    if as_json:
        click.echo(json.dumps({"removed": [asdict(leftover) for leftover in removed], "bytes": total}))
    elif removed:
        from stress.report.fitted import fitted

        rows = [asdict(leftover) for leftover in removed]
        click.echo(fitted(rows, style=table_format))
        click.echo(f"removed {len(removed)}, {total:,} bytes")
    else:
        click.echo("nothing to remove: no dead run left anything in /dev/shm")
