"""Transitions of a litmus test: one access to memory of one thread, or one store that leaves a buffer.

A state ``s`` is a row of words: the memory, then for each thread its next instruction, its store buffer, its readers of
RCU and its registers (columns ``T_`` say where). Called by compiled code alone; see `stress.litmus.search`.
"""

# Compiled functions have no objects to keep their arrays in.
# ruff: noqa: PLR0917

from __future__ import annotations

from shm_layout.words import Words
from stress.litmus import instructions as i
from stress.litmus.compiled import compiled
from stress.litmus.engine_numbers import (
    A_LIVE,
    ADDRESSES,
    AHEAD_COLUMNS,
    ARITHMETIC,
    BAD,
    C_ERROR,
    C_ERROR_PC,
    FENCED,
    LOCK_TOUCHED,
    MOST_FACTOR,
    NO_ADDRESS,
    NO_READER,
    NOT_HELD,
    P_HIGH,
    P_LOCKS,
    P_LOW,
    P_MODEL,
    P_THREADS,
    P_WORDS,
    READER_END,
    S_LENGTH,
    S_PC,
    S_PENDING,
    T_BASE,
    T_BUFFER,
    T_COUNT,
    T_NEST,
    T_REGISTERS,
    T_SYNC,
    THREAD,
    THREAD_COLUMNS,
)
from stress.litmus.values import ADDRESS_STEP, FIRST_ADDRESS
from stress.memory_model import PSO, SC


@compiled
def operand(s: Words, registers: int, a: int) -> int:
    """Return the value of an operand."""
    if a >= i.FIRST_CONSTANT:
        return a - i.CONSTANT
    return s[registers + a]


@compiled
def alu(k: int, a: int, b: int, low: int, high: int) -> int:
    """Return ``a k b``; `BAD` where it is not defined, or out of bounds."""
    if k == i.EQUAL:
        return 1 if a == b else 0
    if k == i.DIFFER:
        return 1 if a != b else 0
    if a > ADDRESSES or b > ADDRESSES:
        return _alu_of_addresses(k, a, b)
    result = BAD
    if k == i.ADD:
        result = a + b
    elif k == i.SUB:
        result = a - b
    elif k == i.AND:
        result = a & b
    elif k == i.OR:
        result = a | b
    elif k == i.XOR:
        result = a ^ b
    elif k == i.MUL:
        if abs(a) < MOST_FACTOR and abs(b) < MOST_FACTOR:
            result = a * b
    elif k in (i.DIV, i.MOD):
        if b != 0:
            quotient = abs(a) // abs(b)
            if (a < 0) != (b < 0):
                quotient = -quotient
            result = quotient if k == i.DIV else a - quotient * b
    elif k in (i.SHIFT_LEFT, i.SHIFT_RIGHT):
        if 0 <= b < 32 and abs(a) < MOST_FACTOR:
            result = a << b if k == i.SHIFT_LEFT else a >> b
    elif k == i.LESS:
        return 1 if a < b else 0
    elif k == i.LESS_OR_EQUAL:
        return 1 if a <= b else 0
    elif k == i.GREATER:
        return 1 if a > b else 0
    elif k == i.GREATER_OR_EQUAL:
        return 1 if a >= b else 0
    if result < low or result > high:
        return BAD
    return result


@compiled
def _alu_of_addresses(k: int, a: int, b: int) -> int:
    """What is defined of addresses: adding nothing, differences of equal ones, and what gives 0."""
    if (k in (i.SUB, i.XOR)) and a == b:
        return 0
    if (k in (i.AND, i.MUL)) and (a == 0 or b == 0):
        return 0
    if (k in (i.AND, i.OR)) and a == b:
        return a
    if (k in (i.ADD, i.SUB, i.XOR, i.OR)) and b == 0:
        return a
    if (k in (i.ADD, i.XOR, i.OR)) and a == 0:
        return b
    return BAD


@compiled
def word_of(p: Words, value: int) -> int:
    """Return the word that a value is the address of; -1 if it is none."""
    if value < FIRST_ADDRESS or (value - FIRST_ADDRESS) % ADDRESS_STEP != 0:
        return -1
    word = (value - FIRST_ADDRESS) // ADDRESS_STEP
    return word if word < p[P_WORDS] else -1


