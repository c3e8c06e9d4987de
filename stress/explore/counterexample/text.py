"""A counterexample and the figures of an exploration, as text and for JSON."""

from __future__ import annotations

from typing import Any

from stress.checks import CHECKS
from stress.design_rules import without_effect
from stress.explore.counterexample.history import History
from stress.explore.counterexample.trace import Trace, table
from stress.explore.model.model import Model
from stress.explore.model.reads import unshown
from stress.explore.result import BUFFER, INTERRUPTED, NEVER_ENDS, Result

_BOUNDS = {
    "states": "the bound on states was reached: raise it with --max-states",
    "memory": "the bound on memory was reached: raise it with --max-memory",
    "seconds": "the bound on time was reached: raise it with --max-seconds",
    BUFFER: "a store buffer was full",
    INTERRUPTED: "interrupted",
    NEVER_ENDS: "a step or check does not end",
    "runs": "schedules were drawn at random",
    "preemptions": "schedules with more preemptions were left out",
}


def summary(result: Result, table_format: str, more: str = "") -> str:
    """Return the figures of an exploration, and whether it is complete. ``more``: a sentence before that."""
    from stress.report.fitted import fitted, fitted_text

    text = fitted([summary_row(result)], style=table_format, disable_numparse=True)
    sentences = [*result.notes, *looked_at_nothing(result), *([more] if more else []), ending(result)]
    return "\n".join((text, *map(fitted_text, sentences)))


def summary_row(result: Result) -> dict[str, Any]:
    """The figures of an exploration, as a row of a table."""
    machine = result.workload.machine
    return {
        "design": result.design.name,
        "arch": machine.arch,
        **memory_json(result.memory),
        "states": f"{result.states:,}",
        "transitions": f"{result.transitions:,}",
        "depth": result.depth,
        "outcomes": result.outcomes,
        "seconds": f"{result.seconds:.2f}",
        "violations": ", ".join(v.check for v in result.violations) or "none",
    }


def memory_json(name: str) -> dict[str, str]:
    """Return the memory model as JSON has it: nothing under sc, so that its objects are as they always were."""
    return {} if name == "sc" else {"memory": name}


def looked_at_nothing(result: Result) -> list[str]:
    """Say which operations of the workload gave the checks nothing to look at, in a sentence each."""
    names = list(dict.fromkeys(operation.name for operation in result.workload.operations()))
    return [*unshown(result.reads), *without_effect(result.design, names)]


def ending(result: Result) -> str:
    """Return how far an exploration got, in a sentence."""
    if result.complete and result.reduced:
        return "complete: every state that can be reached was visited, or passed over, as it changes no verdict"
    if result.complete:
        return "complete: every state that can be reached was visited"
    reason = _BOUNDS.get(result.bound, result.bound)
    return f"not complete: {reason}" if reason else "not complete"


def counterexample(model: Model, found: Trace, table_format: str) -> str:
    """Return a counterexample as a table, and what is wrong at its end."""
    from stress.report.fitted import fitted_text

    violation = found.violation
    title = f"{violation.check}: {CHECKS[violation.check].holds}; broken in {violation.length} steps"
    lines = [fitted_text(title), table(found, len(model.workload.cpus), table_format)]
    for number, picture in enumerate(found.states, 1):
        lines += [f"after step {number}:", *(f"  {line}" for line in picture.splitlines())]
    return "\n".join((*lines, fitted_text(f"{violation.check}: {found.wrong}")))


def changes_text(found: History, table_format: str) -> str:
    """What changes at each step of a counterexample, a row for each word, and what is wrong at its end."""
    from stress.report.fitted import fitted, fitted_text

    rows = [
        {"": m.number, "CPU": m.cpu, "step": m.step, "word": a.name, "before": a.old_text, "behind": a.new_text}
        for m in found.moves
        for a in m.writes()
        if a.new != a.old
    ]
    text = fitted(rows, style=table_format, disable_numparse=True)
    return "\n".join((text, fitted_text(f"{found.violation.check}: {found.found.wrong}")))


def violations_json(result: Result, traces: list[Trace]) -> list[dict[str, Any]]:
    """Return the violations as `explore --json` gives them."""
    pairs = zip(result.violations, traces, strict=True)
    return [{"check": v.check, "length": v.length, "steps": found.to_json()} for v, found in pairs]
