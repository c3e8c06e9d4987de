"""The command line: a table of commands, each imported only when it runs, and one way to report errors."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import resource
import signal
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any, NamedTuple, NoReturn, TextIO

import click

from shm_layout.errors import MachineError, PteStressError
from stress import __version__
from stress.report.words import did_you_mean
from stress.system.interrupts import INTERRUPTED, end_when_asked_again, listen

PROGRAM = "pte-stress"


class Entry(NamedTuple):
    """Where a command is, as ``module:attribute``, and its line in the help of the program."""

    where: str
    help: str


_TABLE = """
run      stress.commands.run:run          Stress a design with worker processes; check it.
explore  stress.commands.explore:explore  Try every interleaving of one small workload.
hunt     stress.commands.hunt:hunt        Let Hypothesis look for workloads that break a design.
review   stress.commands.review:review    The findings: broken as posted, sound when corrected.
rss      stress.commands.rss:rss          The rss designs side by side: error, update and read cost.
table    stress.commands.table:table      Faults by number of workers, in the columns of 2004.
live     stress.commands.live:live        The running kernel: how far VmRSS is off, what reading costs.
replay   stress.commands.replay:replay    Run a saved counterexample again.
layout   stress.commands.layout:layout    Where every field lies, cache line by cache line.
clean    stress.commands.clean:clean      Remove what dead runs left in /dev/shm.
"""

_ROWS = [row.split(maxsplit=2) for row in _TABLE.strip().split("\n")]
COMMANDS = {name: Entry(where, help) for name, where, help in _ROWS}


FAULT = 70
"""Exit status of a fault of the program itself (EX_SOFTWARE of sysexits.h)."""
LONGEST_FAULT = 300
"""Characters of a fault that are told in its line; the report has all of it."""
REFUSALS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN),
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT),
}
"""What the system says when it has no more of something, or no place for it, wherever that was: the machine's error."""


FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What only a write says. Files are written by `stress.system.writing`: one without a name is what is printed."""

LONGEST = 900
"""Characters of an error."""
LEAST_ADDRESS_SPACE = 1 << 30
"""Bytes. With less, libraries that compile end the process, or say that they were not found."""
COMPILING = COMMANDS.keys() - {"replay", "layout", "clean"}
"""Commands that compile, or run what was compiled."""


def _refusal(error: OSError | MemoryError) -> str:
    if isinstance(error, MemoryError):
        return "this machine: out of memory (limits: `ulimit -v`, cgroup)"
    if error.errno in FULL:
        folder = f" in {os.path.dirname(error.filename) or '.'}" if isinstance(error.filename, str) else ""
        where = error.filename or "standard output"
        return f"{where}: {error.strerror}: make room{folder}, or write to another folder"
    return f"{error.filename or 'this machine'}: {error.strerror}"


def _check_address_space() -> None:
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESS_SPACE:
        raise MachineError(
            f"{limit >> 20} MiB of address space are too little to compile in: allow {LEAST_ADDRESS_SPACE >> 20} MiB or"
            " more (ulimit -v)"
        )


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
        PteStressError, 2 for what click refuses, 3 when the machine is out of something, 70 for a fault of the program
        itself, 130 when interrupted, 141 when nobody reads the output.
        """
        _open_standard_streams()
        given = list(sys.argv[1:] if args is None else args)
        listen()  # SIGTERM and SIGHUP do what Ctrl-C does: what there is is printed, nothing is left behind
        try:
            status = self._status(given, extra)
            sys.stdout.flush()
        except BrokenPipeError:
            drop_output(sys.stdout)
            status = 128 + signal.SIGPIPE
        except (OSError, MemoryError) as e:
            drop_output(sys.stdout)
            if isinstance(e, OSError) and e.errno not in REFUSALS:
                status = _fault(e, given)
            else:
                status = _report(_refusal(e), MachineError.exit_status)
        except KeyboardInterrupt:
            end_when_asked_again()
            status = INTERRUPTED
            # When the last string that it evaluated was interrupted (a named tuple's, while modules are imported),
            # Python ends a program by SIGINT, whatever its exit status. This is the last one now.
            exec("")
            _say(f"\n{PROGRAM}: interrupted")
        except Exception as e:
            with contextlib.suppress(OSError):  # what was printed until then is kept
                sys.stdout.flush()
            status = _fault(e, given)
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
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may hold what this terminal cannot show


def drop_output(stream: TextIO) -> None:
    """What is still in the stream's buffer is flushed at exit, and must not complain then."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _fault(error: Exception, args: list[str]) -> int:
    """Write a report of a fault of the program itself, and say in a line where it lies."""
    kept = "no place to keep a report of it"
    with contextlib.suppress(OSError):
        kept = f"the report is {_write_report(error, args)}: please send it in"
    what = f"{type(error).__name__}: {error}"
    return _report(f"a fault of {PROGRAM} itself ({what[:LONGEST_FAULT]}); {kept}", FAULT)


def _write_report(error: Exception, args: list[str]) -> str:
    """A file with the traceback, the command and the versions, in a folder that is the user's alone."""
    import platform
    import shlex
    import tempfile
    import traceback
    from importlib.metadata import PackageNotFoundError, version

    versions = [f"{PROGRAM} {__version__}", f"Python {sys.version}", f"kernel {platform.platform()}"]
    for package in ("numba", "llvmlite", "numpy", "hypothesis"):
        with contextlib.suppress(PackageNotFoundError):
            versions.append(f"{package} {version(package)}")
    trace = "".join(traceback.format_exception(error))
    path = os.path.join(tempfile.mkdtemp(prefix=f"{PROGRAM}-"), "report.txt")
    with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write("\n".join((shlex.join((PROGRAM, *args)), *versions, "", trace)))
    return path


def _report(message: str, status: int) -> int:
    line = " ".join(message.split())
    if len(line) > LONGEST:  # of what was given: the end says what to do
        line = f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"
    _say(f"{PROGRAM}: error: {line}")
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

    Exit status: 0 fine, 1 a check failed, 2 wrong usage or input, 3 the machine cannot do it, 70 a fault of the program
    itself, 130 interrupted.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    elif ctx.invoked_subcommand in COMPILING:
        _check_address_space()
