"""What a state says of a proposition: true, false, or not known yet. Called by compiled code alone."""

# Compiled functions have no objects to keep their arrays in.
# ruff: noqa: PLR0917

from __future__ import annotations

from shm_layout.words import Words
from stress.litmus.compiled import compiled
from stress.litmus.engine_numbers import (
    A_LATER,
    AHEAD_COLUMNS,
    ALL,
    ATOM_LOCATION,
    ATOM_VALUE,
    FALSE,
    NEGATION,
    S_PC,
    T_BASE,
    T_REGISTERS,
    THREAD_COLUMNS,
    TRUE,
    UNKNOWN,
)


@compiled
def judged(
    props: Words, obs: Words, am: Words, tt: Words, s: Words, later: int, begin: int, end: int, room: Words
) -> int:
    """Return whether a proposition holds of a state: FALSE, TRUE, or UNKNOWN where threads may still change it.

    ``later``: the words that are still written, as bits.
    """
    top = 0
    for row in range(begin, end):
        op = props[3 * row]
        if op in (ATOM_VALUE, ATOM_LOCATION):
            place = props[3 * row + 1]
            truth = UNKNOWN
            if known(obs, am, tt, s, later, place):
                if op == ATOM_VALUE:
                    truth = TRUE if value_at(obs, tt, s, place) == props[3 * row + 2] else FALSE
                elif known(obs, am, tt, s, later, props[3 * row + 2]):
                    same = value_at(obs, tt, s, place) == value_at(obs, tt, s, props[3 * row + 2])
                    truth = TRUE if same else FALSE
            room[top] = truth
            top += 1
        elif op == NEGATION:
            if room[top - 1] != UNKNOWN:
                room[top - 1] = TRUE - room[top - 1]
        else:
            count = props[3 * row + 1]
            decides = FALSE if op == ALL else TRUE
            truth = TRUE - decides
            for k in range(top - count, top):
                if room[k] == decides:
                    truth = decides
                elif room[k] == UNKNOWN and truth != decides:
                    truth = UNKNOWN
            top -= count
            room[top] = truth
            top += 1
    return room[0]


@compiled
def known(obs: Words, am: Words, tt: Words, s: Words, later: int, place: int) -> bool:
    """Whether nothing changes an observed location any more."""
    t = obs[2 * place]
    if t < 0:
        return (later >> obs[2 * place + 1]) & 1 == 0
    return (am[AHEAD_COLUMNS * s[tt[THREAD_COLUMNS * t + T_BASE] + S_PC] + A_LATER] >> obs[2 * place + 1]) & 1 == 0


@compiled
def value_at(obs: Words, tt: Words, s: Words, place: int) -> int:
    """Return the value of an observed location."""
    t = obs[2 * place]
    return s[obs[2 * place + 1]] if t < 0 else s[tt[THREAD_COLUMNS * t + T_REGISTERS] + obs[2 * place + 1]]
