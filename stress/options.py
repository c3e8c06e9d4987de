"""Options that every command has: decorators, so that they are named and explained the same everywhere."""

from __future__ import annotations

import math
import random

import click

from stress.errors import UsageError
from stress.nearest import did_you_mean

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
        raise UsageError(f"{parameter.opts[0]} {value:g}: give a time above 0")
    return value


def _placement(context: click.Context, parameter: click.Parameter, value: str) -> str:
    from shm_layout.placement import PLACEMENTS

    if value not in PLACEMENTS:
        raise UsageError(f"no placement {value!r}{did_you_mean(value, PLACEMENTS)}")
    return value


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
