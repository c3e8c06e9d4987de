"""Schedules drawn at random, in blocks by several threads: the frame of random walk and PCT.

A block is drawn from a seed of its own, and blocks are taken in their order: what is found does not depend on threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import numpy as np

from shm_layout.errors import UsageError
from shm_layout.record import FAULT
from stress.explore.counterexample.trace import check_raised
from stress.explore.model.check_bits import NAMES
from stress.explore.model.image import P_CODE, P_FULL, P_LEARNED, P_OPS, P_RECORD, P_SEEN, STRIDE
from stress.explore.model.model import Model, buffer_note, learn, scratch_words
from stress.explore.model.reads import reads_seen
from stress.explore.model.rules import broken_rule
from stress.explore.model.taken import taken_of
from stress.explore.result import INTERRUPTED, NEVER_ENDS, Bounds, Progress, Result, Violation, with_endless
from stress.explore.searching import walks
from stress.explore.searching.compiled import arrays, compiled, get_ready, watched_of
from stress.memory_model import SC
from stress.system.never_ends import NeverEnds, Worker

MOST_STEPS = 10_000
"""Steps of one schedule, at most."""
RUNS = 1000
BLOCK = 200
"""Schedules that are drawn from one seed."""
AHEAD = 2
"""Blocks for each thread that are drawn, or wait for those before them."""


@dataclass(frozen=True)
class Block:
    """What came of the schedules of one seed: for each check that broke the shortest, and whether it broke at rest."""

    broken: dict[str, tuple[tuple[int, ...], bool]]
    steps: int
    longest: int
    runs: int


class Sampler:
    """The arrays that walks work on, and what they have found."""

    def __init__(self, model: Model, wanted: int, seed: int, depth: int) -> None:
        """Begin with no schedule. ``wanted``: the checks that are looked at, as bits."""
        self.model, self.seed = model, seed
        self.worker: Worker | None = None
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

    def draw(self, walk: Callable[..., Any], number: int, runs: int, longest: int) -> Block:
        """Draw block ``number``. ``longest``: the length of schedules, as far as it was measured."""
        self.s[walks.SEED] = np.random.default_rng((self.seed, number)).integers(1, 2**62)
        self.s[walks.STEPS] = self.s[walks.RUNS_DONE] = 0
        self.s[walks.LONGEST] = longest
        self.found[:] = -1
        walk(*self.arguments, runs)
        return Block(
            {v.check: (v.schedule, v.at_rest) for v in self.violations()},
            *(int(self.s[word]) for word in (walks.STEPS, walks.LONGEST, walks.RUNS_DONE)),
        )

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


class _Threads:
    """Threads that draw blocks, each on arrays of its own."""

    def __init__(self, samplers: list[Sampler], draw: Callable[[Sampler, int], Block]) -> None:
        self.samplers, self.draw = samplers, draw
        self._waiting: SimpleQueue[int | None] = SimpleQueue()
        self._come: SimpleQueue[tuple[int, Block | BaseException]] = SimpleQueue()
        # Not those of a pool: one in a step that never ends must not keep the program from ending.
        for sampler in samplers:
            threading.Thread(target=self._work, args=(sampler,), daemon=True).start()

    def _work(self, sampler: Sampler) -> None:
        sampler.worker = Worker()
        while (number := self._waiting.get()) is not None:
            try:
                self._come.put((number, self.draw(sampler, number)))
            except BaseException as error:
                self._come.put((number, error))

    def blocks(self, count: int) -> Iterator[Block]:
        """Yield blocks 0 to ``count`` - 1, in their order. Those under way at the end are waited for."""
        done: dict[int, Block | BaseException] = {}
        given = taken = came = 0
        try:
            while taken < count:
                while given < min(count, taken + AHEAD * len(self.samplers)):
                    self._waiting.put(given)
                    given += 1
                while taken not in done:
                    number, block = self._come.get()
                    done[number] = block
                    came += 1
                first = done.pop(taken)
                if isinstance(first, BaseException):
                    raise first
                taken += 1
                yield first
        finally:
            while came < given:
                self._come.get()
                came += 1

    def close(self) -> None:
        """Let the threads end."""
        for _ in self.samplers:
            self._waiting.put(None)


def sample(
    model: Model,
    strategy: str,
    bounds: Bounds,
    wanted: int,
    *,
    seed: int,
    runs: int | None,
    jobs: int,
    note: Callable[[int, int], str],
    depth: int | None = None,
    measured: int = 0,
    progress: Progress | None = None,
) -> Result:
    """Draw schedules of a strategy, PCT where a ``depth`` is given.

    ``note`` says what was done, of the number of schedules and the longest. ``measured``: random schedules that are
    drawn beforehand, to measure how long they are. ``jobs``: threads that draw.

    Raises `UsageError` for a number of runs below one.
    """
    if runs is not None and runs < 1:
        raise UsageError(f"{runs} runs: give a number above zero, or leave it out")
    wanted_runs = runs or RUNS
    count = -(-wanted_runs // BLOCK)
    first = Sampler(model, wanted, seed, depth or 1)
    walk: Callable[..., Any] = compiled()["random_walk"]
    if depth is not None:

        def walk(*given: Any) -> Any:
            return compiled()["pct_walk"](*given, depth)

    walk(*first.arguments, 0)  # the time to compile does not count
    compiled()["random_walk"](*first.arguments, 0)
    started = time.perf_counter()
    bound = "runs"
    samplers = [first]
    threads: _Threads | None = None
    broken: dict[str, tuple[tuple[int, ...], bool]] = {}
    steps = longest = done = k = 0

    def drawn(sampler: Sampler, number: int) -> Block:
        return sampler.draw(walk, number, min(BLOCK, wanted_runs - number * BLOCK), k)

    def blocks() -> Iterator[Block]:
        nonlocal threads, samplers
        many = min(jobs, count)
        if many < 2:
            yield from (drawn(first, number) for number in range(count))
            return
        samplers = [Sampler(model, wanted, seed, depth or 1) for _ in range(many)]
        threads = _Threads(samplers, drawn)
        yield from threads.blocks(count)

    def take(block: Block) -> None:
        nonlocal steps, longest, done
        steps, longest, done = steps + block.steps, max(longest, block.longest), done + block.runs
        for check, (way, rest) in block.broken.items():
            if check not in broken or len(way) < len(broken[check][0]):
                broken[check] = way, rest
        if progress:
            progress(steps, steps, longest)

    def is_learned() -> bool:
        """Return whether any has learned what an operation changes, and let all begin again."""
        return sum(sampler.begin_again() for sampler in samplers) > 0

    def draw(go_on: Callable[[], None]) -> None:
        nonlocal bound, steps, longest, done, k
        compiled()["random_walk"](*first.arguments, measured)
        while first.begin_again():
            compiled()["random_walk"](*first.arguments, measured)
        k = int(first.s[walks.LONGEST])
        again = True
        while again:
            again = False
            broken.clear()
            steps, longest, done = 0, k, 0
            for block in blocks():
                go_on()
                if any(sampler.p[P_LEARNED] or sampler.p[sampler.p[P_RECORD] + FAULT] for sampler in samplers):
                    again = True
                    break
                take(block)
                if bounds.seconds is not None and time.perf_counter() - started > bounds.seconds:
                    bound = "seconds"
                    break
            end_threads()
            again = is_learned() or again

    def end_threads() -> None:
        nonlocal threads
        if threads is not None:
            threads.close()
        threads = None

    def images() -> dict[Worker | None, Any]:
        return {None: first.p} | {sampler.worker: sampler.p for sampler in samplers if sampler.worker is not None}

    def violations() -> tuple[Violation, ...]:
        return tuple(Violation(check, *broken[check]) for check in NAMES if check in broken)

    found: tuple[Violation, ...] | None = None
    try:
        watched_of(model, images, draw)
    except NeverEnds as endless:
        bound = NEVER_ENDS
        where = next((s for s in samplers if s.worker is endless.worker), first)
        found = with_endless(violations(), where.under_way(), endless.under_way)
    except KeyboardInterrupt:
        bound = INTERRUPTED
    finally:
        end_threads()
    found = violations() if found is None else found
    for sampler in samplers:
        code = slice(int(first.p[P_CODE]), int(first.p[P_OPS]))
        first.p[code] |= sampler.p[code]
        first.p[P_SEEN] |= sampler.p[P_SEEN]
        first.p[P_FULL] |= sampler.p[P_FULL]
    check_raised(model, found)
    return Result(
        design=model.design,
        workload=model.workload,
        strategy=strategy,
        complete=False,
        bound=bound,
        states=0,
        transitions=steps,
        depth=longest,
        seconds=time.perf_counter() - started,
        outcomes=0,
        violations=found,
        notes=(note(done, longest), *((buffer_note(model),) if first.p[P_FULL] else ())),
        reads=reads_seen(model, first.p),
        taken=taken_of(model, first.p),
        memory=model.memory_model.name,
    )
