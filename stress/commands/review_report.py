"""The review as pages for a browser: one with all findings, and one to step through for each counterexample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stress.commands.pictures import PICTURES, command_line, write_pictures, write_report
from stress.explore.counterexample.history import history
from stress.explore.model.model import build
from stress.findings.measurement import get_measurement
from stress.findings.simulated import panels
from stress.report.page import typed
from stress.report.report import Link, Report, Section, Table, plots

if TYPE_CHECKING:
    from stress.findings.measurement import Measured
    from stress.findings.show import Shown
    from stress.system.load import Load


def write_review(
    context: click.Context,
    options: Mapping[str, Any],
    shown: Sequence[tuple[Shown, Mapping[str, Any]]],
    figures: Mapping[str, Measured],
    load: Load | None,
    *,
    single: bool,
) -> None:
    """Write the pages that ``options`` ask for.

    ``shown``: the findings, each with its line of the table. ``load``: whether the machine was busy while ``figures``
    were taken. ``single``: of one finding, whose page is not a report.
    """
    path: Path | None = options["html"]
    if single and all(_pictures(one, {name: options[name] for name in PICTURES}) for one, _ in shown) and shown:
        return
    pages = {}
    for one, _ in shown:
        page = path.with_name(f"{path.stem}-{one.finding.id}{path.suffix}") if path else None
        if page and not single and _pictures(one, {"html": page}):
            pages[one.finding.id] = page.name
    write_report(path, lambda: _report(context, shown, figures, load, pages))


def _pictures(shown: Shown, files: Mapping[str, Path | None]) -> bool:
    """Write the pictures of a finding's counterexample; False where it has none: nothing breaks."""
    finding = shown.finding
    violation = shown.posted.violation(finding.check)
    if violation is None:
        return False
    model = build(finding.posted(), shown.posted.workload, shown.memory)
    write_pictures(
        files,
        lambda: history(model, violation),
        command=typed("review", "--finding", finding.id),
        title=f"{finding.id}: {finding.title}",
        point=finding.point,
        mended=finding.corrected(),
        facts=[("As posted", finding.edit), ("Mended", _explored(shown))],
    )
    return True


def _explored(shown: Shown) -> str:
    corrected = shown.corrected
    if corrected.complete and not corrected.violations:
        return f"all checks hold in every interleaving of this workload ({corrected.states:,} states)"
    return "; ".join(shown.wrong)


def _report(
    context: click.Context,
    shown: Sequence[tuple[Shown, Mapping[str, Any]]],
    figures: Mapping[str, Measured],
    load: Load | None,
    pages: Mapping[str, str],
) -> Report:
    rows = []
    for one, line in shown:
        cells = dict(line)
        if one.finding.id in pages:
            cells["id"] = Link(one.finding.id, pages[one.finding.id])
        rows.append(cells)
    said = [f"{one.finding.id} is not shown: {sentence}" for one, _ in shown for sentence in one.wrong]
    sections = []
    if rows:
        before = [
            "Each finding is a pair of designs on one small workload: as posted it breaks a check, corrected it holds"
            " all checks in every interleaving. An id leads to its counterexample.",
        ]
        sections.append(Section("Findings", [Table(rows)], before=before, behind=said))
    for name, measured in figures.items():
        measurement = get_measurement(name)
        title = f"{measurement.id}: {measurement.title}"
        tables, pictures = [Table(measured.rows, "Measured here")], []
        if measured.simulated:
            tables.append(Table(measured.simulated, "Simulated"))
            if drawn := panels(measured.simulated):
                pictures = plots("Faults a second by number of CPUs, simulated", *drawn)
        if measured.spread:
            tables.append(Table(measured.spread, "Turn by turn, and whether it is above what it is compared with"))
        sections.append(Section(title, tables, pictures, before=[measurement.question], behind=measured.says))
    ok = all(one.ok for one, _ in shown) and all(m.ok for m in figures.values())
    count = sum(one.ok for one, _ in shown)
    return Report(
        "The review of V12, point by point",
        command_line(context),
        sections,
        lead="What the review of the page-fault scalability patches named in December 2004, and what it did not.",
        verdict=f"{count} of {len(shown)} findings shown" if shown else "",
        ok=ok,
        facts=[("Load", str(load))] if load else [],
    )
