"""The options that commands share: decorators, so that they are named and explained the same everywhere."""

from __future__ import annotations

import math
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TypeVar

import click

from shm_layout.errors import UsageError
from stress.memory_model import NAMES
from stress.report.words import did_you_mean
from stress.system.writing import cannot_write

_F = TypeVar("_F", bound=Callable[..., Any])

MOST_WORKERS = 1024
"""Worker processes of one run."""
MOST_JOBS = 256
"""Threads or processes that share the work of a command."""
SEEDS = 2**32
"""Seeds are 0 to SEEDS - 1: short enough to type again."""


def doubled_up_to(most: int) -> list[int]:
    """Return 1, 2, 4, ... and ``most``.

    >>> doubled_up_to(6)
    [1, 2, 4, 6]
    """
    return sorted({*(1 << i for i in range(most.bit_length())), most})


def listed_numbers(option: str, text: str, most: int, whose: str = "") -> list[int]:
    """Read the numbers of an option such as ``--workers 1,2,4``. ``whose``: what has at most ``most``, for the error.

    Raises `UsageError`.
    """
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} {text!r}: give numbers as in 1,2,4") from None
    if any(not 1 <= number <= most for number in numbers):
        raise UsageError(f"{option} {text}: each number is 1 to {most}{whose}")
    return numbers


def _table_format(context: click.Context, parameter: click.Parameter, value: str) -> str:
    from tabulate import tabulate_formats

    if value not in tabulate_formats:
        raise UsageError(f"no table format {value!r}{did_you_mean(value, tabulate_formats)}")
    from stress.report.markup import STYLES

    if value in STYLES:
        context.with_resource(_marked_up(context, value))
    return value


@contextmanager
def _marked_up(context: click.Context, style: str) -> Iterator[None]:
    """Have all that a command prints on stdout valid in a format that programs read; JSON stays as it is."""
    from stress.report.markup import MarkedUp

    stream = MarkedUp(sys.stdout, style, lambda: any(context.params.get(name) for name in ("as_json", "as_csv")))
    try:
        with redirect_stdout(stream):
            yield
    finally:
        stream.end()


def _seed(context: click.Context, parameter: click.Parameter, value: int | None) -> int:
    return random.SystemRandom().randrange(SEEDS) if value is None else value


def seconds_above_0(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Callback of options that take seconds: above 0, and neither infinite nor "nan"."""
    if value is not None and not 0 < value < math.inf:
        raise UsageError(f"{parameter.opts[0]} {value:g}: give a finite time above 0")
    return value


def _placement(context: click.Context, parameter: click.Parameter, value: str) -> str:
    from shm_layout.placement import PLACEMENTS

    if value not in PLACEMENTS:
        raise UsageError(f"no placement {value!r}{did_you_mean(value, PLACEMENTS)}")
    return value


def check_folder(named: Path, folder: Path, option: str = "--save") -> None:
    """Try whether files can be made in ``folder``, for ``option named``. Raises `UsageError` or `MachineError`.

    What is saved takes long to find: better say before than after it that it cannot be kept.
    """
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise cannot_write(option, named, error) from None


def writable_file(option: str, value: Path | None) -> Path | None:
    """Return a file that is there, or that can be made, for ``option``. Raises `UsageError` or `MachineError`."""
    if value is None:
        return None
    folder = value.absolute().parent
    if value.is_dir() or not folder.is_dir():
        raise UsageError(f"{option} {value}: name a file, in a folder that is there")
    if not value.exists() or value.is_file():
        check_folder(value, folder, option)
    return value


def _save_file(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """Return a file that is there, which click looks at, or that can be made."""
    return writable_file("--save", value)


allow_code_option = click.option(
    "--allow-code", is_flag=True, help="Run the Python file of the design that FILE names, since you trust it."
)
"""Passes ``allow_code: bool``, for commands that read the name of a design from a file."""


def save_option(what: str) -> Callable[[_F], _F]:
    """Passes ``save: Path | None``, a file that can be written. ``what``: the option's help."""
    return click.option(
        "--save",
        type=click.Path(dir_okay=False, writable=True, path_type=Path),
        metavar="FILE",
        callback=_save_file,
        help=what,
    )


arch_option = click.option(
    "--arch",
    type=click.Choice(["64", "pae"]),
    default="64",
    show_default=True,
    help="pae: a pte is two halves of 32 bits.",
)
"""Passes ``arch: str``."""

placement_option = click.option(
    "--placement",
    default="posted",
    show_default=True,
    metavar="NAME",
    callback=_placement,
    help="Which fields share a cache line: posted, packed, separate, padded, big_reader.",
)
"""Passes ``placement: str``, a name in `shm_layout.placement.PLACEMENTS`."""

memory_option = click.option(
    "--memory",
    type=click.Choice(NAMES),
    default="sc",
    show_default=True,
    help="Memory model: sc, tso (x86: a store may be seen after a later load), pso (stores may overtake each other).",
)
"""Passes ``memory: str``, a name in `stress.memory_model.MEMORY_MODELS`."""

_PAGE_SIZE = click.option(
    "--page-size",
    type=click.IntRange(512, 1 << 20),
    default=4096,
    show_default=True,
    metavar="BYTES",
    help="Bytes of a page that is cleared; 16384 for ia64.",
)


def work_option(default: str) -> Callable[[_F], _F]:
    """Pass ``work: str`` and ``page_size: int``."""
    work = click.option(
        "--work",
        type=click.Choice(["none", "clear", "trap+clear"]),
        default=default,
        show_default=True,
        help="Private work of a fault: none, clearing a real page, or entering and leaving the kernel, too.",
    )
    return lambda function: work(_PAGE_SIZE(function))


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object, nothing else.")
"""Passes ``as_json: bool``."""

format_option = click.option(
    "--format",
    "table_format",
    default="simple",
    show_default=True,
    metavar="NAME",
    callback=_table_format,
    help="Style of the tables: plain, github, tsv, html, ... (any of tabulate's); the three named here are for other"
    " programs, and all that is printed is valid in them.",
)
"""Passes ``table_format: str``, a name that tabulate knows."""

seed_option = click.option(
    "--seed",
    type=click.IntRange(0, SEEDS - 1),
    callback=_seed,
    help="Seed of all random choices.  [default: drawn, and printed]",
)
"""Passes ``seed: int``, drawn by the operating system when it is not given."""


def jobs_option(what: str) -> Callable[[_F], _F]:
    """Give a command ``jobs: int | None``. ``what`` these are and do, as a sentence."""
    kind = click.IntRange(1, MOST_JOBS)
    return click.option("--jobs", type=kind, metavar="N", help=f"{what}  [default: as many as CPUs]")


dask_option = click.option(
    "--dask",
    metavar="ADDRESS|local",
    help="Let the workers of a cluster do the work: tcp://HOST:8786; local starts one here (extra `cluster`).",
)
"""Passes ``dask: str | None``, for `stress.cluster.connecting.connected`."""


def _plot(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    if value is not None:
        from stress.report.plot import check_plot_file

        check_plot_file(value)
    return value


plot_option = click.option(
    "--plot",
    type=click.Path(path_type=Path),
    callback=_plot,
    metavar="FILE.png|.svg",
    help="Draw a picture, too (needs the extra `plot`).",
)
"""Passes ``plot: Path | None``, a file that can be written."""
