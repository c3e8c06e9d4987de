"""The event loop: CPUs take steps in simulated time, and lines serve those who ask in the order in which they ask.

Plain Python that Numba compiles. A step is taken when its CPU asks for the line; what it reads and writes is then
right, because a line serves its queue in order. Where a step makes several accesses to one line they are one: the
strongest of them. What is simplified stands in docs/scale.md.
"""

from __future__ import annotations

from typing import Any

from shm_layout.lowering import words
from shm_layout.record import COMPARE, COUNT, ENTRIES, ENTRY, FAULT, FULL_BARRIER, KIND, MOST, READ, READ_WRITE
from shm_layout.registers import KEPT, R_ADDRESS, R_ARG, R_OP, R_WRITE, REGISTERS
from shm_layout.structs import LINE_WORDS
from shm_layout.words import Words
from stress.compiling.random_numbers import rand
from stress.program import END
from stress.scale.calling import call_step
from stress.scale.code import CLEARS, NO_WORK, ROW_JUMP, ROW_STEP, ROW_WORK
from stress.scale.state import (
    ACCESSES,
    ATOMICS,
    CLEAR_BUSY,
    ENDED,
    EXIT,
    FAULTS,
    FAULTY,
    FREE_SETS,
    JITTER,
    LEVEL_COST,
    LEVELS,
    LINE_PS,
    MEMORY,
    NO_JUMP,
    NO_SETS,
    NOBODY,
    NODE_CPUS,
    OK,
    OWN,
    OWN_ATOMIC,
    OWN_PS,
    PART_CODE,
    PART_END,
    PART_NUMBER,
    PART_PAGE,
    PART_WORDS,
    PART_WRITE,
    PARTS,
    QUEUE_PS,
    RANDOM,
    READ_BUSY,
    READ_PS,
    READS_DONE,
    SEQUENCE,
    SET_WORDS,
    SHARED,
    SPIN_PS,
    STATUS,
    TRANSFERS,
    WAITS,
    WINDOW_BEGAN,
    WINDOW_ENDED,
    WINDOW_FIRST,
    WINDOW_LAST,
    WORK_PS,
    Cpus,
    Heap,
    Lines,
    Run,
)
from stress.scale.state import (
    ENTRY as ENTRY_COST,
)
from stress.step import WAIT, helper


@helper
def push(h: Heap, run: Run, time: int, cpu: int) -> None:
    """Enter an event."""
    i = h.size[0]
    h.size[0] = i + 1
    order = run.sums[SEQUENCE]
    run.sums[SEQUENCE] = order + 1
    while i > 0:
        up = (i - 1) >> 1
        if h.time[up] < time or (h.time[up] == time and h.order[up] < order):
            break
        h.time[i], h.order[i], h.cpu[i] = h.time[up], h.order[up], h.cpu[up]
        i = up
    h.time[i], h.order[i], h.cpu[i] = time, order, cpu


@helper
def drop_first(h: Heap) -> None:
    """Take the earliest event away."""
    size = h.size[0] - 1
    h.size[0] = size
    time, order, cpu = h.time[size], h.order[size], h.cpu[size]
    i = 0
    while True:
        down = 2 * i + 1
        if down >= size:
            break
        right = down + 1
        if right < size and (
            h.time[right] < h.time[down] or (h.time[right] == h.time[down] and h.order[right] < h.order[down])
        ):
            down = right
        if time < h.time[down] or (time == h.time[down] and order < h.order[down]):
            break
        h.time[i], h.order[i], h.cpu[i] = h.time[down], h.order[down], h.cpu[down]
        i = down
    h.time[i], h.order[i], h.cpu[i] = time, order, cpu


@helper
def distance_cost(run: Run, a: int, b: int) -> int:
    """What a line costs that goes from CPU ``a`` to CPU ``b``, ps: by the least level that both are in."""
    last = run.costs[LEVELS] - 1
    for level in range(last):
        span = run.costs[LEVEL_COST + 2 * level]
        if a // span == b // span:
            return run.costs[LEVEL_COST + 2 * level + 1]
    return run.costs[LEVEL_COST + 2 * last + 1]


@helper
def has_copy(lines: Lines, line: int, cpu: int) -> bool:
    """Whether a CPU is among the sharers of a line that is shared."""
    return (lines.sets[lines.row[line] + (cpu >> 6)] >> (cpu & 63)) & 1 != 0


@helper
def add_sharer(lines: Lines, line: int, cpu: int) -> None:
    """Give a CPU a copy of a line that is shared."""
    lines.sets[lines.row[line] + (cpu >> 6)] |= 1 << (cpu & 63)
    lines.low[line] = min(lines.low[line], cpu)
    lines.high[line] = max(lines.high[line], cpu)


