"""Random walk: at each step any CPU that can move, with equal chance. No guarantee; a baseline for the others."""

from __future__ import annotations

from stress.explore.model.model import Model
from stress.explore.result import Bounds, Progress, Result
from stress.explore.searching.sampling import sample


def random_walk(
    model: Model,
    bounds: Bounds,
    wanted: int,
    *,
    seed: int,
    runs: int | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Result:
    """Draw ``runs`` schedules (1000 by default) by ``jobs`` threads. Raises `UsageError` for a number below one."""
    return sample(
        model,
        "random",
        bounds,
        wanted,
        seed=seed,
        runs=runs,
        jobs=jobs,
        note=lambda done, _: f"{done:,} random schedules, seed {seed}",
        progress=progress,
    )
