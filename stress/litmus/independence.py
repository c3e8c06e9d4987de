"""Which transitions of a state have to be tried, so that no final state is lost.

A set of threads is stubborn (Valmari 1990) if their next transitions touch no word in conflict with what the others
may still do: whatever the others do first, these transitions give the same. Then trying this set alone finds all final
states.
Called by compiled code alone; see `stress.litmus.search`.
"""

# Compiled functions have no objects to keep their arrays in.
# ruff: noqa: PLR0917

from __future__ import annotations

from shm_layout.words import Words
from stress.litmus import instructions as i
from stress.litmus.compiled import compiled
from stress.litmus.engine_numbers import (
    A_RCU,
    A_READS,
    A_WRITES,
    AHEAD_COLUMNS,
    FENCED,
    L_ENABLED,
    L_FLUSHES,
    LOOKS,
    N_RCU,
    N_READS,
    N_WRITES,
    P_THREADS,
    R_RCU,
    R_READS,
    R_WRITES,
    READER_END,
    S_LENGTH,
    S_PC,
    T_BASE,
    T_BUFFER,
    T_REGISTERS,
    T_SYNC,
    THREAD,
    THREAD_COLUMNS,
)
from stress.litmus.machine import enabled, fused, may_flush, operand, word_of


@compiled
def look(p: Words, code: Words, am: Words, tt: Words, s: Words, found: Words) -> bool:
    """Find what each thread does next, and may do later. Returns whether all have ended."""
    ended = True
    for t in range(p[P_THREADS]):
        base, buffer = tt[THREAD_COLUMNS * t + T_BASE], tt[THREAD_COLUMNS * t + T_BUFFER]
        pc = s[base + S_PC]
        length = s[base + S_LENGTH]
        op = code[6 * pc]
        reads = writes = 0
        begins = 0
        access = pc
        if op == i.RCU_LOCK:
            begins = 1
            access = pc + 1 if fused(p, code, pc) else -1
        elif op in (i.HALT, i.FENCE, i.SYNC, i.SYNC_WAIT, i.RCU_UNLOCK):
            access = -1
        if access >= 0:
            word = word_of(p, operand(s, tt[THREAD_COLUMNS * t + T_REGISTERS], code[6 * access + 2]))
            if word >= 0:
                if code[6 * access] in (i.LOAD, i.IS_LOCKED):
                    reads = 1 << word
                else:
                    writes = 1 << word
        later_writes = am[AHEAD_COLUMNS * pc + A_WRITES]
        flushes = 0
        for k in range(length):
            word = s[buffer + 2 * k] & (FENCED - 1)
            possible = may_flush(p, tt, s, t, k)
            if possible:
                flushes += 1
            if word & READER_END == 0:
                later_writes |= 1 << word
                if possible:
                    writes |= 1 << word
        found[LOOKS * t + N_READS], found[LOOKS * t + N_WRITES], found[LOOKS * t + N_RCU] = reads, writes, begins
        found[LOOKS * t + R_READS], found[LOOKS * t + R_WRITES], found[LOOKS * t + R_RCU] = (
            am[AHEAD_COLUMNS * pc + A_READS],
            later_writes,
            am[AHEAD_COLUMNS * pc + A_RCU],
        )
        found[LOOKS * t + L_ENABLED] = 1 if enabled(p, code, tt, s, t) else 0
        found[LOOKS * t + L_FLUSHES] = flushes
        if op != i.HALT or length > 0:
            ended = False
    return ended


@compiled
def alone(p: Words, code: Words, tt: Words, s: Words, found: Words) -> int:
    """Return a transition that meets nobody else's accesses, numbered as for `do`; -1 if there is none.

    The end of a reader, and what waited for it, meet nobody's. A look at the readers there are comes at once, since the
    earlier it comes the fewer are waited for.
    """
    once_w = twice_w = once_a = twice_a = 0
    for t in range(p[P_THREADS]):
        writes = found[LOOKS * t + R_WRITES]
        twice_w |= once_w & writes
        once_w |= writes
        any_access = writes | found[LOOKS * t + R_READS]
        twice_a |= once_a & any_access
        once_a |= any_access
    for t in range(p[P_THREADS]):
        others_write = twice_w | (once_w & ~found[LOOKS * t + R_WRITES])
        op = code[6 * s[tt[THREAD_COLUMNS * t + T_BASE] + S_PC]]
        if (op in (i.LOAD, i.IS_LOCKED)) and found[LOOKS * t + N_READS] & others_write == 0:
            return THREAD * t
        if op in (i.SYNC, i.SYNC_WAIT, i.RCU_UNLOCK) and found[LOOKS * t + L_ENABLED] != 0:
            return THREAD * t
        if found[LOOKS * t + L_FLUSHES] > 0:
            others = twice_a | (once_a & ~(found[LOOKS * t + R_WRITES] | found[LOOKS * t + R_READS]))
            for k in range(s[tt[THREAD_COLUMNS * t + T_BASE] + S_LENGTH]):
                word = s[tt[THREAD_COLUMNS * t + T_BUFFER] + 2 * k] & (FENCED - 1)
                free = word & READER_END != 0 or (others >> word) & 1 == 0
                if free and may_flush(p, tt, s, t, k):
                    return THREAD * t + 1 + k
    return -1


@compiled
def stubborn(p: Words, code: Words, tt: Words, s: Words, found: Words) -> int:
    """Return a set of threads, as bits, whose next transitions meet nothing that the others may still do.

    The one with the fewest transitions. 0 where threads wait for each other for ever, so that no final state follows.
    That a thread of the set looks later which readers there are makes none of the others a member: `alone` lets it look
    as soon as it can.
    """
    threads = p[P_THREADS]
    best, fewest = 0, 1 << 30
    for seed in range(threads):
        if (
            code[6 * s[tt[THREAD_COLUMNS * seed + T_BASE] + S_PC]] == i.HALT
            and s[tt[THREAD_COLUMNS * seed + T_BASE] + S_LENGTH] == 0
        ):
            continue
        members = 1 << seed
        done = 0
        count = 0
        while members != done:
            t = 0
            while ((members & ~done) >> t) & 1 == 0:
                t += 1
            done |= 1 << t
            count += found[LOOKS * t + L_ENABLED] + found[LOOKS * t + L_FLUSHES]
            op = code[6 * s[tt[THREAD_COLUMNS * t + T_BASE] + S_PC]]
            reads, writes, begins = found[LOOKS * t + N_READS], found[LOOKS * t + N_WRITES], found[LOOKS * t + N_RCU]
            for u in range(threads):
                if (members >> u) & 1 == 0:
                    meet = (
                        writes & (found[LOOKS * u + R_READS] | found[LOOKS * u + R_WRITES])
                        | reads & found[LOOKS * u + R_WRITES]
                    )
                    waits = begins != 0 and found[LOOKS * u + R_RCU] != 0
                    waits |= op == i.SYNC_WAIT and s[tt[THREAD_COLUMNS * t + T_SYNC] + u] > 0
                    if meet != 0 or waits:
                        members |= 1 << u
        if count == 0:
            return 0
        if count < fewest:
            best, fewest = members, count
            if count == 1:
                break
    return best
