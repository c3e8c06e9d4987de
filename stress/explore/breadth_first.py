"""Every state that can be reached, nearest first: the strategy that proves, and that finds shortest counterexamples.

Drives the compiled search of `stress.explore.engine` and watches the bounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from stress.explore import onward, stored
from stress.explore.image import P_SYMMETRY
from stress.explore.machine_code import watched_of
from stress.explore.model import Model
from stress.explore.result import INTERRUPTED, NEVER_ENDS, Bounds, Result, Violation, with_endless
from stress.explore.searching import Search
from stress.explore.verdict import PROGRESS
from stress.never_ends import NeverEnds

Progress = Callable[[int, int, int], None]
"""Called now and then with states found, states visited, and depth."""


def breadth_first(
    model: Model,
    bounds: Bounds,
    wanted: int,
    *,
    stop_first: bool = False,
    finals: bool = False,
    preemptions: int = -1,
    progress: Progress | None = None,
) -> Result:
    """Visit every state, nearest first. ``wanted``: the checks that are looked at, as bits.

    ``preemptions``: only what can be reached with so many of them; see `stress.explore.preemption`.

    ``stop_first``: end when a check was broken, and no shorter way to break it is left but to a state from which no end
    can be reached, which is looked for in a complete search alone. ``finals``: give the final states.
    """
    search = Search(model, bounds, wanted, stop_first=stop_first, preemptions=preemptions)
    search.advance(0)  # the time to compile does not count
    started = time.perf_counter()
    bound = ""
    status = stored.AGAIN

    def in_time() -> bool:
        return bounds.seconds is None or time.perf_counter() - started <= bounds.seconds

    def visit(go_on: Callable[[], None]) -> None:
        nonlocal status, bound
        while status not in (stored.DONE, stored.STOPPED):
            go_on()
            status = search.advance()
            if progress:
                progress(int(search.s[stored.FOUND]), int(search.s[stored.CUR]), int(search.s[stored.DEPTH]))
            if status == stored.STATES_FULL:
                bound = "states" if search.s[stored.FOUND] == bounds.states else "memory"
            elif search.bytes() > search.memory:
                bound = "memory"
            elif not in_time():
                bound = "seconds"
            if bound:
                break
        if status == stored.DONE:
            bound = ""  # reached with the last state, if at all
            if wanted & PROGRESS and preemptions < 0:
                search.look_for_endless(in_time)

    violations: tuple[Violation, ...] | None = None
    try:
        watched_of(model, search.p, visit)
    except NeverEnds as endless:
        if status == stored.DONE:  # in what was taken before
            raise
        bound = NEVER_ENDS
        violations = with_endless(search.violations(), search.schedule(int(search.s[stored.CUR])), endless.under_way)
    except onward.OutOfTime:
        bound = "seconds"
    except KeyboardInterrupt:
        bound = INTERRUPTED
    seconds = time.perf_counter() - started
    ends = search.final_states()
    every_end: set[tuple[Any, ...]] = set()
    if finals or preemptions >= 0 or search.p[P_SYMMETRY]:
        every_end = every_end.union(*(search.contents(int(n)) for n in ends))
    return Result(
        design=model.design,
        workload=model.workload,
        strategy="breadth-first",
        complete=status == stored.DONE and not bound,
        bound=bound,
        states=int(search.s[stored.FOUND]),
        transitions=int(search.s[stored.TRANSITIONS]),
        depth=int(search.s[stored.DEPTH]),
        seconds=seconds,
        outcomes=len(every_end) or len(ends),
        violations=search.violations() if violations is None else violations,
        bytes=search.bytes(),
        finals=frozenset(every_end) if finals else None,
    )