@compiled
def seen_value(tt: Words, s: Words, t: int, word: int) -> int:
    """Return what thread ``t`` reads in a word: the newest store of its own buffer, else the memory."""
    buffer = tt[THREAD_COLUMNS * t + T_BUFFER]
    for k in range(s[tt[THREAD_COLUMNS * t + T_BASE] + S_LENGTH] - 1, -1, -1):
        if s[buffer + 2 * k] & (FENCED - 1) == word:
            return s[buffer + 2 * k + 1]
    return s[word]


@compiled
def buffered(p: Words, tt: Words, s: Words, t: int, word: int, value: int, fenced: bool) -> None:
    """Put a store into the buffer of thread ``t``."""
    base = tt[THREAD_COLUMNS * t + T_BASE]
    length = s[base + S_LENGTH]
    if p[P_MODEL] == PSO and length > 0 and (fenced or s[base + S_PENDING] != 0):
        word |= FENCED
    if word & READER_END == 0:
        s[base + S_PENDING] = 0
    s[tt[THREAD_COLUMNS * t + T_BUFFER] + 2 * length] = word
    s[tt[THREAD_COLUMNS * t + T_BUFFER] + 2 * length + 1] = value
    s[base + S_LENGTH] = length + 1


@compiled
def reader_ended(p: Words, code: Words, tt: Words, s: Words, t: int, domain: int) -> None:
    """Tell all threads that wait for readers of the domain that one of thread ``t`` has ended."""
    for u in range(p[P_THREADS]):
        sync = tt[THREAD_COLUMNS * u + T_SYNC]
        if sync >= 0 and s[sync + t] > 0 and code[6 * s[tt[THREAD_COLUMNS * u + T_BASE] + S_PC] + 5] == domain:
            s[sync + t] -= 1


@compiled
def failed(ctl: Words, error: int, pc: int) -> bool:
    """Note an error of the test. Returns False."""
    ctl[C_ERROR] = error
    ctl[C_ERROR_PC] = pc
    return False


@compiled
def settle(p: Words, code: Words, am: Words, tt: Words, ctl: Words, s: Words, t: int) -> bool:
    """Go on with thread ``t`` up to its next access to memory that others can notice. False: the test is in error."""
    base, registers = tt[THREAD_COLUMNS * t + T_BASE], tt[THREAD_COLUMNS * t + T_REGISTERS]
    model = p[P_MODEL]
    pc = s[base + S_PC]
    while True:
        op = code[6 * pc]
        if op == i.MOVE:
            s[registers + code[6 * pc + 1]] = operand(s, registers, code[6 * pc + 2])
        elif op == i.ALU:
            left, right = operand(s, registers, code[6 * pc + 2]), operand(s, registers, code[6 * pc + 3])
            result = alu(code[6 * pc + 5], left, right, p[P_LOW], p[P_HIGH])
            if result == BAD:
                return failed(ctl, ARITHMETIC, pc)
            s[registers + code[6 * pc + 1]] = result
        elif op == i.NOT:
            s[registers + code[6 * pc + 1]] = 1 if operand(s, registers, code[6 * pc + 2]) == 0 else 0
        elif op == i.JUMP:
            pc = code[6 * pc + 2]
            continue
        elif op == i.JUMP_IF_ZERO:
            if operand(s, registers, code[6 * pc + 2]) == 0:
                pc = code[6 * pc + 3]
                continue
        elif op == i.FENCE:
            if s[base + S_LENGTH] > 0:
                break
        elif op == i.WMB:
            if s[base + S_LENGTH] > 0:
                s[base + S_PENDING] = 1
        elif op == i.STORE and model != SC:
            word = word_of(p, operand(s, registers, code[6 * pc + 2]))
            if word < 0:
                return failed(ctl, NO_ADDRESS, pc)
            if (p[P_LOCKS] >> word) & 1:
                return failed(ctl, LOCK_TOUCHED, pc)
            buffered(p, tt, s, t, word, operand(s, registers, code[6 * pc + 3]), code[6 * pc + 5] == 1)
        elif op == i.UNLOCK and model != SC:
            word = word_of(p, operand(s, registers, code[6 * pc + 2]))
            if seen_value(tt, s, t, word) != t + 1:
                return failed(ctl, NOT_HELD, pc)
            buffered(p, tt, s, t, word, 0, True)
        elif op == i.RCU_LOCK and s[tt[THREAD_COLUMNS * t + T_NEST] + code[6 * pc + 5]] > 0:
            s[tt[THREAD_COLUMNS * t + T_NEST] + code[6 * pc + 5]] += 1
        elif op == i.RCU_UNLOCK and (model != SC or s[tt[THREAD_COLUMNS * t + T_NEST] + code[6 * pc + 5]] != 1):
            nest = tt[THREAD_COLUMNS * t + T_NEST] + code[6 * pc + 5]
            if s[nest] <= 0:
                return failed(ctl, NO_READER, pc)
            s[nest] -= 1
            if s[nest] == 0:
                buffered(p, tt, s, t, READER_END + code[6 * pc + 5], 0, True)
        else:
            break
        pc += 1
    s[base + S_PC] = pc
    live = am[AHEAD_COLUMNS * pc + A_LIVE]
    for k in range(tt[THREAD_COLUMNS * t + T_COUNT]):
        if (live >> k) & 1 == 0:
            s[registers + k] = 0
    return True


