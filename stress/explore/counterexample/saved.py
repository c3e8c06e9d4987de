"""A counterexample as a file: what it takes to run it again, and a checksum against edits.

A JSON object: ``pte_stress`` (the kind of file and its format), ``design`` (as it was named), ``programs`` (a hash of
the programs that the workload uses), ``workload``, ``schedule`` (the choice at each step,
`stress.explore.result.Violation`), ``check``, ``at_rest``, ``memory`` (the memory model, where it is not sc), and
``sha256`` over all the rest. Nothing in it depends on the machine or the version of Python.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shm_layout.errors import UsageError
from stress.design import Design
from stress.explore.model.check_bits import NAMES
from stress.explore.model.image import P_CHOICES
from stress.explore.model.model import Model, build
from stress.explore.result import Violation
from stress.kernel.barriers import without_barriers
from stress.labels import label_info, outcomes
from stress.memory_model import NAMES as NAMES_OF_MODELS
from stress.program import assemble
from stress.resolve import resolve_design
from stress.run_failure import FORMAT
from stress.step import info
from stress.system.text_file import read_json
from stress.system.writing import write_file
from stress.workload import Workload

KIND = "counterexample 1"


@dataclass(frozen=True)
class Saved:
    """What a file holds: the design and the name that it was found by, the model, the violation."""

    reference: str
    design: Design
    model: Model
    violation: Violation


def programs_hash(design: Design, workload: Workload, memory: str = "sc") -> str:
    """Return a hash of the programs that the workload uses: steps and jumps by name; no barriers under sc."""
    digest = hashlib.sha256()
    for name in sorted({operation.name for operation in workload.operations()}):
        entries = without_barriers(design.programs[name]) if memory == "sc" else design.programs[name]
        program = assemble(entries, workload.machine.arch)
        digest.update(f"{name}:".encode())
        for step, jump in zip(program.steps, program.jump, strict=True):
            # Outcomes by name: their numbers depend on which designs were imported.
            named = sorted((label_info(o).name, jump[o]) for o in range(3, outcomes()) if jump[o] >= -1)
            digest.update(f"{info(step).name} {jump[0]} {named};".encode())
    return digest.hexdigest()


def _checksum(data: dict[str, Any]) -> str:
    text = json.dumps({k: v for k, v in data.items() if k != "sha256"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def save(  # noqa: PLR0917
    path: Path, reference: str, design: Design, workload: Workload, violation: Violation, memory: str = "sc"
) -> None:
    """Write a counterexample. ``reference``: what `resolve_design` finds the design by; ``memory``: the memory model.

    Raises `UsageError` or `MachineError` when the file cannot be written, and leaves nothing behind then.
    """
    data: dict[str, Any] = {
        "pte_stress": KIND,
        "design": reference,
        "programs": programs_hash(design, workload, memory),
        "workload": workload.to_json(),
        "schedule": list(violation.schedule),
        "check": violation.check,
        "at_rest": violation.at_rest,
        **({} if memory == "sc" else {"memory": memory}),
    }
    data["sha256"] = _checksum(data)
    write_file("--save", path, (json.dumps(data, indent=1) + "\n").encode())


_TYPES = {
    "pte_stress": str,
    "design": str,
    "programs": str,
    "workload": dict,
    "schedule": list,
    "check": str,
    "at_rest": bool,
    "sha256": str,
}


def _shape(data: dict[str, Any]) -> str:
    """Return what is not in the form that `save` gives it, "" when all is."""
    if odd := sorted(data.keys() - {"memory"} ^ _TYPES.keys()):
        return f"{odd[0]!r} is {'missing' if odd[0] in _TYPES else 'no part of it'}"
    if odd := [name for name, kind in _TYPES.items() if type(data[name]) is not kind]:
        return f"{odd[0]!r} is of another kind"
    if any(type(choice) is not int for choice in data["schedule"]):
        return "'schedule' is no list of numbers"
    if data.get("memory", "sc") not in NAMES_OF_MODELS:
        return "'memory' is no memory model"
    return ""


def load(path: Path, design: str | None = None, *, memory: str | None = None, allow_code: bool = False) -> Saved:
    """Read a counterexample. Raises `UsageError` for a file that is none, was edited, or is of another design.

    ``design``: the design's name, in the place of the one in the file. ``memory``: the memory model that the file must
    be of, None for any. ``allow_code``: whether a Python file that only ``path`` names may be run.
    """
    data = read_json(path, "name a file that --save wrote")
    if isinstance(data, dict) and data.get("format") == FORMAT:
        raise UsageError(f"{path} is of a run: `hunt --from {path} --save FOLDER` looks for what can be replayed")
    if not isinstance(data, dict) or data.get("pte_stress") != KIND:
        raise UsageError(f"{path} is no {KIND!r} file: name one that --save of this version wrote")
    changed = f"{path} was changed since it was saved"
    if why := _shape(data):
        raise UsageError(f"{changed} ({why}): save the counterexample anew")
    if data["sha256"] != _checksum(data):
        raise UsageError(f"{changed}: save the counterexample anew")
    found_under = data.get("memory", "sc")
    if memory not in (None, found_under):
        raise UsageError(f"{path} was found under memory model {found_under}, not {memory}: leave --memory out")
    reference = design or data["design"]
    resolved = resolve_design(reference, named_in=None if design or allow_code else (path, "--design"))
    workload = Workload.from_json(data["workload"])
    violation = Violation(data["check"], tuple(data["schedule"]), data["at_rest"])
    model = build(resolved, workload, found_under)
    if violation.check not in NAMES or not set(violation.schedule) <= set(range(model.p[P_CHOICES])):
        raise UsageError(f"{path} names a check or a CPU that is not there: save the counterexample anew")
    if data["programs"] != programs_hash(resolved, workload, found_under):
        raise UsageError(f"{path} belongs to another version of design {reference}: explore it anew")
    return Saved(reference, resolved, model, violation)
