"""The explorer's verdict on each counter, on machines so small that every interleaving can be tried.

Two or three CPUs, a batch of 2 pages, page-table pages of 2 ptes; the workloads cross the batch, or the number of
faults or pages after which a task folds.
"""

from __future__ import annotations

from dataclasses import dataclass

from stress import designs
from stress.design import Design
from stress.explore import Bounds, explore
from stress.kernel.rss.cached import TASK_RSS_EVENTS_THRESH
from stress.kernel.rss.deferred import MOST
from stress.operation import OPERATIONS
from stress.workload import Workload

SMALL = {"batch": 2, "ptrs_per_pte": 2}
"""Fields of the machines."""

COMMON = (
    "fault 0 w; zap 0 | fault 1 w | statm mm=0",
    "fault 0 w; fault 1 w; zap 0-1 | fault 2 w; fault 3 w",
    "fault 0 w | swap_out frame=1 | statm mm=0",
    "fork || fault 0 w | access_process_vm 1 w mm=1 | statm mm=1",
)
_SUM = "fault 0 w; fault 1 w | fault 2 w; fault 3 w | precise mm=0"
MORE: dict[str, tuple[str, ...]] = {
    "deferred": ("fault 0 w; tick | fault 1 w; tick | statm mm=0",),
    "deferred_16": ("fault 0 w; zap 0; " * MOST + "fault 0 w || fault 1 w; fault 2 w | fault 3 w | statm mm=0",),
    "cached": ("fault 0 w; " * TASK_RSS_EVENTS_THRESH + "|| fault 1 w; fault 2 w | fault 3 w | statm mm=0",),
    "percpu": (_SUM,),
    "tree": (_SUM,),
    "lazy": (
        _SUM,
        "fork || clone; fault 0 w | access_process_vm 1 w mm=1 | statm mm=1",
        "fork; fault 0 w || fault 1 w; clone; fault 2 w | swap_out frame=1 | access_process_vm 3 w mm=1",
    ),
}
"""By design: lazy's second task starts in the middle of changes by itself and by others."""


@dataclass(frozen=True)
class Explored:
    """``complete``: every interleaving of every workload was tried. ``violations``: names of the checks that break."""

    complete: bool
    states: int
    violations: tuple[str, ...]


def workloads(design: Design) -> tuple[str, ...]:
    """Return the workloads for a design: one that is not built in performs its own operations beside faults, too."""
    if design.name in designs.names():
        return (*COMMON, *MORE.get(design.name, ()))
    sums = (_SUM,) if "precise" in design.programs else ()
    own = [name for name in design.programs if name not in OPERATIONS or name == "tick"]
    return (*COMMON, *sums, *(f"fault 0 w; {name} | fault 1 w; {name} | statm mm=0" for name in own))


def explore_counter(name: str, states: int = 5_000_000) -> Explored:
    """Explore all workloads for a built-in design; at most so many states each."""
    return explore_design(designs.get(name), states)


def explore_design(design: Design, states: int = 5_000_000) -> Explored:
    """Explore all workloads for a design, each within a number of states."""
    complete, total = True, 0
    broken: dict[str, None] = {}
    for text in workloads(design):
        workload = Workload.parse(text, **SMALL)
        result = explore(design, workload, bounds=Bounds(states=states)).as_answer()
        complete &= result.complete
        total += result.states
        broken |= dict.fromkeys(violation.check for violation in result.violations)
    return Explored(complete, total, tuple(broken))
