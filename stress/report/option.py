"""The option of commands that draw."""

from __future__ import annotations

from pathlib import Path

import click


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
