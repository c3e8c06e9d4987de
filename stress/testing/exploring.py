"""The explorer in a test: assert that every interleaving holds, or hunt for a workload that breaks a check."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from stress.testing.failures import CheckBroken, NotExplored

if TYPE_CHECKING:
    from stress.design import Design
    from stress.explore import Bounds, Result, Violation
    from stress.explore.hunt.hunt import Hunt
    from stress.workload import Workload

TABLE = "simple"
"""The format of the counterexample in a failure."""


def explored(
    design: Design,
    workload: Workload | str,
    *,
    bounds: Bounds | None = None,
    checks: Sequence[str] | None = None,
    **fields: Any,
) -> Result:
    """Assert that a design holds its checks in every interleaving of a workload; returns what the explorer found.

        explored(MINE, "fault 0 w | swap_out", arch="pae")

    ``workload``: text, on a machine with these ``fields`` (see `stress.workload.Workload.parse`), or a `Workload`.
    ``checks``: names of those to look at, all by default. Raises `CheckBroken`, whose message is the shortest
    counterexample, and `NotExplored` where the ``bounds`` ended the exploration before every state was visited.
    """
    from stress.explore import explore
    from stress.explore.counterexample.text import ending
    from stress.workload import Workload

    tried = Workload.parse(workload, **fields) if isinstance(workload, str) else workload.on(**fields)
    result = explore(design, tried, bounds=bounds, checks=checks).as_answer()
    if result.violations:
        raise broken(design, result.workload, result.violations)
    if not result.complete:
        raise NotExplored(f"{design.name}, {tried}: {result.states:,} states, {ending(result)}")
    return result


def hunted(
    design: Design,
    *,
    seconds: float = 10.0,
    seed: int = 0,
    arch: str = "64",
    checks: Sequence[str] | None = None,
) -> Hunt:
    """Assert that a hunt of ``seconds`` finds no small workload that breaks a design; returns the hunt.

        hunted(MINE, seconds=20)

    Raises `CheckBroken` with the smallest workload of the first that was found, and its shortest counterexample.
    """
    from stress.explore.hunt.hunt import Hunt
    from stress.explore.hunt.workloads import batches_of, kinds_of, workloads

    strategy = workloads(kinds_of(design), arch, batches=batches_of(design), machine=design.machine)
    hunt = Hunt(design, strategy, seconds=seconds, seed_=seed, first=True, checks=checks)
    hunt.run()
    if hunt.interrupted:
        raise KeyboardInterrupt
    for find in hunt.distinct():
        raise broken(design, find.workload, [find.violation])
    return hunt


def broken(design: Design, workload: Workload, violations: Sequence[Violation]) -> CheckBroken:
    """The failure of a design on a workload: the shortest counterexample is its message."""
    from stress.explore.counterexample.saved import save
    from stress.explore.counterexample.text import counterexample
    from stress.explore.counterexample.trace import trace
    from stress.explore.model.model import build

    model = build(design, workload)
    shortest = min(violations, key=lambda violation: violation.length)
    text = counterexample(model, trace(model, shortest), TABLE)
    names = [violation.check for violation in violations]
    said = f"{design.name} breaks {', '.join(names)} on '{workload}', arch {workload.machine.arch}"
    return CheckBroken(
        f"{said}\n{text}",
        names,
        saves=partial(save, reference=design.name, design=design, workload=workload, violation=shortest),
    )