@compiled
def may_flush(p: Words, tt: Words, s: Words, t: int, k: int) -> bool:
    """Whether store ``k`` of the buffer of thread ``t`` may go to memory next."""
    if k == 0:
        return True
    if p[P_MODEL] != PSO:
        return False
    buffer = tt[THREAD_COLUMNS * t + T_BUFFER]
    word = s[buffer + 2 * k] & (FENCED - 1)
    if s[buffer + 2 * k] & FENCED:
        return False
    for earlier in range(k):
        if s[buffer + 2 * earlier] & (FENCED - 1) == word:
            return False
        if earlier > 0 and s[buffer + 2 * earlier] & (FENCED | READER_END) == FENCED:
            return False
    return True


@compiled
def flush(p: Words, code: Words, am: Words, tt: Words, ctl: Words, s: Words, t: int, k: int) -> bool:
    """Let store ``k`` of the buffer of thread ``t`` go to memory. False: the test is in error."""
    base, buffer = tt[THREAD_COLUMNS * t + T_BASE], tt[THREAD_COLUMNS * t + T_BUFFER]
    word = s[buffer + 2 * k] & (FENCED - 1)
    if word & READER_END:
        reader_ended(p, code, tt, s, t, word - READER_END)
    else:
        s[word] = s[buffer + 2 * k + 1]
    length = s[base + S_LENGTH] - 1
    for at in range(buffer + 2 * k, buffer + 2 * length):
        s[at] = s[at + 2]
    s[buffer + 2 * length] = 0
    s[buffer + 2 * length + 1] = 0
    s[base + S_LENGTH] = length
    if length == 0:
        s[base + S_PENDING] = 0
        return settle(p, code, am, tt, ctl, s, t)
    s[buffer] &= FENCED - 1
    return True


@compiled
def enabled(p: Words, code: Words, tt: Words, s: Words, t: int) -> bool:
    """Whether thread ``t`` can take its next instruction."""
    base = tt[THREAD_COLUMNS * t + T_BASE]
    pc = s[base + S_PC]
    op = code[6 * pc]
    if op in (i.HALT, i.FENCE):
        return False
    if op in (i.LOAD, i.IS_LOCKED, i.STORE, i.UNLOCK, i.RCU_LOCK, i.RCU_UNLOCK):
        return True
    if s[base + S_LENGTH] > 0:
        return False
    if op == i.LOCK:
        word = word_of(p, operand(s, tt[THREAD_COLUMNS * t + T_REGISTERS], code[6 * pc + 2]))
        return s[word] == 0
    if op == i.SYNC_WAIT:
        for u in range(p[P_THREADS]):
            if s[tt[THREAD_COLUMNS * t + T_SYNC] + u] > 0:
                return False
    return True


@compiled
def fused(p: Words, code: Words, pc: int) -> bool:
    """Whether the beginning of a reader at ``pc`` is one transition with the access behind it.

    A reader that begins later is waited for by fewer: what it does then it can also do having begun just before.
    """
    behind = code[6 * (pc + 1)]
    return behind == i.LOAD or (behind == i.STORE and p[P_MODEL] == SC)