@helper
def share(lines: Lines, run: Run, line: int, owner: int) -> bool:
    """Make a line that one CPU has alone a shared one. False when there is no set left."""
    left = run.sums[FREE_SETS] - 1
    if left < 0:
        run.sums[STATUS] = NO_SETS
        return False
    run.sums[FREE_SETS] = left
    row = lines.spare[left]
    lines.row[line] = row
    for i in range(run.costs[SET_WORDS]):
        lines.sets[row + i] = 0
    lines.owner[line] = SHARED
    lines.low[line] = owner
    lines.high[line] = owner
    add_sharer(lines, line, owner)
    return True


@helper
def access(lines: Lines, run: Run, cpu: int, line: int, write: bool, atomic: bool, now: int) -> int:  # noqa: PLR0917
    """Let a CPU access a line; returns when it is done, ps."""
    costs, sums = run.costs, run.sums
    owner = lines.owner[line]
    if owner == cpu or (owner == SHARED and not write and has_copy(lines, line, cpu)):
        cost = costs[OWN_ATOMIC] if atomic else costs[OWN]
        sums[OWN_PS] += cost
        return now + cost
    begin = max(now, lines.free[line])
    sums[QUEUE_PS] += begin - now
    sums[TRANSFERS] += 1
    if owner == NOBODY:
        cost = costs[MEMORY]
        busy = cost
        lines.owner[line] = cpu
    elif write:
        if owner == SHARED:
            low = lines.low[line]
            high = lines.high[line]
            cost = max(distance_cost(run, low, cpu), distance_cost(run, high, cpu))
            lines.spare[sums[FREE_SETS]] = lines.row[line]
            sums[FREE_SETS] += 1
        else:
            cost = distance_cost(run, owner, cpu)
        busy = cost
        lines.owner[line] = cpu
    elif owner == SHARED:
        cost = distance_cost(run, lines.low[line], cpu)
        busy = min(costs[READ_BUSY], cost)
        add_sharer(lines, line, cpu)
    else:
        cost = distance_cost(run, owner, cpu)
        busy = cost
        if share(lines, run, line, owner):
            add_sharer(lines, line, cpu)
    sums[LINE_PS] += cost
    lines.free[line] = begin + busy
    return begin + cost


@helper
def written(lines: Lines, cpus: Cpus, h: Heap, run: Run, line: int, now: int) -> None:  # noqa: PLR0917
    """A line was written: a CPU that waits for a word of it has lost its copy, and looks again."""
    cpu = lines.first[line]
    lines.first[line] = -1
    while cpu >= 0:
        push(h, run, max(now, cpus.ready[cpu]), cpu)
        cpu = cpus.next[cpu]


@helper
def wait(lines: Lines, cpus: Cpus, run: Run, cpu: int, word: int, began: int, now: int) -> None:  # noqa: PLR0917
    """Put a CPU whose step waits last in the queue of its line. ``began``: when it looked; ``now``: when it saw."""
    line = word // LINE_WORDS
    run.sums[WAITS] += 1
    if cpus.since[cpu] < 0:
        cpus.since[cpu] = began
    cpus.ready[cpu] = now
    cpus.next[cpu] = -1
    if lines.first[line] < 0:
        lines.first[line] = cpu
    else:
        cpus.next[lines.last[line]] = cpu
    lines.last[line] = cpu


@helper
def accesses(lines: Lines, cpus: Cpus, h: Heap, run: Run, record: Words, cpu: int, now: int) -> int:  # noqa: PLR0917
    """Make a step's accesses, line by line in the order of its first access to each; returns the end.

    A full barrier costs what an atomic on an own line does.
    """
    count = min(record[COUNT], MOST)
    run.sums[ACCESSES] += count
    for i in range(count):
        kind = record[ENTRIES + ENTRY * i + 1] & KIND
        if kind >= FULL_BARRIER:
            if kind == FULL_BARRIER:
                now += run.costs[OWN_ATOMIC]
                run.sums[OWN_PS] += run.costs[OWN_ATOMIC]
            continue
        line = record[ENTRIES + ENTRY * i] // LINE_WORDS
        seen = False
        for j in range(i):
            if record[ENTRIES + ENTRY * j] // LINE_WORDS == line:
                seen = True
        if seen:
            continue
        write = False
        atomic = False
        for j in range(i, count):
            if record[ENTRIES + ENTRY * j] // LINE_WORDS == line:
                kind = record[ENTRIES + ENTRY * j + 1] & KIND
                if kind < FULL_BARRIER:
                    write |= kind != READ
                    atomic |= kind == READ_WRITE or kind == COMPARE  # noqa: PLR1714
        if atomic:
            run.sums[ATOMICS] += 1
        now = access(lines, run, cpu, line, write, atomic, now)
        if write:
            written(lines, cpus, h, run, line, now)
    return now


