"""Small programs over two words, and every end of them by a machine of store buffers that is written for this alone.

It shares nothing with the explorer: a store is a set of halves and values, a buffer a list of stores and barriers.
"""

import random

from shm_layout.atomic import (
    cmpxchg,
    fetch_add,
    fetch_add_half,
    read_half,
    read_once,
    smp_mb,
    smp_rmb,
    smp_wmb,
    store,
    store_half,
    write_half,
    write_once,
    xchg,
)
from shm_layout.registers import R_USER
from shm_layout.structs import zone_struct
from stress.design import Design
from stress.program import Program
from stress.step import NEXT, helper, step
from stress.workload import Workload

X = zone_struct.word("litmus_x", "litmus tests", "a word")
Y = zone_struct.word("litmus_y", "litmus tests", "another word")
WORDS = {"x": X, "y": Y}
HIGH = 1 << 32


@helper
def seen(r, value):
    """Append what was read to what the CPU has seen: 2 bits of each half."""
    r[R_USER] = r[R_USER] * 16 + (value & 3) + 4 * ((value >> 32) & 3)


def made(name, operation, word=None, value=0, half=None):
    """A step and what it is: operation, word, halves that it reaches, value."""
    halves = (0, 1) if half is None else (half,)
    function = globals()[f"{operation}_step"](*((WORDS[word],) if word else ()), value, half)
    function.__name__ = function.__qualname__ = name
    return step(function, private=operation in ("mb", "wmb", "rmb")), (operation, word, halves, value)


def read_step(word, value, half):
    def whole(m, r):
        seen(r, read_once(m, m[word]))
        return NEXT

    def part(m, r):
        seen(r, read_half(m, m[word], half) << (32 * half))
        return NEXT

    return whole if half is None else part


def write_step(word, value, half):
    def whole(m, r):
        write_once(m, m[word], value)
        return NEXT

    def part(m, r):
        write_half(m, m[word], half, value)
        return NEXT

    return whole if half is None else part


def plain_step(word, value, half):
    def whole(m, r):
        m[m[word]] = value
        return NEXT

    return whole


def release_step(word, value, half):
    def whole(m, r):
        store(m, m[word], value)
        return NEXT

    def part(m, r):
        store_half(m, m[word], half, value)
        return NEXT

    return whole if half is None else part


def add_step(word, value, half):
    def whole(m, r):
        seen(r, fetch_add(m, m[word], value))
        return NEXT

    def part(m, r):
        seen(r, fetch_add_half(m, m[word], half, value) << (32 * half))
        return NEXT

    return whole if half is None else part


def exchange_step(word, value, half):
    def whole(m, r):
        seen(r, xchg(m, m[word], value))
        return NEXT

    return whole


def compare_step(word, value, half):
    def whole(m, r):
        seen(r, cmpxchg(m, m[word], 0, value))
        return NEXT

    return whole


def mb_step(value, half):
    def barrier(m, r):
        smp_mb(m)
        return NEXT

    return barrier


def wmb_step(value, half):
    def barrier(m, r):
        smp_wmb(m)
        return NEXT

    return barrier


def rmb_step(value, half):
    def barrier(m, r):
        smp_rmb(m)
        return NEXT

    return barrier


STEPS = [made(f"read_{w}", "read", w) for w in WORDS]
STEPS += [made(f"read_{w}{h}", "read", w, half=h) for w in WORDS for h in (0, 1)]
STEPS += [made(f"write_{w}{v}", "write", w, v + 3 * HIGH) for w in WORDS for v in (1, 2)]
STEPS += [made(f"write_{w}_half{h}_{v}", "write", w, v, h) for w in WORDS for h in (0, 1) for v in (1, 2)]
STEPS += [made(f"plain_{w}", "plain", w, 1) for w in WORDS]
STEPS += [made(f"release_{w}", "release", w, 2) for w in WORDS]
STEPS += [made(f"release_{w}_half{h}", "release", w, 3, h) for w in WORDS for h in (0, 1)]
STEPS += [made("add_x", "add", "x", 1), made("add_y1", "add", "y", 1, 1)]
STEPS += [made("exchange_y", "exchange", "y", 2), made("compare_x", "compare", "x", 3)]
STEPS += [made("mb", "mb"), made("wmb", "wmb"), made("rmb", "rmb")]
MEANING = dict(STEPS)
BARRIERS = [f for f, (operation, *_) in STEPS if operation in ("mb", "wmb", "rmb")]
WRITES = [f for f, (operation, *_) in STEPS if operation in ("write", "release", "plain")]
READS = [f for f, (operation, *_) in STEPS if operation == "read"]


