"""The page of one finding: the point, the edit, the workload, what was found."""

from __future__ import annotations

import difflib
import shutil
import textwrap

from stress.design import Design
from stress.explore import Result, Violation
from stress.explore.counterexample.text import counterexample
from stress.explore.counterexample.trace import trace
from stress.explore.model.model import build
from stress.findings.show import Shown
from stress.report.words import plural


def edit_lines(corrected: Design, posted: Design) -> list[str]:
    """Return the edit between two designs: the entries that went and came, and the operations that it is made in."""
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
    """Return a line on an exploration."""
    ends = "complete" if result.complete else f"not complete ({result.bound})"
    broken = ", ".join(f"{v.check} {_where(v)}" for v in result.violations) or "all checks hold"
    return (
        f"{what}: {broken}; {result.states:,} states, {result.transitions:,} transitions, {ends},"
        f" {result.seconds:.3f} s"
    )


def _where(violation: Violation) -> str:
    if violation.length == 0:
        return "before the first step (by what comes before ||)"
    return f"in {plural(violation.length, 'step')}"


def page(shown: Shown, table_format: str) -> str:
    """Return the point, the pair of designs as the edit between them, the workload, and what was found."""
    finding = shown.finding
    workload = shown.posted.workload
    memory = "" if shown.memory == "sc" else f", memory {shown.memory}"
    width = min(shutil.get_terminal_size().columns, 100)
    lines = [
        f"{finding.id}: {finding.title}",
        "",
        *textwrap.wrap(finding.point, width),
        "",
        *_wrapped(f"workload: {workload}  (arch {workload.machine.arch}{memory})", width),
        *_wrapped(f"as posted: {finding.edit}", width),
        *(f"  {line}" for line in edit_lines(finding.corrected(), finding.posted())),
        "",
    ]
    violation = shown.posted.violation(finding.check)
    if violation is not None:
        model = build(finding.posted(), workload, shown.memory)
        lines += [counterexample(model, trace(model, violation), table_format), ""]
    found = [explored("as posted", shown.posted), explored("corrected", shown.corrected)]
    if shown.v12 is not None:
        found.append(explored(str(finding.shipped), shown.v12))
    for (where, case), result in zip(finding.harmless, shown.harmless, strict=True):
        found.append(explored(f"as posted, {where} [{case.workload}]", result))
    found += [f"NOT SHOWN: {sentence}" for sentence in shown.wrong]
    return "\n".join((*lines, *(part for line in found for part in _wrapped(line, width))))


def _wrapped(line: str, width: int) -> list[str]:
    """A line that is broken at words, and goes on two columns further in."""
    return textwrap.wrap(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
