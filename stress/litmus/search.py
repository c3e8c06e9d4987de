"""The compiled search: every final state of a litmus test under sc, tso or pso.

Depth first, over transitions (`stress.litmus.machine`) of which only those of a stubborn set are tried
(`stress.litmus.independence`). States that were seen are not searched again. Of them 128 bits of a hash are kept: two
of 10 million are taken for one with a probability below 1e-24. Compiled by Numba, once for all tests: a test is data.

Why this search beside `stress.explore`: hundreds of tests are to be searched in seconds, where a machine of page tables
would be built for each, and its addresses, locks and readers of RCU are values of its own.
"""

# Compiled functions have no objects to keep their arrays in.
# ruff: noqa: PLR0917

from __future__ import annotations

from shm_layout.lowering import words
from shm_layout.words import Words
from stress.compiling.disk_cache import njit_kept
from stress.litmus.compiled import compiled
from stress.litmus.engine_numbers import (
    ANY_GOAL,
    C_FINALS,
    C_STACK,
    C_VISITED,
    DONE,
    FAILED,
    FALSE,
    FOUND,
    GOAL_TRUE,
    GROW_FINALS,
    GROW_STACK,
    GROW_VISITED,
    L_ENABLED,
    L_FLUSHES,
    LOOKS,
    MORE,
    P_BUDGET,
    P_CONDITION,
    P_FILTER,
    P_GOAL,
    P_INDEX_MASK,
    P_SIZE,
    P_STACK_ROOM,
    P_THREADS,
    P_VISITED_MASK,
    R_WRITES,
    S_LENGTH,
    T_BASE,
    T_CAPACITY,
    THREAD,
    THREAD_COLUMNS,
    TRUE,
    UNKNOWN,
)
from stress.litmus.independence import alone, look, stubborn
from stress.litmus.judging import judged
from stress.litmus.machine import do, may_flush, settle
from stress.litmus.tables import add_final, hashed, is_new, refill, reindex


@compiled
def _search(
    p: Words,
    code: Words,
    am: Words,
    tt: Words,
    obs: Words,
    props: Words,
    ctl: Words,
    stack: Words,
    visited: Words,
    finals: Words,
    index: Words,
    scratch: Words,
) -> int:
    size, threads = p[P_SIZE], p[P_THREADS]
    key = words(scratch, 0)
    found = words(scratch, 2)
    s = words(scratch, 2 + threads * LOOKS)
    room = words(scratch, 2 + threads * LOOKS + size)
    most = threads
    for t in range(threads):
        most += tt[THREAD_COLUMNS * t + T_CAPACITY]
    condition, wanted = p[P_CONDITION], p[P_FILTER]
    budget = p[P_BUDGET]
    mask = p[P_VISITED_MASK]
    while ctl[C_STACK] > 0:
        if budget <= 0:
            return MORE
        if ctl[C_STACK] + most >= p[P_STACK_ROOM]:
            return GROW_STACK
        if 2 * (ctl[C_VISITED] + most) >= mask:
            return GROW_VISITED
        if 2 * (ctl[C_FINALS] + 2) >= p[P_INDEX_MASK]:
            return GROW_FINALS
        ctl[C_STACK] -= 1
        _copy(stack, ctl[C_STACK] * size, s, size)
        while True:
            budget -= 1
            ended = look(p, code, am, tt, s, found)
            if ended or p[P_GOAL] != ANY_GOAL:
                later = 0
                for t in range(threads):
                    later |= found[LOOKS * t + R_WRITES]
                if judged(props, obs, am, tt, s, later, condition, wanted, room) == FALSE:
                    break
                truth = judged(props, obs, am, tt, s, later, 0, condition, room)
                if p[P_GOAL] != ANY_GOAL and truth != UNKNOWN and truth != (TRUE if p[P_GOAL] == GOAL_TRUE else FALSE):
                    break
                if ended:
                    add_final(p, obs, tt, s, ctl, finals, index, p[P_INDEX_MASK], truth, key)
                    if p[P_GOAL] != ANY_GOAL:
                        return FOUND
                    break
            transition = alone(p, code, tt, s, found)
            if transition >= 0:
                if not do(p, code, am, tt, ctl, s, transition):
                    return FAILED
                continue
            members = stubborn(p, code, tt, s, found)
            count = 0
            for t in range(threads):
                if (members >> t) & 1:
                    count += found[LOOKS * t + L_ENABLED] + found[LOOKS * t + L_FLUSHES]
            for t in range(threads):
                if (members >> t) & 1 == 0 or found[LOOKS * t + L_ENABLED] + found[LOOKS * t + L_FLUSHES] == 0:
                    continue
                for k in range(s[tt[THREAD_COLUMNS * t + T_BASE] + S_LENGTH] + 1):
                    if k == 0 and found[LOOKS * t + L_ENABLED] == 0:
                        continue
                    if k > 0 and not may_flush(p, tt, s, t, k - 1):
                        continue
                    target = s
                    if count > 1:
                        target = words(stack, ctl[C_STACK] * size)
                        _copy(s, 0, target, size)
                    if not do(p, code, am, tt, ctl, target, THREAD * t + k):
                        return FAILED
                    if count == 1:
                        break
                    hashed(target, size, key)
                    if is_new(visited, mask, key):
                        ctl[C_STACK] += 1
                        ctl[C_VISITED] += 1
                if count == 1:
                    break
            if count != 1:
                break
    return DONE


@compiled
def _copy(source: Words, at: int, target: Words, size: int) -> None:
    for k in range(size):
        target[k] = source[at + k]


def search(
    p: Words,
    code: Words,
    am: Words,
    tt: Words,
    obs: Words,
    props: Words,
    ctl: Words,
    stack: Words,
    visited: Words,
    finals: Words,
    index: Words,
    scratch: Words,
) -> int:
    """Search on from the states on the stack, for `P_BUDGET` transitions at most. Returns what it has come to.

    The arguments are arrays of 64-bit words, flat: those of `stress.litmus.encoded.Encoded`, and `Search`'s tables.
    """
    return _search(
        words(p, 0),
        words(code, 0),
        words(am, 0),
        words(tt, 0),
        words(obs, 0),
        words(props, 0),
        words(ctl, 0),
        words(stack, 0),
        words(visited, 0),
        words(finals, 0),
        words(index, 0),
        words(scratch, 0),
    )


def settle_all(p: Words, code: Words, am: Words, tt: Words, ctl: Words, s: Words) -> bool:
    """Bring all threads to their first access. False: the test is in error."""
    for t in range(p[P_THREADS]):
        if not settle(words(p, 0), words(code, 0), words(am, 0), words(tt, 0), words(ctl, 0), words(s, 0), t):
            return False
    return True


def refill_visited(visited: Words, mask: int, old: Words, count: int) -> int:
    """Put the hashes of a table of ``count`` pairs into a larger one, which is empty."""
    return refill(words(visited, 0), mask, words(old, 0), count)


def reindex_finals(finals: Words, count: int, observed: int, index: Words, mask: int, key: Words) -> int:
    """Fill an empty index of ``count`` final states."""
    return reindex(words(finals, 0), count, observed, words(index, 0), mask, words(key, 0))


compiled_search = njit_kept(search, nogil=True)
compiled_settle_all = njit_kept(settle_all, nogil=True)
compiled_refill = njit_kept(refill_visited, nogil=True)
compiled_reindex = njit_kept(reindex_finals, nogil=True)