def drawn(seed):
    """Threads of a drawn program: mostly loads and stores, of two or three CPUs; some store more, some load more."""
    chooser = random.Random(seed)
    lengths = chooser.choice([(3, 3), (2, 4), (4, 4), (2, 2, 2), (3, 2, 2), (1, 3, 2), (1, 1, 3)])
    kinds = [READS, WRITES, list(MEANING), BARRIERS]
    threads = []
    for length in lengths:
        weights = chooser.choice([(4, 5, 2, 1), (9, 2, 1, 0), (1, 12, 1, 1)])
        threads.append(tuple(chooser.choice(chooser.choices(kinds, weights)[0]) for _ in range(length)))
    return threads


def design(threads):
    """The threads as operations thread0, ...; every step is in the design, so that all designs compile as one."""
    programs = {"every": Program(*MEANING), **{f"thread{i}": Program(*steps) for i, steps in enumerate(threads)}}
    return Design(name="drawn", year=2004, source="tests", summary="a drawn program", programs=programs)


def workload(threads):
    return Workload.parse(" | ".join(f"thread{i}" for i in range(len(threads))))


def ends(threads, memory):
    """Every end of the threads under sc, tso or pso: (words x and y, as their halves; what each thread saw)."""
    programs = [[MEANING[f] for f in steps] for steps in threads]
    first = (((0, 0), (0, 0)), tuple((0, 0, ()) for _ in threads))
    known, queue, found = {first}, [first], set()
    while queue:
        state = queue.pop()
        following = list(_following(programs, state, memory))
        if not following:
            words, cpus = state
            assert all(at == len(p) and not buffer for (at, _, buffer), p in zip(cpus, programs, strict=True))
            found.add((words, tuple(saw for _, saw, _ in cpus)))
        for after in following:
            if after not in known:
                known.add(after)
                queue.append(after)
    return found


def _stored(words, word, parts):
    number = "xy".index(word)
    halves = list(words[number])
    for half, value in parts:
        halves[half] = value
    return tuple(tuple(halves) if i == number else words[i] for i in range(2))


def _parts(halves, value):
    """The halves that a store writes, and their values."""
    return tuple((half, (value >> 32 if half and len(halves) == 2 else value) & 0xFFFFFFFF) for half in halves)


def _following(programs, state, memory):
    words, cpus = state
    for cpu, (at, saw, buffer) in enumerate(cpus):

        def after(words, at, saw, buffer, cpu=cpu):
            while buffer and buffer[0] == "barrier":
                buffer = buffer[1:]
            return words, tuple((at, saw, buffer) if i == cpu else c for i, c in enumerate(cpus))

        for i, entry in enumerate(buffer):
            if memory == "tso" and i > 0:
                break
            if entry == "barrier":
                break
            touched = {(entry[0], half) for half, _ in entry[1]}
            if not any(touched & {(w, half) for half, _ in parts} for w, parts in buffer[:i]):
                yield after(_stored(words, *entry), at, saw, buffer[:i] + buffer[i + 1 :])
        if at < len(programs[cpu]):
            operation, word, halves, value = programs[cpu][at]
            if operation == "rmb" or (operation == "wmb" and memory != "pso"):
                yield after(words, at + 1, saw, buffer)
            elif operation == "wmb":
                yield after(words, at + 1, saw, (*buffer, "barrier"))
            elif operation == "mb":
                if not buffer:
                    yield after(words, at + 1, saw, buffer)
            elif operation == "read":
                own = [dict(parts) for w, parts in (e for e in buffer if e != "barrier") if w == word]
                newest = next((parts for parts in reversed(own) if parts.keys() & set(halves)), None)
                if newest is None:
                    newest = dict(enumerate(words["xy".index(word)]))
                if newest.keys() >= set(halves):
                    yield after(words, at + 1, saw * 16 + _two_bits({h: newest[h] for h in halves}), buffer)
            elif operation in ("write", "plain", "release"):
                entry = (word, _parts(halves, value))
                if memory == "sc":
                    yield after(_stored(words, *entry), at + 1, saw, buffer)
                else:
                    marks = ("barrier",) if operation == "release" and memory == "pso" else ()
                    yield after(words, at + 1, saw, (*buffer, *marks, entry))
            elif not buffer:
                old = words["xy".index(word)]
                new = _changed(operation, old, halves, value)
                seen_now = saw * 16 + _two_bits({h: old[h] for h in halves})
                yield after(_stored(words, word, new), at + 1, seen_now, buffer)


def _two_bits(parts):
    return (parts.get(0, 0) & 3) + 4 * (parts.get(1, 0) & 3)


def _changed(operation, old, halves, value):
    """The parts that an atomic operation stores."""
    whole = old[0] + old[1] * HIGH
    if operation == "exchange":
        return _parts(halves, value)
    if operation == "compare":
        return _parts(halves, value) if whole == 0 else ()
    if len(halves) == 1:
        return ((halves[0], (old[halves[0]] + value) % HIGH),)
    return _parts(halves, (whole + value) % HIGH**2)
