"""The exhaustive engine: every interleaving of a small workload, or the shortest way to a broken check.

What other parts of the program use::

    from stress.explore import Bounds, explore
    from stress.workload import Workload

    workload = Workload.parse("fault 0 w | swap_out frame=1", arch="pae")
    result = explore(design, workload, bounds=Bounds(states=1_000_000))
    result.complete, result.states, result.outcomes
    for violation in result.violations:       # one for each check that breaks, the shortest way
        violation.check, violation.length, violation.schedule

A run ends in at most the given bounds; `Result.complete` is true only when every state was visited, and
`Result.bound` says otherwise which bound was reached. Importing this package imports neither numba nor numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from shm_layout.errors import UsageError
from stress.design import Design
from stress.explore.result import Bounds, Result, Violation
from stress.report.words import did_you_mean
from stress.system.callable_module import make_callable
from stress.system.cpus import available_cores
from stress.workload import Workload

if TYPE_CHECKING:
    from stress.explore.model.model import Model

__all__ = ["Bounds", "Result", "Violation", "Workload", "explore", "search"]


def explore(
    design: Design,
    workload: Workload,
    *,
    bounds: Bounds | None = None,
    checks: Iterable[str] | None = None,
    stop_first: bool = False,
    finals: bool = False,
    memory: str = "sc",
    jobs: int = 1,
    reduction: bool = True,
    symmetry: bool = True,
    progress: Callable[[int, int, int], None] | None = None,
) -> Result:
    """Explore every interleaving of ``workload`` on ``design``.

    ``checks``: names of those to look at, all by default; those that end a path are always looked at. ``stop_first``:
    end when the first check breaks; states from which no end can be reached are not looked for then. ``finals``: give
    the set of final states, too. ``memory``: the memory model, of `stress.memory_model`. ``jobs``: threads that share
    the search; the result does not depend on it. ``reduction``, ``symmetry``: whether states may be passed over that
    change no verdict, and whether identical CPUs are interchangeable. ``progress`` is called now and then with states
    found, states visited, depth.

    Raises `UsageError` for an operation that the design has not, an unknown check or memory model, and a bound that is
    not positive.
    """
    from stress.explore.model.model import build
    from stress.explore.strategies.breadth_first import breadth_first

    bounds = bounds or Bounds()
    _check_bounds(bounds)
    return breadth_first(
        build(design, workload, memory, symmetry=symmetry),
        bounds,
        wanted_bits(checks),
        stop_first=stop_first,
        finals=finals,
        jobs=jobs,
        reduction=reduction,
        progress=progress,
    )


def search(
    design: Design,
    workload: Workload,
    *,
    strategy: str = "breadth-first",
    bounds: Bounds | None = None,
    checks: Iterable[str] | None = None,
    seed: int = 0,
    runs: int | None = None,
    depth: int | None = None,
    preemptions: int | None = None,
    memory: str = "sc",
    finals: bool = False,
    jobs: int | None = None,
    reduction: bool | None = None,
    symmetry: bool = True,
    progress: Callable[[int, int, int], None] | None = None,
) -> tuple[Result, Model]:
    """Look at ``workload`` by a strategy: breadth-first, random, pct or preemption; the model is for `trace`.

    ``seed`` and ``runs`` are for random and pct, ``depth`` for pct, ``preemptions`` for preemption;
    ``memory`` is the memory model; ``finals``: give the final states, which breadth-first alone can; ``jobs``: threads,
    by default one for each CPU that may be used; ``reduction``, of breadth-first alone, and ``symmetry`` as for
    `explore`.

    Raises `UsageError` as `explore` does, and for a setting that means nothing to the strategy.
    """
    from stress.explore.model.image import P_WATCHED
    from stress.explore.model.model import build

    bounds = bounds or Bounds()
    _check_bounds(bounds)
    _check_settings(strategy, {"runs": runs, "depth": depth, "preemptions": preemptions})
    if reduction is not None and strategy != "breadth-first":
        raise UsageError(f"--no-reduction means nothing to strategy {strategy}: it is for breadth-first")
    many = available_cores() if jobs is None else jobs
    model, wanted = build(design, workload, memory, symmetry=symmetry), wanted_bits(checks)
    if strategy != "breadth-first" and model.p[P_WATCHED]:
        _look_at_rules(model, bounds)
    if strategy == "random":
        from stress.explore.strategies.random_walk import random_walk

        return random_walk(model, bounds, wanted, seed=seed, runs=runs, jobs=many, progress=progress), model
    if strategy == "pct":
        from stress.explore.strategies.pct import pct

        return pct(model, bounds, wanted, seed=seed, runs=runs, depth=depth, jobs=many, progress=progress), model
    if strategy == "preemption":
        from stress.explore.strategies.preemption import preemption

        return preemption(model, bounds, wanted, preemptions=preemptions, jobs=many, progress=progress), model
    from stress.explore.strategies.breadth_first import breadth_first

    reduced = reduction is None or reduction
    result = breadth_first(model, bounds, wanted, finals=finals, jobs=many, reduction=reduced, progress=progress)
    return result, model


RULE_STATES = 20_000
RULE_SECONDS = 2.0
"""What is explored at most to hold steps against their rules, before schedules are drawn or preemptions bounded."""


def _look_at_rules(model: Model, bounds: Bounds) -> None:
    """Raise `UsageError` for a step that breaks the rules of steps in one of the nearest states."""
    from stress.explore.strategies.breadth_first import breadth_first

    narrow = Bounds(RULE_STATES, bounds.memory, min(RULE_SECONDS, bounds.seconds or RULE_SECONDS))
    breadth_first(model, narrow, wanted_bits(None), reduction=False)


_SETTINGS = {
    "runs": ("random", "pct"),
    "depth": ("pct",),
    "preemptions": ("preemption",),
}


def _check_settings(strategy: str, settings: dict[str, int | None]) -> None:
    for name, given in settings.items():
        if given is not None and strategy not in _SETTINGS[name]:
            meant = " and ".join(_SETTINGS[name])
            raise UsageError(f"--{name} means nothing to strategy {strategy}: it is for {meant}")


def wanted_bits(checks: Iterable[str] | None) -> int:
    """Return the checks of these names as bits, all for None. Raises `UsageError` for a name that is none."""
    from stress.explore.model.check_bits import NAMES, bit

    bits = 0
    for check in NAMES if checks is None else checks:
        if check not in NAMES:
            raise UsageError(f"no check {check!r}{did_you_mean(check, NAMES)}")
        bits |= bit(check)
    return bits


def _check_bounds(bounds: Bounds) -> None:
    for name in ("states", "memory", "seconds"):
        value = getattr(bounds, name)
        if value is not None and value <= 0:
            raise UsageError(f"a bound on {name} of {value}: give one above zero, or leave it out")


make_callable(__name__)
