"""The command line: a table of commands, each imported only when it runs, and one way to report errors."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn, TextIO

import click

from stress import __version__
from stress.errors import MachineError, PteStressError
from stress.interrupts import INTERRUPTED, end_when_asked_again, listen
from stress.nearest import did_you_mean

PROGRAM = "pte-stress"


class Entry(NamedTuple):
    """Where a command is, as ``module:attribute``, and its line in the help of the program."""

    where: str
    help: str


_TABLE = """
run      stress.workers.command:run             Stress a design with worker processes; check it.
explore  stress.explore.command:explore         Try every interleaving of one small workload.
hunt     stress.explore.hunt_command:hunt       Let Hypothesis look for workloads that break a design.
review   stress.findings.command:review         The findings: broken as posted, sound when corrected.
rss      stress.rss_command:rss                 The rss designs side by side: error, update and read cost.
table    stress.workers.table_command:table     Faults by number of workers, in the columns of 2004.
live     stress.live.command:live               The running kernel: how far VmRSS is off, what reading costs.
replay   stress.explore.replay_command:replay   Run a saved counterexample again.
layout   stress.layout_command:layout           Where every field lies, cache line by cache line.
clean    stress.clean_command:clean             Remove what dead runs left in /dev/shm.
"""

_ROWS = [row.split(maxsplit=2) for row in _TABLE.strip().split("\n")]
COMMANDS = {name: Entry(where, help) for name, where, help in _ROWS}


REFUSALS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN),
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT),
}
"""What the system says when it has no more of something, or no place for it, wherever that was: the machine's error."""


def _refusal(error: OSError | MemoryError) -> str:
    if isinstance(error, MemoryError):
        return "this machine: out of memory"
    return f"{error.filename or 'this machine'}: {error.strerror}"


class LazyGroup(click.Group):
    """A group whose help needs none of its commands, and whose errors are one line on stderr."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].where.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one is near."""
        if args[0] not in COMMANDS:
            raise click.UsageError(f"no command {args[0]!r}{did_you_mean(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table; importing the commands for it would take a second."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run the command that `args` names and exit with its status.

        A command ends with status 0, or another that it gives to `ctx.exit`. Errors: `exit_status` of a
        PteStressError, 2 for what click refuses, 3 when the machine is out of something, 130 when interrupted, 141
        when nobody reads the output.
        """
        _open_standard_streams()
        listen()  # SIGTERM and SIGHUP do what Ctrl-C does: what there is is printed, nothing is left behind
        try:
            status = self._status(list(sys.argv[1:] if args is None else args), extra)
            sys.stdout.flush()
        except BrokenPipeError:
            drop_output(sys.stdout)
            status = 128 + signal.SIGPIPE
        except (OSError, MemoryError) as e:
            if isinstance(e, OSError) and e.errno not in REFUSALS:
                raise
            drop_output(sys.stdout)
            status = _report(_refusal(e), MachineError.exit_status)
        except KeyboardInterrupt:
            end_when_asked_again()
            status = INTERRUPTED
            # When the last string that it evaluated was interrupted (a named tuple's, while modules are imported),
            # Python ends a program by SIGINT, whatever its exit status. This is the last one now.
            exec("")
            _say(f"\n{PROGRAM}: interrupted")
        sys.exit(status)

    def _status(self, args: list[str], extra: dict[str, Any]) -> int:
        try:
            with self.make_context(PROGRAM, args, **extra) as ctx:
                self.invoke(ctx)
        except click.exceptions.Exit as e:
            return e.exit_code
        except click.ClickException as e:
            hint = f"; see `{e.ctx.command_path} --help`" if isinstance(e, click.UsageError) and e.ctx else ""
            return _report(e.format_message().rstrip(".") + hint, e.exit_code)
        except PteStressError as e:
            return _report(str(e), e.exit_status)
        return 0


def _open_standard_streams() -> None:
    """Streams that were closed when the program started lead nowhere; else the next file to be opened would be one."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere == number:
                os.set_inheritable(number, True)
            else:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def drop_output(stream: TextIO) -> None:
    """What is still in the stream's buffer is flushed at exit, and must not complain then."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _report(message: str, status: int) -> int:
    _say(f"{PROGRAM}: error: {' '.join(message.split())}")
    return status


def _say(line: str) -> None:
    """A line on stderr; where it cannot be written the exit status has to do."""
    try:
        click.echo(line, err=True)
    except OSError:
        drop_output(sys.stderr)


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings={"max_content_width": 100})
@click.version_option(__version__, prog_name=PROGRAM)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Stress, explore and measure page-fault paths and resident-set counters.

    Exit status: 0 fine, 1 a check failed, 2 wrong usage or input, 3 the machine cannot do it.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
