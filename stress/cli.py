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
from stress.commands.json_output import GIVEN
from stress.commands.run_progress import say
from stress.commands.tasks import TASKS, lines_of
from stress.compiling import beside
from stress.report.words import did_you_mean
from stress.system.interrupts import INTERRUPTED, end_when_asked_again, listen

PROGRAM = "pte-stress"


class Entry(NamedTuple):
    """Where a command is, as ``module:attribute``, and its line in the help of the program."""

    where: str
    help: str


def _entries(rows: str) -> dict[str, Entry]:
    """Commands by name: each is the function of that name in its file, ``list`` that with ``_command`` behind it."""
    found = {}
    for name, line in lines_of(rows):
        found[name] = Entry(f"stress.commands.{name}:{'list_command' if name == 'list' else name}", line)
    return found


COMMANDS = {name: entry for rows in TASKS.values() for name, entry in _entries(rows).items()}


FAULT = 70
"""Exit status of a fault of the program itself (EX_SOFTWARE of sysexits.h)."""
LONGEST_FAULT = 300
"""Characters of a fault that its line has; the report has all of it."""
REFUSALS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN),
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT),
}
"""What the system says when it has no more of something, or no place for it, wherever that was: the machine's error."""


FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What only a write says. Files are written by `stress.system.writing`: one without a name is what is printed."""

LONGEST = 900
"""Characters of an error."""
LEAST_BITS = 64
"""Bits of a word of the machine."""
LEAST_ADDRESS_SPACE = 1 << 30
"""Bytes. With less, libraries that compile end the process, or say that they were not found."""
COMPILING = COMMANDS.keys() - {"list", "examples", "man", "replay", "layout", "clean", "soak"}
"""Commands that compile, or run what was compiled."""


def _refusal(error: OSError | MemoryError) -> str:
    if isinstance(error, MemoryError):
        return "this machine: out of memory (limits: `ulimit -v`, cgroup)"
    if error.errno in FULL:
        folder = f" in {os.path.dirname(error.filename) or '.'}" if isinstance(error.filename, str) else ""
        where = error.filename or "standard output"
        return f"{where}: {error.strerror}: make room{folder}, or write to another folder"
    return f"{error.filename or 'this machine'}: {error.strerror}"


def _check_machine() -> None:
    """Raise `MachineError` where nothing can be compiled, or where a word is no word of the modelled machine."""
    if sys.maxsize < 1 << 62:
        raise MachineError(f"Python is a 32-bit program here, steps need {LEAST_BITS}-bit words: use a 64-bit Python")
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESS_SPACE:
        raise MachineError(
            f"{limit >> 20} MiB of address space are too little to compile in: allow {LEAST_ADDRESS_SPACE >> 20} MiB or"
            " more (ulimit -v)"
        )


def _color(context: click.Context, parameter: click.Parameter, value: str) -> None:
    """Have colours or none in what is printed; without a wish NO_COLOR decides, and then whether it is a terminal."""
    if value == "always":
        context.color = True
    elif value == "never" or os.environ.get("NO_COLOR"):
        context.color = False
        os.environ["NO_COLOR"] = "1"  # for what shows progress


COLOR = click.Option(
    ["--color"],
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    expose_value=False,
    callback=_color,
    help="Colours: auto is on a terminal, where NO_COLOR is not set.",
)
"""An option of every command."""


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
        if all(parameter.name != COLOR.name for parameter in command.params):
            command.params.append(COLOR)
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
        width = max(map(len, COMMANDS))
        for task, rows in TASKS.items():
            with formatter.section(task):
                formatter.write_dl([(name.ljust(width), entry.help) for name, entry in _entries(rows).items()])

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
        self._main_shell_completion(extra, PROGRAM, complete_var)
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
            given = list(args)  # click takes from it
            with self.make_context(PROGRAM, args, **extra) as ctx:
                ctx.meta[GIVEN] = given
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
    """Lead streams that were closed at the start nowhere; else the next file to be opened would be one of them."""
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
    """Lead a stream nowhere, so that flushing what is still in its buffer does not fail at exit."""
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
    """Return a file with the traceback, the command and the versions, in a folder that is the user's alone."""
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
    """Print a line on stderr; where that cannot be written, the exit status says enough."""
    try:
        click.echo(line, err=True)
    except OSError:
        drop_output(sys.stderr)


def _print_versions(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Print the version, and those of what figures depend on."""
    if wanted and not context.resilient_parsing:
        import platform
        from importlib.metadata import version

        said = f"Python {platform.python_version()}, Numba {version('numba')}, Linux {platform.release()}"
        click.echo(f"{PROGRAM}, version {__version__} ({said})")
        context.exit()


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_versions, help="Show the versions."
)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Stress, explore and measure page-fault paths and resident-set counters.

    A page-fault path with its counters is a design: built in (`pte-stress list designs`), or your own in a Python
    file. To begin, try `pte-stress run`, or `pte-stress explore v12 "fault 0 w | swap_out"`.

    Exit status: 0 fine, 1 a check failed, 2 wrong usage or input, 3 the machine cannot do it, 70 a fault of the program
    itself, 130 interrupted.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    elif ctx.invoked_subcommand in COMPILING:
        _check_machine()
        beside.on_compile = lambda what: say(f"compiling {what}, once ...")
