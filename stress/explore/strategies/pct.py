"""PCT: random priorities with few changes, and a bound on the chance to miss a bug.

S. Burckhardt, P. Kothari, M. Musuvathi, S. Nagarakatte: A Randomized Scheduler with Probabilistic Guarantees of
Finding Bugs, ASPLOS 2010. The n CPUs have distinct random priorities, and the highest that can move does. At d - 1
steps, drawn from k, the CPU that moves gets a priority below all others. A bug that needs d ordering constraints is
found by one such schedule with a chance of at least 1 / (n k^(d-1)), where k bounds the length of a schedule.
"""

from __future__ import annotations

from shm_layout.errors import UsageError
from stress.explore.model.model import Model
from stress.explore.result import Bounds, Progress, Result
from stress.explore.searching.sampling import sample
from stress.memory_model import PSO, SC

DEPTH = 3
MEASURED = 100
"""Random schedules that k is measured on beforehand; it grows when a longer one is seen, for the rest of a block."""


def chance(movers: int, steps: int, depth: int) -> float:
    """Return the chance that one schedule finds a bug of this depth, at least."""
    return 1.0 / float(movers * max(steps, 1) ** (depth - 1))


def pct(
    model: Model,
    bounds: Bounds,
    wanted: int,
    *,
    seed: int,
    runs: int | None = None,
    depth: int | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Result:
    """Draw ``runs`` schedules (1000 by default) for bugs of ``depth`` (3 by default), by ``jobs`` threads.

    Raises `UsageError` for a number of runs or a depth below one.
    """
    depth = DEPTH if depth is None else depth
    if depth < 1:
        raise UsageError(f"a depth of {depth}: a bug has at least 1 ordering constraint")
    buffers = model.memory_model.number != SC
    movers = sum(1 + buffers for operations in model.workload.cpus if operations)

    def note(done: int, longest: int) -> str:
        if model.memory_model.number == PSO:
            return f"{done:,} schedules of PCT, seed {seed}; which store leaves a buffer first was drawn"
        one = chance(movers, longest, depth)
        every = 1 - (1 - one) ** done
        n = f"{movers}, CPUs and store buffers" if buffers else f"{movers}"
        return (
            f"{done:,} schedules of PCT, seed {seed}; n = {n}, k = {longest}, d = {depth}: a bug of\n"
            f"that depth is found by each with a chance of at least 1/(n k^(d-1)) = {one:.2g}, by all with {every:.2g}"
        )

    return sample(
        model,
        "pct",
        bounds,
        wanted,
        seed=seed,
        runs=runs,
        jobs=jobs,
        note=note,
        depth=depth,
        measured=MEASURED,
        progress=progress,
    )
