"""Searches that need not visit every state: what is learned before one, and the shortest way to what one finds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shm_layout.words import Words
from stress.explore.model import rules
from stress.explore.model.check_bits import NAMES, bit
from stress.explore.model.image import P_LEARNED
from stress.explore.model.model import Model, learn
from stress.explore.reduction import learn_touched, tell_alone, with_log
from stress.explore.result import NOT_SHORTEST, Bounds, Violation
from stress.explore.searching import state
from stress.explore.searching.compiled import compiled
from stress.explore.searching.sampling import Sampler
from stress.explore.searching.search import Search

LEARNING_STATES = 20_000
"""States with no preemption, one and two that are looked at, at most, to learn what is touched."""
LEARNING_RUNS = 3_000
"""Schedules at random that are drawn, at most, to learn more."""
ENOUGH_RUNS = 600
"""In a row without learning anything."""


def learned_model(model: Model, show: Callable[[NDArray[np.int64]], None]) -> Model:
    """Return the model with a log of its transitions, and what steps were seen to touch.

    ``show`` is given the image of each search before it begins. What is not seen here is seen by the search that
    follows, which then begins again. Raises `RuleError` for a step that breaks the rules of steps.
    """
    found = with_log(model)
    for preemptions in range(3):
        search = Search(found, Bounds(LEARNING_STATES), 0, preemptions=preemptions)
        show(search.p)
        status = state.AGAIN
        while status not in (state.DONE, state.STATES_FULL):
            status = search.advance()
            search.p[P_LEARNED] = 0
            if status == state.RULE_BROKEN:
                raise rules.broken_rule(found, search.p)
        take_over(found, search.p)
    _draw(found, show)
    tell_alone(found)
    return found


def _draw(model: Model, show: Callable[[NDArray[np.int64]], None]) -> None:
    """Learn from schedules at random, which come to ends that lie far away."""
    sampler = Sampler(model, 0, 1, 1)
    show(sampler.p)
    nothing_new = 0
    for _ in range(LEARNING_RUNS):
        compiled()["random_walk"](*sampler.arguments, 1)
        if sampler.begin_again():
            learn_touched(model, sampler.p)
            nothing_new = 0
        else:
            nothing_new += 1
        if nothing_new == ENOUGH_RUNS:
            break


def take_over(model: Model, p: Words) -> None:
    """Take over all that was learned from the image of a search."""
    learn(model, p)
    learn_touched(model, p)


def learn_more(model: Model, p: Words) -> None:
    """Take over what a search that passes over states has learned: it was not to go on as it did."""
    take_over(model, p)
    tell_alone(model)


def proven(search: Search, status: int) -> tuple[Violation, ...]:
    """Return what a search of all states has found for which there is no shorter way, with whatever it ended.

    In the midst of a level a step of one of its states may break a check that another one breaks at rest.
    """
    ended = status in (state.DONE, state.STOPPED)
    return tuple(violation for violation in search.violations() if ended or violation.length <= search.depth)


def shortest(model: Model, bounds: Bounds, found: list[Violation], in_time: Callable[[], bool]) -> dict[str, Violation]:
    """Return the shortest ways to these violations, by the names of the checks, as far as the bounds allow.

    A search of all states looks no farther than the last of them.
    """
    wanted = 0
    for violation in found:
        wanted |= bit(violation.check)

    def begin() -> Search:
        return Search(model, bounds, wanted, stop_when=wanted)

    search, status = begin(), state.AGAIN
    while status not in (state.DONE, state.STOPPED, state.STATES_FULL) and in_time():
        status = search.advance()
        if status == state.RULE_BROKEN:
            raise rules.broken_rule(model, search.p)
        if status == state.LEARNED:
            learn(model, search.p)
            search = begin()
        if search.bytes() > search.memory:
            break
    return {violation.check: violation for violation in proven(search, status)}


def with_shortest(
    found: tuple[Violation, ...], shortest: dict[str, Violation]
) -> tuple[tuple[Violation, ...], list[str]]:
    """Return the violations with the shortest ways that are known, and what is to be said of the others."""
    every = {violation.check: violation for violation in found} | shortest
    unproven = [check for check in every if check not in shortest]
    said = [f"{NOT_SHORTEST}: the schedule that breaks {check}" for check in unproven]
    return tuple(every[check] for check in NAMES if check in every), said
