"""Refuses steps that call `shm_layout.atomic.fence` where the explorer must see barriers.

`fence` is not given the memory, so it is noted nowhere. `smp_mb` is, and is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

from shm_layout import atomic
from shm_layout.errors import UsageError
from stress.design import Design
from stress.program import assemble
from stress.step import info
from stress.workload import Workload


def refuse_fences(design: Design, workload: Workload) -> None:
    """Raise `UsageError` for a step of the workload's programs that calls `fence`, by itself or through a function."""
    for name in dict.fromkeys(operation.name for operation in workload.operations()):
        for step in assemble(design.programs[name], workload.machine.arch).steps:
            if _calls_fence(step, set()):
                raise UsageError(
                    f"step {info(step).name} calls fence(), which only sc and workers understand: write smp_mb(m)"
                )


def _calls_fence(function: Callable[..., Any], seen: set[Callable[..., Any]]) -> bool:
    if function in seen or not isinstance(function, FunctionType):
        return False
    seen.add(function)
    names = function.__code__.co_names
    used = [function.__globals__[name] for name in names if name in function.__globals__]
    used += [cell.cell_contents for cell in function.__closure__ or ()]
    if atomic.fence in used or (atomic in used and "fence" in names):
        return True
    return any(_calls_fence(each, seen) for each in used if isinstance(each, FunctionType))
