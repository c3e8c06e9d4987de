"""Tables and text that fit the terminal: what is too wide is wrapped, at words if that is enough; nothing is left out.

Only where there is a terminal, or COLUMNS says how wide it is: what goes into a file or a pipe is not wrapped. Formats
that programs read (`stress.report.markup`, and some of tabulate) are never wrapped.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from textwrap import TextWrapper
from typing import Any

import tabulate as tables

from stress.report import markup

MARKUP = {"orgtbl", "jira", "rst", "colon_grid"}
"""Formats in which a line is a row, or that are read by other programs, of those in which a cell may have lines."""

NARROWEST = 12
"""Words are broken, at ``+``, ``/`` and ``_`` or anywhere, in columns as narrow as this only."""


class _AtJoints(TextWrapper):
    """Breaks long words after ``+``, ``/`` and ``_`` too."""

    wordsep_simple_re = re.compile(r"(\s+)|(?<=[+/_])(?=\w)")


def terminal_width() -> int:
    """Return the columns of the terminal, or what COLUMNS says; 0 where the output is no terminal."""
    return shutil.get_terminal_size((0, 0)).columns


def wrapped(text: str, width: int) -> str:
    """Wrap text at ``width`` columns. An indented line goes on two columns further in."""
    lines: list[str] = []
    for line in text.splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        longest = max(map(len, line.split()), default=0)
        wrapper = _AtJoints if longest > width - len(indent) else TextWrapper
        further = indent + "  " if indent else ""
        if width - len(further) < (NARROWEST // 2 if wrapper is _AtJoints else longest):
            further = ""
        lines += wrapper(width, subsequent_indent=further, break_on_hyphens=False).wrap(line) or [""]
    return "\n".join(lines)


def fitted_text(text: str) -> str:
    """Wrap text at the width of the terminal, where there is one."""
    width = terminal_width()
    return wrapped(text, width) if width and not markup.active() else text


def fitted(
    rows: Sequence[Mapping[str, Any]] | Sequence[Sequence[Any]],
    headers: Sequence[str] = (),
    *,
    style: str,
    width: int | None = None,
    **options: Any,
) -> str:
    """Format rows as a table of tabulate in ``style``, no wider than ``width`` columns (`terminal_width`) if possible.

    The keys of rows that are mappings are the headers. ``options`` are tabulate's own, of which colalign has an
    entry for each column. Numbers are never broken, so a table of many of them may stay wider.
    """
    heads = list(headers)
    if rows and isinstance(rows[0], Mapping):
        heads = list(dict.fromkeys(key for row in rows for key in row))
        body = [[row.get(key) for key in heads] for row in rows if isinstance(row, Mapping)]
    else:
        body = [list(row) for row in rows]
    if style in markup.STYLES:
        return markup.table(style, heads, body, options.get("missingval", ""))
    limit = terminal_width() if width is None else width
    text = _table(body, heads, style, options)
    if not limit or style in MARKUP or style not in tables.multiline_formats or _width(text) <= limit:
        return text
    with _no_padding():
        text = _table(body, heads, style, options)
        cells = [_cells_width(body, i, options) for i in range(len(heads))]
        floors = [max(least, _longest_word([head])) for (_, least), head in zip(cells, heads, strict=True)]
        now = [max(wide, len(head)) for (wide, _), head in zip(cells, heads, strict=True)]
        for i, most in enumerate(narrower(now, floors, _width(text) - limit)):
            heads[i] = wrapped(heads[i], most)
            for row in body:
                cell = row[i]
                row[i] = wrapped(cell, most) if isinstance(cell, str) else cell
        return _table(body, heads, style, options)


def narrower(widths: Sequence[int], floors: Sequence[int], excess: int) -> list[int]:
    """Take ``excess`` columns away from the widest of these widths, none below its floor as long as that goes."""
    widths = list(widths)
    for lowest in (floors, [min(floor, NARROWEST) for floor in floors]):
        while excess > 0:
            able = [i for i, wide in enumerate(widths) if wide > lowest[i]]
            if not able:
                break
            widths[max(able, key=lambda i: widths[i])] -= 1
            excess -= 1
    return widths


def _width(text: str) -> int:
    return max(map(len, text.splitlines()), default=0)


def _table(body: Sequence[Sequence[Any]], heads: Sequence[str], style: str, options: Mapping[str, Any]) -> str:
    return str(tables.tabulate(body, heads, tablefmt=style, **options))


def _cells_width(body: Sequence[Sequence[Any]], place: int, options: Mapping[str, Any]) -> tuple[int, int]:
    """Return the width of a column without its header, and down to which no word is broken, and no number."""
    own = {**options, "colalign": [options["colalign"][place]]} if options.get("colalign") else options
    cells = [row[place] for row in body]
    wide = _width(_table([[cell] for cell in cells], (), "plain", own))
    words = all(isinstance(cell, str) for cell in cells if cell is not None)
    return wide, _longest_word([cell for cell in cells if cell]) if words else wide


def _longest_word(texts: Sequence[str]) -> int:
    return max((len(word) for text in texts for word in text.split()), default=0)


@contextmanager
def _no_padding() -> Iterator[None]:
    """Make columns as wide as their headers, and not two columns wider."""
    before = tables.MIN_PADDING
    tables.MIN_PADDING = 0
    try:
        yield
    finally:
        tables.MIN_PADDING = before
