"""One finding as a page."""

from __future__ import annotations

import difflib
import shutil
import textwrap

from stress.commands.counterexample_text import counterexample
from stress.design import Design
from stress.explore import Result
from stress.explore.counterexample.trace import trace
from stress.explore.model.model import build
from stress.findings.show import Shown


def edit_lines(corrected: Design, posted: Design) -> list[str]:
    """The edit between two designs: the entries that went and came, and the operations that it is made in."""
    changed = [name for name, program in posted.programs.items() if program != corrected.programs[name]]
    if not changed:
        return ["no operation differs"]
    before, after = corrected.programs[changed[0]].names(), posted.programs[changed[0]].names()
    lines = [f"{', '.join(changed)}:"]
    for line in difflib.unified_diff(before, after, lineterm="", n=1):
        if not line.startswith(("---", "+++")):
            lines.append("  ..." if line.startswith("@@") else f"  {line}")
    return lines


def explored(what: str, result: Result) -> str:
    """A line on an exploration."""
    ends = "complete" if result.complete else f"not complete ({result.bound})"
    broken = ", ".join(f"{v.check} in {v.length} steps" for v in result.violations) or "all checks hold"
    return (
        f"{what}: {broken}; {result.states:,} states, {result.transitions:,} transitions, {ends},"
        f" {result.seconds:.3f} s"
    )


def page(shown: Shown, table_format: str) -> str:
    """The point, the pair of designs as the edit between them, the workload, and what was found."""
    finding = shown.finding
    workload = shown.posted.workload
    width = min(shutil.get_terminal_size().columns, 100)
    lines = [
        f"{finding.id}: {finding.title}",
        "",
        *textwrap.wrap(finding.point, width),
        "",
        f"workload: {workload}  (arch {workload.machine.arch})",
        f"as posted: {finding.edit}",
        *(f"  {line}" for line in edit_lines(finding.corrected(), finding.posted())),
        "",
    ]
    violation = shown.posted.violation(finding.check)
    if violation is not None:
        model = build(finding.posted(), workload)
        lines += [counterexample(model, trace(model, violation), table_format), ""]
    lines += [explored("as posted", shown.posted), explored("corrected", shown.corrected)]
    if shown.v12 is not None:
        lines.append(explored("v12", shown.v12))
    for (where, case), result in zip(finding.harmless, shown.harmless, strict=True):
        lines.append(explored(f"as posted, {where} [{case.workload}]", result))
    lines += [f"NOT SHOWN: {sentence}" for sentence in shown.wrong]
    return "\n".join(lines)
