"""Schedules drawn one by one: the frame of random walk and PCT, around the compiled walks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from shm_layout.errors import UsageError
from shm_layout.record import FAULT
from stress.explore.counterexample.trace import check_raised
from stress.explore.model.check_bits import NAMES
from stress.explore.model.image import P_FULL, P_LEARNED, P_RECORD, STRIDE
from stress.explore.model.model import Model, buffer_note, learn, scratch_words
from stress.explore.model.reads import reads_seen
from stress.explore.model.rules import broken_rule
from stress.explore.model.taken import taken_of
from stress.explore.result import INTERRUPTED, NEVER_ENDS, Bounds, Progress, Result, Violation, with_endless
from stress.explore.searching import walks
from stress.explore.searching.compiled import arrays, compiled, get_ready, watched_of
from stress.memory_model import SC
from stress.system.never_ends import NeverEnds

MOST_STEPS = 10_000
"""Steps of one schedule, at most."""
RUNS = 1000
SLICE = 200
"""Schedules between two looks at the clock."""


class Sampler:
    """The arrays that walks work on, and what they have found."""

    def __init__(self, model: Model, wanted: int, seed: int, depth: int) -> None:
        """Begin with no schedule. ``wanted``: the checks that are looked at, as bits."""
        self.model = model
        get_ready(model, ("random_walk",))
        self.p, self.m, self.g = arrays(model)
        movers = model.workload.machine.cpus * (1 if model.memory_model.number == SC else 2)
        self.s = np.zeros(walks.S_WORDS, np.int64)
        self.s[walks.SEED] = np.random.default_rng(seed).integers(1, 2**62)
        self.s[walks.WANTED], self.s[walks.MOST] = wanted, MOST_STEPS
        self.found = np.full(2 * len(NAMES), -1, np.int64)
        self.ways = np.zeros(len(NAMES) * MOST_STEPS, np.int64)
        scratch = np.array(scratch_words(model), np.int64)
        kept, self.schedule = np.zeros(STRIDE + movers, np.int64), np.zeros(MOST_STEPS, np.int64)
        priority, change = np.zeros(movers, np.int64), np.zeros(2 * depth, np.int64)
        self.arguments: tuple[Any, ...] = (self.s, self.p, self.m, self.g, scratch, self.m.copy(), self.g.copy(), kept)
        self.arguments += (self.found, self.ways, self.schedule, priority, change)

    def under_way(self) -> tuple[int, ...]:
        """Return the schedule that is being drawn, so far."""
        return tuple(self.schedule[: self.s[walks.LENGTH]].tolist())

    def begin_again(self) -> bool:
        """Return whether it was learned what an operation changes, so that what was seen before does not count.

        Raises `UsageError` when a step broke the rules of steps.
        """
        if self.p[self.p[P_RECORD] + FAULT] != 0:
            raise broken_rule(self.model, self.p)
        if self.p[P_LEARNED] == 0:
            return False
        learn(self.model, self.p)
        self.p[P_LEARNED] = 0
        self.found[:] = -1
        self.s[walks.STEPS] = self.s[walks.RUNS_DONE] = 0
        return True

    def violations(self) -> tuple[Violation, ...]:
        """Return the checks that were broken, each with the shortest schedule seen."""
        out = []
        for number, (check, (length, rest)) in enumerate(zip(NAMES, self.found.reshape(-1, 2).tolist(), strict=True)):
            if length >= 0:
                way = self.ways[number * MOST_STEPS :][:length].tolist()
                out.append(Violation(check, tuple(way), bool(rest)))
        return tuple(out)


def sample(
    sampler: Sampler,
    strategy: str,
    bounds: Bounds,
    *,
    runs: int | None,
    note: Callable[[Any], str],
    depth: int | None = None,
    measured: int = 0,
    progress: Progress | None = None,
) -> Result:
    """Draw schedules of a strategy, PCT where a ``depth`` is given. ``note`` says what was done, of the walks' state.

    ``measured``: random schedules that are drawn beforehand, to measure how long they are.

    Raises `UsageError` for a number of runs below one.
    """
    if runs is not None and runs < 1:
        raise UsageError(f"{runs} runs: give a number above zero, or leave it out")
    wanted_runs = runs or RUNS
    name, extra = ("random_walk", ()) if depth is None else ("pct_walk", (depth,))
    compiled()[name](*sampler.arguments, 0, *extra)  # the time to compile does not count
    compiled()["random_walk"](*sampler.arguments, 0)
    started = time.perf_counter()
    bound = "runs"

    def draw(go_on: Callable[[], None]) -> None:
        nonlocal bound
        compiled()["random_walk"](*sampler.arguments, measured)
        while sampler.begin_again():
            compiled()["random_walk"](*sampler.arguments, measured)
        sampler.s[walks.RUNS_DONE] = done = 0
        while done < wanted_runs:
            go_on()
            now = min(SLICE, wanted_runs - done)
            compiled()[name](*sampler.arguments, now, *extra)
            done = 0 if sampler.begin_again() else done + now
            if progress:
                progress(int(sampler.s[walks.STEPS]), int(sampler.s[walks.STEPS]), int(sampler.s[walks.LONGEST]))
            if bounds.seconds is not None and time.perf_counter() - started > bounds.seconds:
                bound = "seconds"
                break

    violations: tuple[Violation, ...] | None = None
    try:
        watched_of(sampler.model, lambda: {None: sampler.p}, draw)
    except NeverEnds as endless:
        bound = NEVER_ENDS
        violations = with_endless(sampler.violations(), sampler.under_way(), endless.under_way)
    except KeyboardInterrupt:
        bound = INTERRUPTED
    violations = sampler.violations() if violations is None else violations
    check_raised(sampler.model, violations)
    return Result(
        design=sampler.model.design,
        workload=sampler.model.workload,
        strategy=strategy,
        complete=False,
        bound=bound,
        states=0,
        transitions=int(sampler.s[walks.STEPS]),
        depth=int(sampler.s[walks.LONGEST]),
        seconds=time.perf_counter() - started,
        outcomes=0,
        violations=violations,
        notes=(note(sampler.s), *((buffer_note(sampler.model),) if sampler.p[P_FULL] else ())),
        reads=reads_seen(sampler.model, sampler.p),
        taken=taken_of(sampler.model, sampler.p),
        memory=sampler.model.memory_model.name,
    )
