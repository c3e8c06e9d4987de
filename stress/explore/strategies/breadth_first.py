"""Every state that can be reached, nearest first: the strategy that proves, and that finds shortest counterexamples.

Drives the compiled search of `stress.explore.searching.expand` and watches the bounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from stress.explore.counterexample.trace import check_raised
from stress.explore.model import rules
from stress.explore.model.image import P_LEARNED, P_READS, P_WATCHED
from stress.explore.model.model import Model, buffer_note, learn
from stress.explore.model.reads import reads_seen
from stress.explore.model.taken import taken_of
from stress.explore.result import BUFFER, INTERRUPTED, NEVER_ENDS, Bounds, Progress, Result, Violation, with_endless
from stress.explore.searching import endless, state
from stress.explore.searching.compiled import watched_of
from stress.explore.searching.jobs import Jobs
from stress.explore.searching.search import Search
from stress.system.never_ends import NeverEnds

JOBS_FROM = 50_000
"""States from which on a search is worth several threads."""
LEARNED_FROM = 20_000
"""States without preemptions that are looked at, at most, before a search."""


def learns_in_turn(model: Model) -> bool:
    """Return whether something is to be learned before a search: it has reads, and no step of the user's.

    What is wrong with a user's step is found nearest first.
    """
    return bool(model.p[P_READS]) and not model.p[P_WATCHED]


def learn_in_turn(model: Model, search: Search) -> None:
    """Learn from a search without preemptions which ptes the operations change.

    It takes few states and teaches nearly all. What a search learns itself it learns late, and begins again.
    """
    status = state.AGAIN
    while status not in (state.DONE, state.STATES_FULL, state.RULE_BROKEN):
        status = search.advance()
        search.p[P_LEARNED] = 0
    learn(model, search.p)


def breadth_first(
    model: Model,
    bounds: Bounds,
    wanted: int,
    *,
    stop_first: bool = False,
    finals: bool = False,
    preemptions: int = -1,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Result:
    """Visit every state, nearest first. ``wanted``: the checks that are looked at, as bits; what ends a path is, too.

    ``preemptions``: visit only what can be reached with that number; see `stress.explore.strategies.preemption`.

    ``jobs``: threads, once there are `JOBS_FROM` states.

    ``stop_first``: end when a check was broken, and no shorter way to break it is left but to a state from which no end
    can be reached, which is looked for in a complete search alone. ``finals``: give the final states, if the bounds
    leave room for them. The bounds hold for what follows the search, too.
    """

    def begin() -> Search:
        return Search(model, bounds, wanted, stop_first=stop_first, preemptions=preemptions)

    in_turn = learns_in_turn(model)
    search = Search(model, Bounds(LEARNED_FROM), 0, stop_first=False, preemptions=0) if in_turn else begin()
    search.advance(0)  # the time to compile does not count
    started = time.perf_counter()
    if in_turn:
        learn_in_turn(model, search)
        search = begin()
    bound = ""
    status = state.AGAIN

    def in_time() -> bool:
        return bounds.seconds is None or time.perf_counter() - started <= bounds.seconds

    threads: Jobs | None = None

    def visit(go_on: Callable[[], None]) -> None:
        nonlocal status, bound, search, threads
        while status not in (state.DONE, state.STOPPED):
            go_on()
            if threads is None and jobs > 1 and search.found_states > JOBS_FROM:
                threads = Jobs(search, jobs)
            status = (threads or search).advance()
            if status == state.RULE_BROKEN:
                raise rules.broken_rule(model, search.p)
            if status == state.LEARNED:
                learn(model, search.p)
                search = begin()
                if threads is not None:
                    threads.close()
                threads = None
            if progress:
                progress(int(search.s[state.FOUND]), int(search.s[state.CUR]), int(search.s[state.DEPTH]))
            if status == state.STATES_FULL:
                bound = "states" if search.s[state.FOUND] == bounds.states else "memory"
            elif search.bytes() > search.memory:
                bound = "memory"
            elif not in_time():
                bound = "seconds"
            if bound:
                break
        if status == state.DONE:
            bound = ""  # reached with the last state, if at all
            if preemptions < 0:
                search.look_for_endless(in_time)

    violations: tuple[Violation, ...] | None = None
    try:
        watched_of(model, lambda: threads.images() if threads else {None: search.p}, visit)
    except NeverEnds as never:
        if status == state.DONE:  # in what was taken before
            raise
        bound = NEVER_ENDS
        where = threads.visited_by(never.worker) if threads else int(search.s[state.CUR])
        violations = with_endless(search.violations(), search.schedule(where), never.under_way)
    except endless.OutOfTime as out:
        bound = out.bound
    except KeyboardInterrupt:
        bound = INTERRUPTED
    finally:
        if threads is not None:
            threads.close()
    outcomes, every_end, notes = 0, None, []
    try:
        ends = search.final_states()
        outcomes, looked = search.count_outcomes(ends, in_time)
        if looked < len(ends):
            bound = bound or "seconds"
            notes.append(f"outcomes are those of {looked:,} of {len(ends):,} final states: the time was up")
        elif finals:
            every_end, listing = search.list_ends(ends, outcomes, in_time)
            if listing:
                bound = bound or listing
                notes.append(f"the {outcomes:,} final states were not listed: the bound on {listing} was reached")
    except KeyboardInterrupt:
        bound = INTERRUPTED
    if search.buffer_was_full:
        bound = bound or BUFFER
        notes.append(buffer_note(model))
    seconds = time.perf_counter() - started
    violations = search.violations() if violations is None else violations
    check_raised(model, violations)
    return Result(
        design=model.design,
        workload=model.workload,
        strategy="breadth-first",
        complete=status == state.DONE and not bound,
        bound=bound,
        states=int(search.s[state.FOUND]),
        transitions=int(search.s[state.TRANSITIONS]),
        depth=int(search.s[state.DEPTH]),
        seconds=seconds,
        outcomes=outcomes,
        violations=violations,
        bytes=search.bytes(),
        notes=tuple(notes),
        finals=every_end,
        reads=reads_seen(model, search.p),
        taken=taken_of(model, search.p),
        memory=model.memory_model.name,
    )
