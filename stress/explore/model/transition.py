"""One transition: a CPU takes one step that others can see, and the private ones around it.

Plain Python that is compiled with the engine, and that `replay` runs as it is. ``p`` is the image of design and
workload (`stress.explore.model.image`), ``m`` the memory, ``g`` the registers of all CPUs, `STRIDE` words each.
"""

from __future__ import annotations

from shm_layout.record import CHANGED, COUNT, ENTRIES, ENTRY, FAULT, MOST, REGISTERS_READ, STEP
from shm_layout.registers import KEPT, R_ADDRESS, R_ARG, R_CPU, R_END, R_OP, R_PC, R_WRITE
from shm_layout.words import Words
from stress.explore.model.accesses import CHANGED_BEFORE_WAIT, PRIVATE_ACCESS
from stress.explore.model.check_bits import PROGRESS, USER, oops_bits
from stress.explore.model.image import (
    CODE_JUMP,
    CODE_KIND,
    CODE_STEP,
    CODE_TAKEN,
    MAY_WAIT,
    OP_ADDRESS,
    OP_ARG,
    OP_END,
    OP_NUMBER,
    OP_PC,
    OP_READ,
    OP_WRITE,
    P_CODE,
    P_CPU,
    P_CPUS,
    P_LEFT,
    P_LOG,
    P_MEMORY,
    P_OWN_STEPS,
    P_RACED,
    P_READS,
    P_RECORD,
    P_RECORDED,
    P_ROW,
    P_SAVED,
    P_SPLIT,
    P_STEPS,
    P_UNDER_WAY,
    P_WATCHED,
    PRIVATE,
    R_DONE,
    R_MET,
    STRIDE,
    USERS,
    WHOLE,
)
from stress.explore.model.log import forget_log, log_accesses
from stress.explore.model.primitives import RAISED, call_own, call_step, call_watched, window
from stress.explore.model.read_interval import (
    begin_read,
    judge_read,
    keep_ptes,
    learn_changes,
    operation_row,
    widen_reads,
)
from stress.explore.model.rules import forget_accesses, keep_accesses
from stress.explore.model.store_buffer import (
    MUST_WAIT,
    all_empty,
    buffer_stores,
    buffered,
    first_buffered,
    let_out,
    may_leave,
    oldest,
    operation_of,
    put_over,
    stores_from,
    take_back,
    take_off,
)
from stress.memory_model import PSO, SC
from stress.step import WAIT, helper

FINISHED = -1
"""The CPU has performed all its operations."""
WAITS = -2
"""Its next step is not enabled."""
PRIVATE_STEPS = 10_000
"""Private steps in a row, at most: more are a loop that never ends."""
NEVER_ENDS = -4
"""In the place of a row: a loop of private steps. Unlike `END`, `STAY` and `NOWHERE` of `stress.program`."""
REFUSED = -5
"""A step broke the rules of steps: what it did stands in the record. Also in the place of a row."""
RAISED_ROW = -6
"""In the place of a row: a step raised an exception."""
BLOCKED = -7
"""In the place of an outcome: the step waits until the store buffer of its CPU is empty, or has room."""


@helper
def take_own(p: Words, number: int, m: Words, r: Words, who: int) -> int:
    """Call a step or check that the design brings along, and note that it is under way: it may never end.

    ``who``: the CPU that moves, + 1, or 0 at rest. A call is noted as its place among all calls (the upper half of the
    word), ``number`` + 1 and ``who`` (8 bits), for `stress.system.never_ends.watched`.
    """
    call = ((p[P_UNDER_WAY] >> 32) + 1) << 32
    p[P_UNDER_WAY] = call | (number + 1) << 8 | who
    outcome = call_own(p[P_OWN_STEPS], number, m, r, window(p, p[P_RECORD]))
    p[P_UNDER_WAY] = call
    return outcome


@helper
def take(p: Words, number: int, m: Words, r: Words) -> int:
    """Take a step by its number; returns its outcome."""
    if number < p[P_SPLIT]:
        if p[P_RECORDED] != 0:
            return call_watched(p[P_STEPS], number, m, r, window(p, p[P_RECORD]))
        return call_step(p[P_STEPS], number, m, r)
    return take_own(p, number - p[P_SPLIT], m, r, r[R_CPU] + 1 if r[R_OP] != 0 else 0)


@helper
def take_watched(p: Words, number: int, m: Words, r: Words) -> int:
    """Take a step whose accesses are to be looked at: the record holds them after it, and no others."""
    record = window(p, p[P_RECORD])
    if record[FAULT] == 0:  # else it keeps what the wrong step did
        record[STEP] = number
        record[COUNT] = 0
        record[CHANGED] = 0
        record[REGISTERS_READ] = 0
    outcome = take(p, number, m, r)
    if p[P_LOG] != 0:
        log_accesses(p)
    return outcome


@helper
def keep(p: Words, r: Words) -> None:
    """Keep the registers as they are before a step."""
    for i in range(STRIDE):
        p[p[P_SAVED] + i] = r[i]


