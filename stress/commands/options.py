"""Options that every command has: decorators, so that they are named and explained the same everywhere."""

from __future__ import annotations

import math
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from shm_layout.errors import UsageError
from stress.report.words import did_you_mean
from stress.system.writing import cannot_write

_F = TypeVar("_F", bound=Callable[..., Any])

MOST_WORKERS = 1024
"""Worker processes of one run."""
SEEDS = 2**32
"""Seeds are 0 to SEEDS - 1: short enough to type again."""


def _table_format(context: click.Context, parameter: click.Parameter, value: str) -> str:
    from tabulate import tabulate_formats

    if value not in tabulate_formats:
        raise UsageError(f"no table format {value!r}{did_you_mean(value, tabulate_formats)}")
    return value


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


def check_folder(named: Path, folder: Path) -> None:
    """Whether files can be made in ``folder``, for ``--save named``. Raises `UsageError` or `MachineError`.

    What is saved takes long to find: say before it, not behind it, that it could not be kept.
    """
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise cannot_write("--save", named, error) from None


def _save_file(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """A file that is there, which click looks at, or that can be made."""
    if value is None:
        return None
    folder = value.absolute().parent
    if value.is_dir() or not folder.is_dir():
        raise UsageError(f"--save {value}: name a file, in a folder that is there")
    if not value.exists() or value.is_file():
        check_folder(value, folder)
    return value


allow_code_option = click.option(
    "--allow-code", is_flag=True, help="Run the Python file of the design that FILE names: you trust it."
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

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object, nothing else.")
"""Passes ``as_json: bool``."""

format_option = click.option(
    "--format",
    "table_format",
    default="simple",
    show_default=True,
    metavar="NAME",
    callback=_table_format,
    help="Style of the tables: plain, github, tsv, html, ... (any of tabulate's).",
)
"""Passes ``table_format: str``, a name that tabulate knows."""

seed_option = click.option(
    "--seed",
    type=click.IntRange(0, SEEDS - 1),
    callback=_seed,
    help="Where everything random comes from.  [default: drawn, and printed]",
)
"""Passes ``seed: int``, drawn by the operating system when it is not given."""


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
