"""Every state that can be reached, nearest first: the strategy that proves, and that finds shortest counterexamples.

Drives the compiled search of `stress.explore.searching.expand` and watches the bounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stress.explore.counterexample.trace import check_raised
from stress.explore.model import rules
from stress.explore.model.image import P_LEARNED, P_READS, P_WATCHED
from stress.explore.model.model import Model, buffer_note, learn
from stress.explore.model.reads import reads_seen
from stress.explore.model.taken import taken_of
from stress.explore.reduction import can_be_reduced
from stress.explore.result import BUFFER, INTERRUPTED, NEVER_ENDS, Bounds, Progress, Result, Violation, with_endless
from stress.explore.searching import endless, state
from stress.explore.searching.compiled import watched_of
from stress.explore.searching.jobs import Jobs
from stress.explore.searching.search import Search
from stress.explore.strategies import reduced
from stress.system.never_ends import NeverEnds

JOBS_FROM = 50_000
"""States from which on a search is worth several threads."""
REDUCED_FROM = 1_000_000
"""States from which on it is worth while to learn which states can be passed over."""
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
    reduction: bool = True,
    progress: Progress | None = None,
) -> Result:
    """Visit every state, nearest first. ``wanted``: the checks that are looked at, as bits; what ends a path is, too.

    ``preemptions``: visit only what can be reached with that number; see `stress.explore.strategies.preemption`.

    ``jobs``: threads, once there are `JOBS_FROM` states. ``reduction``: once there are `REDUCED_FROM`, begin anew and
    pass over states that need not be kept (`stress.explore.model.alone`); every check has the same verdict, the final
    states are the same, and the shortest way to what is found is looked for without it.

    ``stop_first``: end when a check was broken, and no shorter way to break it is left but to a state from which no end
    can be reached, which is looked for in a complete search alone. ``finals``: give the final states, if the bounds
    leave room for them. The bounds hold for what follows the search, too.
    """

    explored = model

    def keeping_all() -> Result:
        """Return what a search says that passes over no state."""
        return breadth_first(
            model,
            bounds,
            wanted,
            stop_first=stop_first,
            finals=finals,
            jobs=jobs,
            reduction=False,
            progress=progress,
        )

    def begin() -> Search:
        return Search(explored, bounds, wanted, stop_first=stop_first, preemptions=preemptions)

    in_turn = learns_in_turn(model)
    search = Search(model, Bounds(LEARNED_FROM), 0, preemptions=0) if in_turn else begin()
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
    image = search.p
    nearest: tuple[Violation, ...] = ()
    far: list[Violation] = []
    unknown: set[str] = set()  # checks whose shortest way only a complete search of all states would tell

    def show(p: NDArray[np.int64]) -> None:
        nonlocal image
        image = p

    def end_threads() -> None:
        nonlocal threads
        if threads is not None:
            threads.close()
        threads = None

    def begin_again() -> None:
        nonlocal search
        end_threads()
        search = begin()
        show(search.p)

    def is_worth_while() -> bool:
        """Return whether states are to be passed over from now on."""
        if not reduction or explored is not model or preemptions >= 0 or search.found_states < REDUCED_FROM:
            return False
        return can_be_reduced(model) and not (stop_first and search.violations())

    def visit(go_on: Callable[[], None]) -> None:
        nonlocal status, bound, explored, nearest, threads
        while status not in (state.DONE, state.STOPPED):
            go_on()
            if is_worth_while():
                end_threads()  # it is the images of these that are watched, while there are any
                nearest = reduced.proven(search, status)
                explored = reduced.learned_model(model, show)
                learn(model, explored.p)
                begin_again()
            if threads is None and jobs > 1 and search.found_states > JOBS_FROM:
                threads = Jobs(search, jobs)
            status = (threads or search).advance()
            if status == state.RULE_BROKEN:
                raise rules.broken_rule(model, search.p)
            if status == state.LEARNED:
                learn(model, search.p)
                if explored is not model:
                    reduced.learn_more(explored, search.p)
                begin_again()
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
            if explored is not model:
                far.extend(search.violations())
                unknown.update(("progress",) if len(search.not_onward()) else ())
            if preemptions < 0:
                search.look_for_endless(in_time)
        elif explored is not model:
            far.extend(search.violations())

    violations: tuple[Violation, ...] | None = None
    try:
        watched_of(model, lambda: threads.images() if threads else {None: image}, visit)
    except NeverEnds as never:
        if status == state.DONE:  # in what was taken before
            raise
        if explored is not model or image is not search.p:  # a search knows where that passes over no state
            return keeping_all()
        bound = NEVER_ENDS
        where = threads.visited_by(never.worker) if threads else int(search.s[state.CUR])
        violations = with_endless(search.violations(), search.schedule(where), never.under_way)
    except rules.RuleError:
        if model.p[P_WATCHED]:
            raise
        return keeping_all()  # steps of the library are held against the rules by the log alone
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
    violations = search.violations() if violations is None else violations
    figures = (search.different_states, int(search.s[state.TRANSITIONS]), search.depth, search.bytes())
    reads, taken = reads_seen(model, search.p), taken_of(model, search.p)
    if explored is not model:
        nearest = tuple(violation for violation in nearest if violation.check not in unknown)
        known = {violation.check for violation in nearest} | unknown
        looked_for = [violation for violation in far if violation.check not in known]
        search.forget()  # the room is for the next
        found = {violation.check: violation for violation in nearest}
        try:
            if looked_for:
                found |= reduced.shortest(model, bounds, looked_for, in_time)
        except KeyboardInterrupt:
            bound = INTERRUPTED
        violations, said = reduced.with_shortest(violations, found)
        notes += said
    seconds = time.perf_counter() - started
    check_raised(model, violations)
    return Result(
        design=model.design,
        workload=model.workload,
        strategy="breadth-first",
        complete=status == state.DONE and not bound,
        bound=bound,
        states=figures[0],
        transitions=figures[1],
        depth=figures[2],
        seconds=seconds,
        outcomes=outcomes,
        violations=violations,
        bytes=figures[3],
        notes=tuple(notes),
        finals=every_end,
        reads=reads,
        taken=taken,
        memory=model.memory_model.name,
        reduced=explored is not model,
    )
