"""A report as a page for a browser: sections of sentences, tables and plots. Every command's page is a `Report`."""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from numbers import Number
from pathlib import Path
from typing import Any

import psutil
from markupsafe import Markup

from stress.report.page import rendered
from stress.report.plot import Bars, Panel, svg
from stress.system.cpus import available_cores


@dataclass(frozen=True)
class Link:
    """A cell that leads to another page, such as that of a counterexample. ``to``: a path beside the report."""

    text: str
    to: str


@dataclass(frozen=True)
class Table:
    """Rows, as mappings whose keys are the columns. None in a cell is shown as a dash."""

    rows: Sequence[Mapping[str, Any]]
    caption: str = ""


@dataclass(frozen=True)
class Plot:
    """A picture as the text of an SVG, and what it shows, in a sentence."""

    svg: str
    says: str


def plots(says: str, *panels: Panel | Bars) -> list[Plot]:
    """Panels as one picture for a section; none where matplotlib, which draws them, is missing."""
    if importlib.util.find_spec("matplotlib") is None:
        return []
    return [Plot(svg(panels, says), says)]


@dataclass(frozen=True)
class Section:
    """A part of a report: ``before`` and ``behind`` are sentences around its plots and tables."""

    title: str
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
    before: Sequence[str] = ()
    behind: Sequence[str] = ()


@dataclass(frozen=True)
class Report:
    """What a page says. ``verdict``: the outcome in a line, fine where ``ok``. ``facts``: by name, beside the machine.

    >>> Report("Counters", "pte-stress rss", [Section("Errors", [Table([{"counter": "atomic", "pages": 0}])])]).html()
    '<!DOCTYPE html>...'
    """

    title: str
    command: str
    sections: Sequence[Section]
    lead: str = ""
    verdict: str = ""
    ok: bool = True
    facts: Sequence[tuple[str, str]] = field(default=())

    def html(self) -> str:
        """The page."""
        return rendered(
            "report.html",
            title=self.title,
            kicker=" ".join(self.command.split()[:2]),
            command=self.command,
            lead=self.lead,
            verdict=self.verdict,
            ok=self.ok,
            sections=[_section(section) for section in self.sections],
            facts=[*self.facts, *machine_facts()],
        )


def machine_facts() -> list[tuple[str, str]]:
    """The machine and the time, by name."""
    memory = psutil.virtual_memory().total
    return [
        ("Machine", f"{_cpu_model()}, {available_cores()} of {os.cpu_count()} CPUs, {memory / (1 << 30):.1f} GiB"),
        ("Kernel", f"{platform.system()} {platform.release()}"),
        ("Python", platform.python_version()),
        ("Time", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
    ]


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _section(section: Section) -> dict[str, Any]:
    return {
        "title": section.title,
        "before": section.before,
        "behind": section.behind,
        "plots": [{"says": plot.says, "svg": Markup(plot.svg)} for plot in section.plots],
        "tables": [_table(table) for table in section.tables],
    }


def _table(table: Table) -> dict[str, Any]:
    keys = list(dict.fromkeys(key for row in table.rows for key in row))
    numeric = {key: all(_is_number(row.get(key)) for row in table.rows) for key in keys}
    lines = [[_cell(row.get(key), numeric[key]) for key in keys] for row in table.rows]
    return {"caption": table.caption, "heads": [{"text": k, "number": numeric[k]} for k in keys], "lines": lines}


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().replace(",", "").removeprefix("-").replace(".", "", 1).isdigit() or value in {"", "-"}
    return value is None or (isinstance(value, Number) and not isinstance(value, bool))


def _cell(value: Any, number: bool) -> dict[str, Any]:
    link = value.to if isinstance(value, Link) else ""
    text = value.text if isinstance(value, Link) else _text(value)
    return {"text": text, "link": link, "number": number}


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
