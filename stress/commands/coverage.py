"""The option `--coverage`, and what it prints: which steps and branches no schedule took."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from stress.coverage import Coverage

coverage_option = click.option(
    "--coverage", is_flag=True, help="List the steps and branches of the design's programs that no schedule took."
)
"""Passes ``coverage: bool``."""


def echo_coverage(found: Coverage, table_format: str) -> None:
    """Print what was taken and what was not."""
    from stress.report.fitted import fitted, fitted_text

    rows = found.rows()
    if rows:
        click.echo(fitted(rows, style=table_format, disable_numparse=True))
    click.echo(fitted_text(found.summary()) + "\n")