@compiled
def take(p: Words, code: Words, am: Words, tt: Words, ctl: Words, s: Words, t: int) -> bool:
    """Take the next instruction of thread ``t``, which is enabled, and settle. False: the test is in error."""
    base, registers = tt[THREAD_COLUMNS * t + T_BASE], tt[THREAD_COLUMNS * t + T_REGISTERS]
    pc = s[base + S_PC]
    op, d = code[6 * pc], code[6 * pc + 1]
    if op == i.RCU_LOCK:
        s[tt[THREAD_COLUMNS * t + T_NEST] + code[6 * pc + 5]] += 1
        if fused(p, code, pc):
            pc += 1
            op, d = code[6 * pc], code[6 * pc + 1]
    if op == i.RCU_LOCK:
        pass
    elif op == i.RCU_UNLOCK:
        s[tt[THREAD_COLUMNS * t + T_NEST] + code[6 * pc + 5]] -= 1
        reader_ended(p, code, tt, s, t, code[6 * pc + 5])
    elif op == i.SYNC:
        domain = code[6 * pc + 5]
        for u in range(p[P_THREADS]):
            if u == t:
                continue
            readers = 1 if s[tt[THREAD_COLUMNS * u + T_NEST] + domain] > 0 else 0
            for k in range(s[tt[THREAD_COLUMNS * u + T_BASE] + S_LENGTH]):
                if s[tt[THREAD_COLUMNS * u + T_BUFFER] + 2 * k] & (FENCED - 1) == READER_END + domain:
                    readers += 1
            s[tt[THREAD_COLUMNS * t + T_SYNC] + u] = readers
        if s[tt[THREAD_COLUMNS * t + T_NEST] + domain] > 0:
            s[tt[THREAD_COLUMNS * t + T_SYNC] + t] = 1
    elif op == i.SYNC_WAIT:
        pass
    else:
        word = word_of(p, operand(s, registers, code[6 * pc + 2]))
        if word < 0:
            return failed(ctl, NO_ADDRESS, pc)
        if (p[P_LOCKS] >> word) & 1 and op < i.LOCK:
            return failed(ctl, LOCK_TOUCHED, pc)
        if op == i.LOAD:
            s[registers + d] = seen_value(tt, s, t, word)
        elif op == i.STORE:
            s[word] = operand(s, registers, code[6 * pc + 3])
        elif op == i.XCHG:
            old = s[word]
            s[word] = operand(s, registers, code[6 * pc + 3])
            s[registers + d] = old
        elif op == i.CMPXCHG:
            old = s[word]
            if old == operand(s, registers, code[6 * pc + 3]):
                s[word] = operand(s, registers, code[6 * pc + 4])
            s[registers + d] = old
        elif op == i.FETCH:
            old = s[word]
            result = alu(code[6 * pc + 5], old, operand(s, registers, code[6 * pc + 3]), p[P_LOW], p[P_HIGH])
            if result == BAD:
                return failed(ctl, ARITHMETIC, pc)
            s[word] = result
            s[registers + d] = old
        elif op == i.ADD_UNLESS:
            old = s[word]
            added = old != operand(s, registers, code[6 * pc + 4])
            if added:
                result = alu(i.ADD, old, operand(s, registers, code[6 * pc + 3]), p[P_LOW], p[P_HIGH])
                if result == BAD:
                    return failed(ctl, ARITHMETIC, pc)
                s[word] = result
            s[registers + d] = 1 if added else 0
        elif op == i.LOCK:
            s[word] = t + 1
        elif op == i.UNLOCK:
            if s[word] != t + 1:
                return failed(ctl, NOT_HELD, pc)
            s[word] = 0
        elif op == i.TRYLOCK:
            free = s[word] == 0
            if free:
                s[word] = t + 1
            s[registers + d] = 1 if free else 0
        elif op == i.IS_LOCKED:
            s[registers + d] = 1 if seen_value(tt, s, t, word) != 0 else 0
    s[base + S_PC] = pc + 1
    return settle(p, code, am, tt, ctl, s, t)


@compiled
def do(p: Words, code: Words, am: Words, tt: Words, ctl: Words, s: Words, transition: int) -> bool:
    """Take a transition: ``THREAD`` times its thread, plus 1 and its number for a store. False: as for `take`."""
    t, k = transition // THREAD, transition % THREAD
    if k == 0:
        return take(p, code, am, tt, ctl, s, t)
    return flush(p, code, am, tt, ctl, s, t, k - 1)
