"""What herd7 prints of a test, and the same as a JSON object."""

from __future__ import annotations

from typing import Any

from stress.litmus.conditions import State
from stress.litmus.machine_run.seen import Seen
from stress.litmus.outcomes import Outcomes
from stress.litmus.test import QUANTIFIERS, Test
from stress.report.words import plural


def state_line(state: State) -> str:
    """Return a final state as herd7 prints it, as in ``0:EAX=0; [x]=1;``."""
    return " ".join(f"{location.shown}={value};" for location, value in state.items())


def state_json(state: State) -> dict[str, Any]:
    """Return a final state by the names that the test writes: numbers, and names of words for addresses."""
    return {location.key: value for location, value in state.items()}


def herd_lines(found: Outcomes) -> list[str]:
    """Return the lines that herd7 prints of a test, and one more where not all states were found."""
    test = found.test
    verdict = {True: "Ok", False: "No", None: "Unknown"}[found.ok]
    lines = [
        f"Test {test.name} {QUANTIFIERS[test.quantifier]}",
        f"States {len(found.states)}",
        *(state_line(state) for state in found.states),
        verdict,
        "Witnesses",
        f"Positive: {found.positive} Negative: {found.negative}",
        condition_line(test),
    ]
    if found.observation is not None:
        lines.append(f"Observation {test.name} {found.observation} {found.positive} {found.negative}")
    lines.append(f"Time {test.name} {found.seconds:.2f}")
    if not found.complete:
        lines.append(
            f"Not complete: {found.visited:,} states in {found.seconds:.1f} s, more remain: give more --seconds"
        )
    elif not found.all_states:
        lines.append("Not all states are listed: the verdict is certain without them")
    return lines


def seen_lines(test: Test, seen: Seen) -> list[str]:
    """Return what a run on this machine saw: a histogram as litmus7 prints it, and how it stands to x86-TSO.

    Behind the count of a state stands ``*`` if it fulfils the condition, and ``!`` if x86-TSO forbids it.
    """
    states = [state for state, _, _ in seen.counts]
    lines = [f"Histogram ({len(states)} states)"]
    for state, count, allowed in seen.counts:
        marks = ("*" if test.condition.holds(state) else "") + ("!" if allowed is False else "")
        lines.append(f"{count:<12}{marks}:>{state_line(state)}")
    rate = f"{seen.instances:,} instances in {seen.seconds:.1f} s, {seen.per_second / 1e6:.1f} million a second"
    lines.append(
        f"{rate}, {plural(seen.processes, 'process', 'processes')} on {plural(seen.cpus, 'CPU')}, seed {seen.seed}"
    )
    if not seen.judged:
        lines.append("Not held against x86-TSO: its states are not all known, give more --seconds")
        return lines
    known = sum(allowed is True for _, _, allowed in seen.counts)
    verdict = (
        f"{seen.forbidden:,} instances in states that x86-TSO forbids" if seen.forbidden else "none that it forbids"
    )
    lines.append(f"Seen {known} of {plural(seen.allowed, 'state')} that x86-TSO allows, {verdict}")
    return lines


def seen_json(seen: Seen) -> dict[str, Any]:
    """Return what a run saw, for the JSON object of its test."""
    return {
        "seen": [{"state": state_json(s), "count": count, "allowed": allowed} for s, count, allowed in seen.counts],
        "run": {
            "instances": seen.instances,
            "seconds": round(seen.seconds, 3),
            "instances_per_second": round(seen.per_second),
            "processes": seen.processes,
            "cpus": seen.cpus,
            "allowed_states": seen.allowed,
            "forbidden": seen.forbidden,
            "seed": seen.seed,
        },
    }


def condition_line(test: Test) -> str:
    """Return the condition as herd7 prints it, and the filter before it if there is one."""
    wanted = f"Filter ({test.filter}) " if test.filter is not None else ""
    return f"{wanted}Condition {test.quantifier} ({test.condition})"


def outcomes_json(found: Outcomes) -> dict[str, Any]:
    """Return what was found of a test as a JSON object."""
    return {
        "file": found.test.file,
        "name": found.test.name,
        "memory": found.memory,
        "supported": True,
        "reason": None,
        "complete": found.complete,
        "all_states": found.all_states,
        "states": [state_json(state) for state in found.states],
        "observation": found.observation,
        "ok": found.ok,
        "positive": found.positive,
        "negative": found.negative,
        "visited": found.visited,
        "seconds": round(found.seconds, 4),
    }


def unsupported_json(file: str, name: str, memory: str, reason: str) -> dict[str, Any]:
    """Return the JSON object of a test that is not supported."""
    return {
        "file": file,
        "name": name,
        "memory": memory,
        "supported": False,
        "reason": reason,
        "complete": False,
        "all_states": False,
        "states": [],
        "observation": None,
        "ok": None,
        "positive": 0,
        "negative": 0,
    }
