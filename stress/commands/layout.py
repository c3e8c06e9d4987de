"""The command `pte-stress layout`: show where every field lies, cache line by cache line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shm_layout.errors import UsageError
from stress.commands.json_output import echo_json
from stress.commands.options import format_option, json_option, placement_option

if TYPE_CHECKING:
    from shm_layout.layout import Layout, Region

WORD = 8
"""Bytes of a word; every field is one."""
LINE = 64
"""Bytes of a cache line."""
ADDRESSES = 1 << 47
"""Bytes that a process can map on x86-64 (four levels of page tables)."""


def field_rows(region: Region) -> list[dict[str, object]]:
    """Return the fields of instance 0, and of those that share a line with it, in the order of their place."""
    last_line = (region.start * WORD + region.stride * WORD - 1) // LINE
    rows: list[dict[str, object]] = []
    for instance in range(region.count):
        fields = sorted(region.struct.fields, key=lambda f: region.offsets[f.name])
        for f in fields:
            offset = region.index(instance, f.name) * WORD
            if offset // LINE > last_line:
                return rows
            rows.append(
                {
                    "line": offset // LINE,
                    "offset": offset,
                    "size": WORD,
                    "structure": region.struct.name,
                    "instance": instance,
                    "field": f.name,
                    "writers": f.writers,
                }
            )
    return rows


def struct_rows(layout: Layout) -> list[dict[str, object]]:
    """Return one row for each structure: where its instances lie, in bytes."""
    return [
        {
            "structure": region.struct.name,
            "offset": region.start * WORD,
            "stride": region.stride * WORD,
            "count": region.count,
            "bytes": region.stride * region.count * WORD,
            "what": region.struct.doc,
        }
        for region in layout.regions.values()
        if region.count
    ]


@click.command()
@placement_option
@click.option(
    "--design",
    "design_name",
    metavar="NAME",
    help="A design of your own, my_design.py:MINE: with the fields that its file declares.",
)
@click.option("--cpus", type=click.IntRange(1, 1024), default=2, show_default=True, help="CPUs of the machine.")
@click.option("--pages", type=click.IntRange(1), default=4096, show_default=True, help="Anonymous pages of an mm.")
@click.option("--file-pages", type=click.IntRange(0), default=0, show_default=True, help="Pages of the mapped file.")
@click.option("--mms", type=click.IntRange(1), default=2, show_default=True, help="Address spaces.")
@json_option
@format_option
def layout(  # noqa: PLR0917  (click gives options by keyword)
    placement: str,
    design_name: str | None,
    cpus: int,
    pages: int,
    file_pages: int,
    mms: int,
    as_json: bool,
    table_format: str,
) -> None:
    """Show where every field lies, cache line by cache line, and who writes it.

    The first instance of each structure is shown, with the others that share its cache lines.
    """
    from shm_layout.layout import Layout
    from shm_layout.machine import Machine
    from shm_layout.placement import PLACEMENTS

    if design_name is not None:
        from stress.resolve import resolve_design

        resolve_design(design_name)
    machine = Machine(
        cpus=cpus, mms=mms, anon=pages, shared_file=file_pages, frames=pages + file_pages + 1, swap=0
    )
    found = Layout(machine, PLACEMENTS[placement])
    if found.words * WORD > ADDRESSES:
        raise UsageError(f"{pages:,} pages, {mms:,} mms: more than the {ADDRESSES:,} bytes that a process can map")
    structures = struct_rows(found)
    fields = [row for region in found.regions.values() for row in field_rows(region)]
    if as_json:
        shown = {"placement": placement, "bytes": found.words * WORD, "structures": structures, "fields": fields}
        echo_json(shown)
        return
    from stress.report.fitted import fitted, fitted_text

    click.echo(fitted_text(f"placement {placement}: {found.placement.doc}; {found.words * WORD:,} bytes in all") + "\n")
    click.echo(fitted(structures, style=table_format))
    click.echo()
    click.echo(fitted(fields, style=table_format))
