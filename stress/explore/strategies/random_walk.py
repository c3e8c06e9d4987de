"""Random walk: at each step any CPU that can move, with equal chance. No guarantee; a baseline for the others."""

from __future__ import annotations

from stress.explore.model.model import Model
from stress.explore.result import Bounds, Progress, Result
from stress.explore.searching.sampling import Sampler, sample
from stress.explore.searching.walks import RUNS_DONE


def random_walk(
    model: Model, bounds: Bounds, wanted: int, *, seed: int, runs: int | None = None, progress: Progress | None = None
) -> Result:
    """Draw ``runs`` schedules (1000 by default). Raises `UsageError` for a number below one."""
    sampler = Sampler(model, wanted, seed, 1)
    return sample(
        sampler,
        "random",
        bounds,
        runs=runs,
        note=lambda s: f"{s[RUNS_DONE]:,} random schedules, seed {seed}",
        progress=progress,
    )
