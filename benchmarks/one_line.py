"""Run a benchmark's command so that its errors are one line on stderr, as those of `pte-stress` are."""

from __future__ import annotations

import sys

import click

from shm_layout.errors import PteStressError
from stress.system.interrupts import INTERRUPTED


def run(command: click.Command) -> None:
    """Run the command with the arguments of the process, and exit with its status: 2 and 3 as `pte-stress` has them."""
    try:
        status = command.main(standalone_mode=False)
    except click.exceptions.Exit as end:
        status = end.exit_code
    except click.ClickException as error:
        click.echo(f"{sys.argv[0]}: error: {' '.join(error.format_message().split())}; see --help", err=True)
        status = error.exit_code
    except PteStressError as error:
        click.echo(f"{sys.argv[0]}: error: {' '.join(str(error).split())}", err=True)
        status = error.exit_status
    except OSError as error:
        click.echo(f"{sys.argv[0]}: error: {error.filename or 'this machine'}: {error.strerror}", err=True)
        status = 3
    except (KeyboardInterrupt, click.Abort):
        click.echo(f"{sys.argv[0]}: interrupted", err=True)
        status = INTERRUPTED
    sys.exit(status or 0)