@helper
def restore(p: Words, r: Words) -> None:
    """Put the registers back as they were before the last step."""
    for i in range(STRIDE):
        r[i] = p[p[P_SAVED] + i]


@helper
def take_buffered(p: Words, m: Words, r: Words, row: int) -> int:
    """Take the step of a row of code under a memory model with store buffers; `BLOCKED` when it must wait for one.

    A step that must wait, for that or by what it returns, has changed nothing.
    """
    cpu = r[R_CPU]
    count = buffered(p, m, cpu)
    keep(p, r)
    if (p[row + CODE_KIND] & WHOLE) != 0:
        return take_watched(p, p[row + CODE_STEP], m, r) if count == 0 else BLOCKED
    put_over(p, m, cpu, count)
    outcome = take_watched(p, p[row + CODE_STEP], m, r)
    if p[p[P_RECORD] + FAULT] != 0:
        return outcome  # refused: its accesses may be to words that are not there
    first = first_buffered(p, m, cpu, count)
    if first == MUST_WAIT:
        take_back(p, m, 0)
    elif stores_from(p, first) != 0:
        take_back(p, m, first)
    take_off(p, m, cpu, count)
    if first == MUST_WAIT:
        restore(p, r)
        return BLOCKED
    buffer_stores(p, m, cpu, first, r[R_DONE] if p[P_READS] != 0 else 0)
    return outcome


@helper
def take_recorded(p: Words, m: Words, r: Words, row: int) -> int:
    """Take the step of a row of code where its accesses are looked at; as `take_buffered` where there are buffers."""
    if p[P_MEMORY] == SC:
        return take_watched(p, p[row + CODE_STEP], m, r)
    return take_buffered(p, m, r, row)


@helper
def private_steps(p: Words, m: Words, r: Words, pc: int) -> int:
    """Take steps from row ``pc`` on as long as they are private; returns the row of the first that is not, or `END`.

    Under a memory model with store buffers it is the row of a private one where that must wait for the CPU's buffer.
    """
    for _ in range(PRIVATE_STEPS):
        if pc < 0:
            return pc
        row = p[P_CODE] + pc * p[P_ROW]
        if (p[row + CODE_KIND] & PRIVATE) == 0:
            return pc
        outcome = 0
        if p[P_RECORDED] == 0:
            outcome = take(p, p[row + CODE_STEP], m, r)
        else:
            outcome = take_recorded(p, m, r, row)
            if p[P_WATCHED] != 0 and broke_private(p, p[row + CODE_KIND]):
                return REFUSED
            if outcome == BLOCKED:
                return pc
        if outcome == RAISED:
            return RAISED_ROW
        p[row + CODE_TAKEN + (outcome >> 6)] |= 1 << (outcome & 63)
        pc = p[row + CODE_JUMP + outcome]
    return NEVER_ENDS


@helper
def broke_private(p: Words, kind: int) -> bool:
    """Return whether the private step that was just taken is wrong: a user's makes no access at all.

    Those of this package may read what only their CPU writes, or what cannot change meanwhile.
    """
    record = window(p, p[P_RECORD])
    accesses = 0
    for i in range(min(record[COUNT], MOST)):
        accesses += record[ENTRIES + ENTRY * i] != 0  # a barrier is none
    if record[FAULT] == 0 and accesses != 0 and (kind & USERS) != 0:
        record[FAULT] = PRIVATE_ACCESS
    return record[FAULT] != 0


@helper
def waited(p: Words, m: Words, g: Words, cpu: int, pc: int) -> int:
    """End a step that waits: `WAITS`; 0, with the step still next, where it has changed registers.

    A worker tries again with the registers as the step left them, so that is a transition.
    """
    r = window(g, cpu * STRIDE)
    record = window(p, p[P_RECORD])
    if p[P_RECORDED] != 0 and record[CHANGED] != 0:
        record[FAULT] = CHANGED_BEFORE_WAIT
        return REFUSED
    for i in range(STRIDE):
        if r[i] != p[p[P_SAVED] + i]:
            return stay(p, m, g, cpu, pc)
    return WAITS


@helper
def stay(p: Words, m: Words, g: Words, cpu: int, pc: int) -> int:
    """End a transition with the same step still next: what came before it has changed something. Returns 0."""
    window(g, cpu * STRIDE)[R_PC] = pc
    widen_reads(p, m, g)
    return 0


@helper
def begin_operation(p: Words, m: Words, g: Words, cpu: int) -> None:
    """Put the arguments of a CPU's next operation into its registers."""
    r = window(g, cpu * STRIDE)
    row = operation_row(p, r[R_DONE], cpu)
    r[R_OP] = p[row + OP_NUMBER]
    r[R_PC] = p[row + OP_PC]
    r[R_ADDRESS] = p[row + OP_ADDRESS]
    r[R_END] = p[row + OP_END]
    r[R_WRITE] = p[row + OP_WRITE]
    r[R_ARG] = p[row + OP_ARG]
    if p[row + OP_READ] != 0:
        begin_read(p, m, g, cpu)


