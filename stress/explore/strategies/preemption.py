"""Every state that can be reached with few preemptions: most bugs need one or two.

M. Musuvathi, S. Qadeer: Iterative Context Bounding for Systematic Testing of Multithreaded Programs, PLDI 2007. To
leave a CPU that could go on is a preemption; to leave one that waits or is done is none, and is not bounded.
"""

from __future__ import annotations

from dataclasses import replace

from shm_layout.errors import UsageError
from stress.explore.model.model import Model
from stress.explore.result import Bounds, Progress, Result
from stress.explore.strategies.breadth_first import breadth_first

PREEMPTIONS = 2


def preemption(
    model: Model,
    bounds: Bounds,
    wanted: int,
    *,
    preemptions: int | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Result:
    """Visit what is reached with at most ``preemptions`` (2 by default). Raises `UsageError` for a negative number."""
    most = PREEMPTIONS if preemptions is None else preemptions
    if most < 0:
        raise UsageError(f"{most} preemptions: give zero or more")
    result = breadth_first(model, bounds, wanted, preemptions=most, jobs=jobs, progress=progress)
    if not result.complete:
        return replace(result, strategy="preemption")
    note = f"every schedule with at most {most} preemptions was explored"
    return replace(
        result, strategy="preemption", complete=False, bound="preemptions", notes=(note, *result.notes)
    )
