"""Which barrier is missing: found by putting one before each step in turn, and exploring again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stress.design import Design
from stress.designs.parts.correction import Change
from stress.explore import Bounds, explore
from stress.kernel.barriers import BARRIERS, smp_mb, smp_wmb
from stress.memory_model import PSO, memory_model
from stress.program import ByArch, Program
from stress.step import StepFunction, info
from stress.workload import Workload


def missing_barrier(design: Design, workload: Workload, memory: str, bounds: Bounds | None = None) -> str:
    """Return a barrier that makes a design hold on a workload that breaks it: "smp_wmb before spin_unlock_plain".

    It stands before every occurrence of that step. The weaker barrier is tried first. Empty when no single one between
    two steps is enough.
    """
    used = dict.fromkeys(operation.name for operation in workload.operations())
    changes: dict[str, Any] = {name: lambda p: _flat(p, workload.machine.arch) for name in used}
    flat = design.edit("one by one", "", **changes)
    for barrier in (smp_wmb, smp_mb) if memory_model(memory).number == PSO else (smp_mb,):
        for step in _places(flat, used):
            changed: dict[str, Any] = {name: _with(barrier, step) for name in used if step in flat.programs[name]}
            mended = flat.edit("barrier", "", **changed)
            result = explore(mended, workload, bounds=bounds, memory=memory, stop_first=True)
            if result.complete and not result.violations:
                return f"{info(barrier).name} before {info(step).name}"
    return ""


def _places(design: Design, used: dict[str, None]) -> Iterator[StepFunction]:
    """Each step of these operations once, but for barriers."""
    steps = dict.fromkeys(entry for name in used for entry in design.programs[name] if callable(entry))
    return (step for step in steps if step not in BARRIERS)


def _with(barrier: StepFunction, step: StepFunction) -> Change:
    return lambda p: p.before(step, barrier)


def _flat(program: Program, arch: str) -> Program:
    """Put the steps of an access in its place, so that a barrier can stand between them."""
    return Program(*(_steps(entry, arch) if isinstance(entry, ByArch) else entry for entry in program))


def _steps(entry: ByArch, arch: str) -> tuple[StepFunction, ...]:
    return entry.arch_pae if arch == "pae" else entry.arch_64
