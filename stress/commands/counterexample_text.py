"""What `explore` and `replay` print."""

from __future__ import annotations

from typing import Any

from stress.checks import CHECKS
from stress.design_rules import without_effect
from stress.explore.counterexample.trace import Trace, table
from stress.explore.model.model import Model
from stress.explore.model.reads import unshown
from stress.explore.result import INTERRUPTED, NEVER_ENDS, Result

_BOUNDS = {
    "states": "the bound on states was reached: raise it with --max-states",
    "memory": "the bound on memory was reached: raise it with --max-memory",
    "seconds": "the bound on time was reached: raise it with --max-seconds",
    INTERRUPTED: "interrupted",
    NEVER_ENDS: "a step or check does not end",
    "runs": "schedules were drawn at random",
    "preemptions": "schedules with more preemptions were left out",
}


def summary(result: Result, table_format: str) -> str:
    """The figures of an exploration, and whether it is complete."""
    from stress.report.fitted import fitted, fitted_text

    machine = result.workload.machine
    row = {
        "design": result.design.name,
        "arch": machine.arch,
        "states": f"{result.states:,}",
        "transitions": f"{result.transitions:,}",
        "depth": result.depth,
        "outcomes": result.outcomes,
        "seconds": f"{result.seconds:.2f}",
        "violations": ", ".join(v.check for v in result.violations) or "none",
    }
    text = fitted([row], style=table_format, disable_numparse=True)
    return "\n".join((text, *map(fitted_text, (*result.notes, *looked_at_nothing(result), ending(result)))))


def looked_at_nothing(result: Result) -> list[str]:
    """Say which operations of the workload gave the checks nothing to look at, in a sentence each."""
    names = list(dict.fromkeys(operation.name for operation in result.workload.operations()))
    return [*unshown(result.reads), *without_effect(result.design, names)]


def ending(result: Result) -> str:
    """How far an exploration got, in a sentence."""
    if result.complete:
        return "complete: every state that can be reached was visited"
    reason = _BOUNDS.get(result.bound, result.bound)
    return f"not complete: {reason}" if reason else "not complete"


def counterexample(model: Model, found: Trace, table_format: str) -> str:
    """A counterexample as a table, and what is wrong at its end."""
    from stress.report.fitted import fitted_text

    violation = found.violation
    title = f"{violation.check}: {CHECKS[violation.check].holds}; broken in {violation.length} steps"
    lines = [fitted_text(title), table(found, len(model.workload.cpus), table_format)]
    for number, picture in enumerate(found.states, 1):
        lines += [f"behind step {number}:", *(f"  {line}" for line in picture.splitlines())]
    return "\n".join((*lines, fitted_text(f"{violation.check}: {found.wrong}")))


def violations_json(result: Result, traces: list[Trace]) -> list[dict[str, Any]]:
    """The violations as `explore --json` gives them."""
    pairs = zip(result.violations, traces, strict=True)
    return [{"check": v.check, "length": v.length, "steps": found.to_json()} for v, found in pairs]
