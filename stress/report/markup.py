"""Output that other programs read: tsv, html and the tables of Markdown, valid as a whole.

A command prints sentences and tables. In these formats its tables are rows and nothing else, and its sentences are
comments (tsv: lines that begin with ``#``), paragraphs (html) or lines of Markdown. `MarkedUp` stands in the place of
stdout and sees to the sentences; `table` makes the tables, and marks where they begin and end.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from html import escape
from typing import Any, TextIO

STYLES = ("tsv", "html", "github", "pipe")
"""The formats of which all that is printed is valid."""

_BEGIN, _END = "\x02", "\x03"
_active = False
"""Whether a `MarkedUp` is there to take the marks away."""

_GROUPED = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?")
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?")
_MARKDOWN = re.compile(r"([\\`*\[\]|~])|(?<!\w)_|_(?!\w)")
_BLOCK = re.compile(r"^(\s*)([-+#=]|\d+[.)])")

PAGE = (
    '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>pte-stress</title></head>\n<body>\n<main>\n'
)
PAGE_END = "</main>\n</body>\n</html>\n"


def active() -> bool:
    """Whether what is printed goes through a `MarkedUp`."""
    return _active


def table(style: str, heads: Sequence[str], rows: Sequence[Sequence[Any]], missing: str = "") -> str:
    """Rows as a table in one of `STYLES`: one line a row, plain numbers, cells escaped. ``missing``: for None.

    >>> table("tsv", ["check", "steps"], [["a\\tb", 1234], ['"', None]])
    'check\\tsteps\\na b\\t1234\\n\"\"\"\"\\t'
    """
    lines = [[plain(cell, missing) for cell in row] for row in rows]
    made = {"tsv": _tsv, "html": _html}.get(style, _markdown)
    text = made([plain(head, missing) for head in heads], lines)
    return f"{_BEGIN}{text}{_END}" if _active else text


def plain(cell: Any, missing: str = "") -> str:
    """A cell as text, with numbers as programs read them: without thousands separators."""
    if cell is None:
        return missing
    if isinstance(cell, float):
        return f"{cell:.6g}"
    text = str(cell)
    return text.replace(",", "") if _GROUPED.fullmatch(text.strip()) else text


def _one_line(text: str, joint: str) -> str:
    lines = (" ".join(line.split()) for line in text.splitlines())
    return joint.join(line for line in lines if line)


def _tsv(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, dialect="excel-tab", lineterminator="\n")
    for row in (heads, *rows) if any(heads) else rows:
        cells = [_one_line(cell, "; ") for cell in row]
        if cells and cells[0].startswith("#"):
            cells[0] = " " + cells[0]  # else it would be a comment
        writer.writerow(cells)
    return text.getvalue().removesuffix("\n")


def _html(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    numeric = [bool(rows) and all(_NUMBER.fullmatch(row[i]) or not row[i] for row in rows) for i in range(len(heads))]

    def line(tag: str, cells: Sequence[str]) -> str:
        aligned = (' style="text-align: right"' if numeric[i] else "" for i in range(len(cells)))
        made = (f"<{tag}{align}>{_html_text(cell)}</{tag}>" for align, cell in zip(aligned, cells, strict=True))
        return f"<tr>{''.join(made)}</tr>"

    head = f"<thead>\n{line('th', heads)}\n</thead>\n" if any(heads) else ""
    return f"<table>\n{head}<tbody>\n" + "\n".join(line("td", row) for row in rows) + "\n</tbody>\n</table>"


def _html_text(text: str) -> str:
    return "<br>".join(escape(line) for line in text.splitlines())


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join("<br>".join(map(_markdown_text, cell.splitlines())) for cell in cells) + " |"

    rule = "| " + " | ".join("---" for _ in heads) + " |"
    return "\n".join((line(heads), rule, *map(line, rows)))


def _markdown_text(text: str) -> str:
    escaped = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(lambda found: "\\" + found[0], escaped)


def sentence(style: str, line: str) -> str:
    """A line that is no table, as one of `STYLES` has it; "" for an empty one."""
    line = line.strip()
    if not line:
        return ""
    if style == "tsv":
        return "# " + " ".join(line.split()) + "\n"
    if style == "html":
        return f"<p>{escape(line)}</p>\n"
    return _BLOCK.sub(r"\1\\\2", _markdown_text(line)) + "\n\n"


class MarkedUp(io.TextIOBase):
    """A stream that what a command prints goes through on its way to stdout, and comes out valid in one of `STYLES`.

    ``skip``: whether what is printed is no such output (JSON) and goes on as it is; asked at the first write.
    """

    def __init__(self, to: TextIO, style: str, skip: Any = lambda: False) -> None:
        """Write to ``to``."""
        global _active
        self.to, self.style, self.skip = to, style, skip
        self.line = ""
        self.within = False
        self.begun = False
        self.tables = 0
        _active = True

    encoding = "utf-8"
    errors = "backslashreplace"

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """The descriptor below."""
        return self.to.fileno()

    def write(self, text: str, /) -> int:
        """Take text; lines outside of tables go on when they are whole."""
        if not isinstance(text, str):
            raise TypeError(f"text is written here, not {type(text).__name__}")
        if text and self.skip():
            self.to.write(text)
            return len(text)
        if text and not self.begun:
            self.begun = True
            self.to.write(PAGE if self.style == "html" else "")
        for part in re.split(f"([{_BEGIN}{_END}\n])", text):
            if part == _BEGIN:
                self._end_line()
                self.to.write("\n" if self.tables else "")
                self.tables += 1
                self.within = True
            elif part == _END:
                self.within = False
                self.to.write("\n\n" if self.style in {"github", "pipe"} else "\n")
            elif self.within:
                self.to.write(part)
            elif part == "\n":
                self._end_line()
            else:
                self.line += part
        return len(text)

    def _end_line(self) -> None:
        self.to.write(sentence(self.style, self.line))
        self.line = ""

    def flush(self) -> None:
        """Flush what is whole."""
        self.to.flush()

    def end(self) -> None:
        """Write what is left; a page is closed."""
        global _active
        _active = False
        self._end_line()
        if self.begun and self.style == "html":
            self.to.write(PAGE_END)
