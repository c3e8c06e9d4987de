"""A counterexample as a file: what it takes to run it again, and a checksum against edits.

A JSON object: ``pte_stress`` (the kind of file and its format), ``design`` (as it was named), ``programs`` (a hash of
the programs that the workload uses), ``workload``, ``schedule`` (the CPU that moves at each step), ``check``,
``at_rest``, and ``sha256`` over all the rest. Nothing in it depends on the machine or the version of Python.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stress.design import Design
from stress.errors import UsageError
from stress.explore.failure import FORMAT
from stress.explore.model import Model, build
from stress.explore.result import Violation
from stress.explore.verdict import NAMES
from stress.program import assemble
from stress.reading import read_text
from stress.resolve import resolve_design
from stress.step import info, label_info, outcomes
from stress.workload import Workload

KIND = "counterexample 1"


@dataclass(frozen=True)
class Saved:
    """What a file holds: the design's name and the design, the model, the violation."""

    reference: str
    design: Design
    model: Model
    violation: Violation


def programs_hash(design: Design, workload: Workload) -> str:
    """A hash of the programs that the workload uses: their steps and jumps by name."""
    digest = hashlib.sha256()
    for name in sorted({operation.name for operation in workload.operations()}):
        program = assemble(design.programs[name], workload.machine.arch)
        digest.update(f"{name}:".encode())
        for step, jump in zip(program.steps, program.jump, strict=True):
            # Outcomes by name: their numbers depend on which designs were imported.
            named = sorted((label_info(o).name, jump[o]) for o in range(3, outcomes()) if jump[o] >= -1)
            digest.update(f"{info(step).name} {jump[0]} {named};".encode())
    return digest.hexdigest()


def _checksum(data: dict[str, Any]) -> str:
    text = json.dumps({k: v for k, v in data.items() if k != "sha256"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def save(path: Path, reference: str, design: Design, workload: Workload, violation: Violation) -> None:
    """Write a counterexample. ``reference``: what `resolve_design` finds the design by.

    Raises `UsageError` when the file cannot be written.
    """
    data: dict[str, Any] = {
        "pte_stress": KIND,
        "design": reference,
        "programs": programs_hash(design, workload),
        "workload": workload.to_json(),
        "schedule": list(violation.schedule),
        "check": violation.check,
        "at_rest": violation.at_rest,
    }
    data["sha256"] = _checksum(data)
    try:
        path.write_text(json.dumps(data, indent=1) + "\n")
    except OSError as error:
        raise UsageError(f"cannot write {path} ({error.strerror}): name another file") from None


def load(path: Path) -> Saved:
    """Read a counterexample. Raises `UsageError` for a file that is none, was edited, or is of another design."""
    try:
        data = json.loads(read_text(path, "name a file that --save wrote"))
    except ValueError:
        raise UsageError(f"{path} is no JSON: name a file that --save wrote") from None
    if isinstance(data, dict) and data.get("format") == FORMAT:
        raise UsageError(f"{path} is of a run: `hunt --from {path} --save FOLDER` looks for what can be replayed")
    if not isinstance(data, dict) or data.get("pte_stress") != KIND:
        raise UsageError(f"{path} is no {KIND!r} file: name one that --save of this version wrote")
    if data.get("sha256") != _checksum(data):
        raise UsageError(f"{path} was changed since it was saved: save the counterexample anew")
    design = resolve_design(data["design"])
    workload = Workload.from_json(data["workload"])
    violation = Violation(data["check"], tuple(data["schedule"]), data["at_rest"])
    if violation.check not in NAMES or not set(violation.schedule) <= set(range(len(workload.cpus))):
        raise UsageError(f"{path} names a check or a CPU that is not there: save the counterexample anew")
    model = build(design, workload)
    if data["programs"] != programs_hash(design, workload):
        raise UsageError(f"{path} belongs to another version of design {data['design']}: explore it anew")
    return Saved(data["design"], design, model, violation)