@helper
def varied(run: Run, work: int) -> int:
    """Private work, longer or shorter by at most JITTER thousandths of it."""
    if run.costs[JITTER] == 0 or work == 0:
        return work
    x = rand(run.sums[RANDOM])
    run.sums[RANDOM] = x
    return work + (((x >> 40) & 0xFFFF) - 0x8000) * (work * run.costs[JITTER] // 1000) // 0x8000


@helper
def page_work(run: Run, cpus: Cpus, nodes: Words, kind: int, cpu: int, now: int) -> int:  # noqa: PLR0917
    """Clear or copy a page, near or far; returns the end. A node's memory serves one CPU after another."""
    k, near = cpus.done[cpu], cpus.near[cpu]
    far = 1 if (k + 1) * near // 1000 == k * near // 1000 else 0
    work = varied(run, run.work[2 * kind + far])
    end = now + work
    busy = run.costs[CLEAR_BUSY] * (1 if kind == CLEARS else 2)
    if busy != 0:
        node = cpu // run.costs[NODE_CPUS]
        begin = max(now, nodes[node])
        nodes[node] = begin + busy
        end = max(end, begin + busy)
    run.sums[WORK_PS] += end - now
    return end


@helper
def begin_operation(run: Run, cpus: Cpus, cpu: int, now: int) -> int:
    """Give a CPU its next operation; returns when its entry is over, or -1 when nothing is left to do."""
    if cpus.done[cpu] >= cpus.quota[cpu]:
        return -1
    parts = run.costs[PARTS]
    for i in range(parts):
        number = (cpus.part[cpu] + i) % parts
        part = words(cpus.parts, (cpu * parts + number) * PART_WORDS)
        if part[PART_PAGE] < part[PART_END]:
            r = words(cpus.registers, cpu * REGISTERS)
            for j in range(KEPT, REGISTERS):
                r[j] = 0
            r[R_OP] = part[PART_NUMBER]
            if cpus.reader[cpu] == 0:
                r[R_ADDRESS] = part[PART_PAGE]
                r[R_WRITE] = part[PART_WRITE]
            else:
                r[R_ARG] = part[PART_WRITE]
            part[PART_PAGE] += 1
            cpus.part[cpu] = (number + 1) % parts
            cpus.pc[cpu] = part[PART_CODE]
            cpus.began[cpu] = now
            work = varied(run, run.costs[ENTRY_COST])
            run.sums[WORK_PS] += work
            return now + work
    return -1


@helper
def end_operation(run: Run, cpus: Cpus, cpu: int, now: int) -> int:
    """Note that a CPU's operation is done; returns when its exit is over."""
    sums = run.sums
    work = varied(run, run.costs[EXIT])
    sums[WORK_PS] += work
    now += work
    cpus.done[cpu] += 1
    cpus.pc[cpu] = -1
    if cpus.reader[cpu] != 0:
        sums[READS_DONE] += 1
        sums[READ_PS] += now - cpus.began[cpu]
    else:
        faults = sums[FAULTS] + 1
        sums[FAULTS] = faults
        if faults == run.window[0]:
            sums[WINDOW_BEGAN], sums[WINDOW_FIRST] = now, faults
        if faults == run.window[1]:
            sums[WINDOW_ENDED], sums[WINDOW_LAST] = now, faults
    sums[ENDED] = max(sums[ENDED], now)
    return now


def simulate(  # noqa: PLR0917
    address: int, m: Any, record: Any, rows: Any, lines: Lines, cpus: Cpus, h: Heap, nodes: Any, run: Run
) -> int:
    """Take events until none is left, or ``until`` faults are done; returns the status.

    ``address``: of the function that takes a step. ``m``, ``record``: pointers to words.
    """
    sums = run.sums
    while h.size[0] != 0 and sums[FAULTS] < run.until:
        now, cpu = h.time[0], h.cpu[0]
        drop_first(h)
        due = True  # this event is the earliest; what follows it may not be
        while True:
            if cpus.pc[cpu] < 0:
                due = False
                now = begin_operation(run, cpus, cpu, now)
                if now < 0:
                    break
            elif not due and h.size[0] != 0 and h.time[0] <= now:
                push(h, run, now, cpu)
                break
            else:
                due = False
                pc = cpus.pc[cpu]
                record[COUNT] = 0
                outcome = call_step(address, rows[pc + ROW_STEP], m, words(cpus.registers, cpu * REGISTERS), record)
                if record[FAULT] != 0 or (outcome == WAIT and record[COUNT] == 0):
                    return FAULTY
                began = now
                now = accesses(lines, cpus, h, run, record, cpu, now)
                if outcome == WAIT:
                    wait(lines, cpus, run, cpu, record[ENTRIES + ENTRY * (min(record[COUNT], MOST) - 1)], began, now)
                    break
                if cpus.since[cpu] >= 0:
                    sums[SPIN_PS] += now - cpus.since[cpu]
                    cpus.since[cpu] = -1
                if rows[pc + ROW_WORK] != NO_WORK:
                    now = page_work(run, cpus, nodes, rows[pc + ROW_WORK], cpu, now)
                to = rows[pc + ROW_JUMP + outcome]
                if to >= 0:
                    cpus.pc[cpu] = to
                elif to == END:
                    now = end_operation(run, cpus, cpu, now)
                    if sums[FAULTS] >= run.until:
                        break
                else:
                    return NO_JUMP
        if sums[STATUS] != OK:
            return sums[STATUS]
    return OK