@helper
def end_operation(p: Words, m: Words, g: Words, cpu: int) -> int:
    """End an operation: clear its registers, and return the checks that a read breaks."""
    broken = 0
    r = window(g, cpu * STRIDE)
    if p[operation_row(p, r[R_DONE], cpu) + OP_READ] != 0:
        broken = judge_read(p, m, g, cpu)
    for i in range(KEPT, R_DONE):
        r[i] = 0
    r[R_DONE] = r[R_DONE] + 1
    return broken


@helper
def note_overlap(p: Words, m: Words, g: Words, cpu: int) -> None:
    """Note, with every CPU, that the operation that a CPU is in overlaps another one, or stores that it left behind.

    With every CPU, so that identical CPUs stay interchangeable.
    """
    others = 0
    for other in range(p[P_CPUS]):
        if other != cpu:
            others |= g[other * STRIDE + R_OP]
    if others != 0 or not all_empty(p, m):
        for each in range(p[P_CPUS]):
            g[each * STRIDE + R_MET] = 1


@helper
def transition(p: Words, m: Words, g: Words, cpu: int) -> int:
    """Let a CPU take one step: `FINISHED`, `WAITS`, or the checks that break, as bits (`check_bits`).

    A step that waits has changed nothing in ``m``; its registers must be put back by the caller. `REFUSED` when a step
    breaks the rules of steps.
    """
    r = window(g, cpu * STRIDE)
    if p[P_RECORDED] != 0:
        p[P_LEFT] = 0
        if p[P_WATCHED] != 0:
            forget_accesses(p, cpu)
        if p[P_LOG] != 0:
            forget_log(p)
    if p[P_READS] != 0:
        keep_ptes(p, m)
    if r[R_OP] == 0:
        if r[R_DONE] == p[P_CPU + 2 * cpu + 1]:
            return FINISHED
        begin_operation(p, m, g, cpu)
        if p[P_RACED] != 0:
            note_overlap(p, m, g, cpu)
    pc = private_steps(p, m, r, r[R_PC])
    if pc >= 0:
        row = p[P_CODE] + pc * p[P_ROW]
        outcome = 0
        if (p[row + CODE_KIND] & MAY_WAIT) != 0:
            keep(p, r)
        if p[P_RECORDED] == 0:
            outcome = take(p, p[row + CODE_STEP], m, r)
            if outcome == WAIT:
                return waited(p, m, g, cpu, pc)
        else:
            left = p[P_LEFT]
            outcome = BLOCKED
            if (p[row + CODE_KIND] & PRIVATE) == 0:
                outcome = take_recorded(p, m, r, row)
            if p[p[P_RECORD] + FAULT] != 0:
                return REFUSED
            if left != 0 and outcome in (BLOCKED, WAIT):
                # What the private steps before it left in the buffer is there, so that they are a transition.
                if outcome == WAIT:
                    restore(p, r)
                return stay(p, m, g, cpu, pc)
            if outcome == BLOCKED:
                return WAITS
            if outcome == WAIT:
                return waited(p, m, g, cpu, pc)
            if p[P_WATCHED] != 0:
                keep_accesses(p, cpu, p[row + CODE_KIND])
        if p[P_READS] != 0:
            learn_changes(p, m, operation_row(p, r[R_DONE], cpu))
        pc = RAISED_ROW
        if outcome != RAISED:
            p[row + CODE_TAKEN + (outcome >> 6)] |= 1 << (outcome & 63)
            pc = private_steps(p, m, r, p[row + CODE_JUMP + outcome])
    if pc == REFUSED:
        return REFUSED
    if pc == RAISED_ROW:
        return USER
    broken = oops_bits(r)
    if pc >= 0:
        r[R_PC] = pc
    elif pc == NEVER_ENDS:
        broken |= PROGRESS
    else:
        broken |= end_operation(p, m, g, cpu)
    widen_reads(p, m, g)
    return broken


# every way on from a state


@helper
def drain(p: Words, m: Words, g: Words, cpu: int, number: int) -> int:
    """Let store ``number`` of the buffer of a CPU out into the memory; `FINISHED` when it may not leave next."""
    if not may_leave(p, m, cpu, number):
        return FINISHED
    if p[P_READS] != 0:
        keep_ptes(p, m)
    place = let_out(p, m, cpu, number)
    if p[P_READS] != 0:
        learn_changes(p, m, operation_row(p, operation_of(place), cpu))
    widen_reads(p, m, g)
    return 0


@helper
def move(p: Words, m: Words, g: Words, choice: int) -> int:
    """Go on from a state in one of its ways; returns as `transition` does.

    Below the number of CPUs a choice names the CPU that takes a step. After these come, CPU after CPU, those whose
    oldest store is drained (tso), or whose store 0, then whose store 1, and so on (pso).
    """
    cpus = p[P_CPUS]
    if choice < cpus:
        return transition(p, m, g, choice)
    cpu = choice % cpus
    number = choice // cpus - 1
    if p[P_MEMORY] != PSO:
        number = oldest(p, m, cpu)
    return drain(p, m, g, cpu, number)
