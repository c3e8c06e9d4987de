"""The buffers of stores that CPUs have under memory models weaker than sc.

A store waits in the buffer of its CPU until it is *drained*, which is a transition of its own. The buffers lie in the
memory after all structures, so that a state holds them as it holds everything else: for each CPU room for `P_ENTRIES`
stores, oldest first, two words for each: the place (which word, which half, flags) and the value. Free room is 0.

Steps are not written for this. Before a CPU takes a step its own stores are put over the memory (`put_over`), so that
it sees them as a CPU does that forwards from its buffer; the step is taken on that, and its accesses are recorded
(`shm_layout.record`). Then the record says what the step may do (`first_buffered`): a read-modify-write, a full
barrier and a load that a buffered store covers in part wait until the buffer is empty. Its stores are taken back out of
the memory and put into the buffer (`buffer_stores`), and the older ones are taken off it again (`take_off`).

Shadows (`shm_layout.structs.SHADOWS`) stand for nothing that a CPU stores. They are drained with the store of the step
that keeps them, or are changed at once if it makes none.
"""

# Compiled functions have no objects to keep their arrays in.
# ruff: noqa: PLR0917

from __future__ import annotations

from shm_layout.atomic import write_half
from shm_layout.record import (
    COMPARE,
    COUNT,
    ENTRIES,
    ENTRY,
    FAULT,
    FULL_BARRIER,
    KIND,
    KIND_BITS,
    MOST,
    READ,
    READ_WRITE,
    RELEASE,
    WHOLE,
    WRITE,
    WRITE_BARRIER,
)
from shm_layout.words import Words
from stress.explore.model.accesses import TOO_MANY, is_shadow, same_place
from stress.explore.model.image import P_BUFFERS, P_CPUS, P_ENTRIES, P_FULL, P_LEFT, P_MEMORY, P_RECORD, P_VIEW
from stress.explore.model.primitives import window
from stress.memory_model import PSO, TSO
from stress.step import helper

PLACE, VALUE = range(2)
ENTRY_OF_BUFFER = 2
"""Words of a store in a buffer."""

HALF = 3
"""Bits of a place: `shm_layout.record.WHOLE` or a half."""
BARRIER = 4
"""Bit of a place: what is after it may leave the buffer only when it and all before it have."""
SHADOW = 8
"""Bit of a place: a shadow, drained with the first store after it that is none."""
INDEX_SHIFT, INDEX = 8, (1 << 24) - 1
"""Where the index of the word lies in a place."""
DONE_SHIFT = 32
"""Above these bits: how many operations the CPU had finished when it stored, where reads are judged."""

MUST_WAIT = -1
"""In the place of the number of a step's first buffered access: the step must wait."""


@helper
def buffer_of(p: Words, m: Words, cpu: int) -> Words:
    """Return the words of the buffer of a CPU."""
    return window(m, p[P_BUFFERS] + cpu * ENTRY_OF_BUFFER * p[P_ENTRIES])


@helper
def buffered(p: Words, m: Words, cpu: int) -> int:
    """Return how many stores the buffer of a CPU holds."""
    buffer = buffer_of(p, m, cpu)
    count = 0
    while count < p[P_ENTRIES] and buffer[ENTRY_OF_BUFFER * count + PLACE] != 0:
        count += 1
    return count


@helper
def all_empty(p: Words, m: Words) -> bool:
    """Return whether no CPU has a store in its buffer."""
    places = 0
    if p[P_ENTRIES] != 0:
        for cpu in range(p[P_CPUS]):
            places |= m[p[P_BUFFERS] + cpu * ENTRY_OF_BUFFER * p[P_ENTRIES] + PLACE]
    return places == 0


@helper
def index_of(place: int) -> int:
    """Return the index of the word that a place names."""
    return (place >> INDEX_SHIFT) & INDEX


@helper
def operation_of(place: int) -> int:
    """Return how many operations the CPU had finished when it made the store of this place."""
    return place >> DONE_SHIFT


@helper
def overlap(place: int, index: int, half: int) -> bool:
    """Return whether a place shares bits with this half of a word, or with the whole of it."""
    return index_of(place) == index and same_place((place & HALF) << KIND_BITS, half << KIND_BITS)


@helper
def apply(m: Words, place: int, value: int) -> None:
    """Make a store in the memory."""
    half = place & HALF
    if half == WHOLE:
        m[index_of(place)] = value
    else:
        write_half(m, index_of(place), half - 1, value)


# taking a step on the memory as its CPU sees it


@helper
def put_over(p: Words, m: Words, cpu: int, count: int) -> None:
    """Put the ``count`` buffered stores of a CPU over the memory, and keep what was there."""
    buffer = buffer_of(p, m, cpu)
    for i in range(count):
        place = buffer[ENTRY_OF_BUFFER * i + PLACE]
        p[p[P_VIEW] + i] = m[index_of(place)]
        apply(m, place, buffer[ENTRY_OF_BUFFER * i + VALUE])


@helper
def take_off(p: Words, m: Words, cpu: int, count: int) -> None:
    """Undo `put_over`."""
    buffer = buffer_of(p, m, cpu)
    for back in range(count):
        i = count - 1 - back
        m[index_of(buffer[ENTRY_OF_BUFFER * i + PLACE])] = p[p[P_VIEW] + i]


@helper
def covered_in_part(p: Words, m: Words, cpu: int, count: int, index: int, half: int) -> bool:
    """Return whether the newest buffered store leaves out a part of what a load reads: it cannot be forwarded."""
    buffer = buffer_of(p, m, cpu)
    for back in range(count):
        place = buffer[ENTRY_OF_BUFFER * (count - 1 - back) + PLACE]
        if overlap(place, index, half):
            return (place & HALF) not in (WHOLE, half)
    return False


@helper
def covered_by_itself(record: Words, number: int, first: int) -> bool:
    """Return whether access ``number`` of a step reads a word of which it has stored a part, as access ``first`` on."""
    index = record[ENTRIES + ENTRY * number]
    half = record[ENTRIES + ENTRY * number + 1] >> KIND_BITS
    for back in range(number - first):
        entry = ENTRIES + ENTRY * (number - 1 - back)
        kind = record[entry + 1]
        stores = (kind & KIND) in (WRITE, RELEASE) and record[entry] == index
        if stores and same_place(kind, half << KIND_BITS):
            return (kind >> KIND_BITS) not in (WHOLE, half)
    return False


@helper
def stores_from(p: Words, first: int) -> int:
    """Return how many stores the step just taken made as access ``first`` and later; 0 for shadows alone."""
    record = window(p, p[P_RECORD])
    stores = 0
    shadows = 0
    for i in range(first, record[COUNT]):
        if (record[ENTRIES + ENTRY * i + 1] & KIND) in (WRITE, RELEASE):
            if is_shadow(p, record[ENTRIES + ENTRY * i]):
                shadows += 1
            else:
                stores += 1
    return stores + shadows if stores != 0 else 0


@helper
def first_buffered(p: Words, m: Words, cpu: int, count: int) -> int:
    """Return the number of the first access of the step just taken whose stores go into the buffer, or `MUST_WAIT`.

    What comes before it acts on the memory: up to the last access that finds the buffer empty. ``count``: stores that
    the buffer held before.
    """
    record = window(p, p[P_RECORD])
    accesses = record[COUNT]
    if accesses > MOST:
        if record[FAULT] == 0:
            record[FAULT] = TOO_MANY
        return MUST_WAIT
    first = 0
    for i in range(accesses):
        kind = record[ENTRIES + ENTRY * i + 1]
        if (kind & KIND) in (READ_WRITE, COMPARE, FULL_BARRIER):
            first = i + 1
        elif (kind & KIND) == READ:
            if covered_by_itself(record, i, first):
                first = i + 1
            elif covered_in_part(p, m, cpu, count, record[ENTRIES + ENTRY * i], kind >> KIND_BITS):
                return MUST_WAIT
    if first != 0 and count != 0:
        return MUST_WAIT
    if count + stores_from(p, first) > p[P_ENTRIES]:
        p[P_FULL] = 1
        if count != 0:
            return MUST_WAIT
        first = accesses  # more than any buffer holds: they are made at once
    return first


@helper
def take_back(p: Words, m: Words, first: int) -> None:
    """Undo what the step just taken stored as access ``first`` and later."""
    record = window(p, p[P_RECORD])
    accesses = min(record[COUNT], MOST)
    for back in range(accesses - first):
        entry = ENTRIES + ENTRY * (accesses - 1 - back)
        if (record[entry + 1] & KIND) not in (READ, FULL_BARRIER, WRITE_BARRIER):
            m[record[entry]] = record[entry + 3]


@helper
def mark_barrier(p: Words, m: Words, cpu: int) -> None:
    """Keep what comes later in the buffer of a CPU after all that is in it, where the model does not so anyway."""
    count = buffered(p, m, cpu)
    if p[P_MEMORY] == PSO and count != 0:
        buffer = buffer_of(p, m, cpu)
        newest = ENTRY_OF_BUFFER * (count - 1) + PLACE
        buffer[newest] = buffer[newest] | BARRIER
        p[P_LEFT] = 1


@helper
def put_in(p: Words, m: Words, cpu: int, flags: int, access: int) -> None:
    """Put the store of an access of the step just taken into the buffer of a CPU. ``flags``: of its place."""
    record = window(p, p[P_RECORD])
    entry = ENTRIES + ENTRY * access
    half = record[entry + 1] >> KIND_BITS
    count = buffered(p, m, cpu)
    buffer = buffer_of(p, m, cpu)
    buffer[ENTRY_OF_BUFFER * count + PLACE] = flags | half | record[entry] << INDEX_SHIFT
    buffer[ENTRY_OF_BUFFER * count + VALUE] = record[entry + 2] if half == WHOLE else record[entry + 2] & 0xFFFFFFFF
    p[P_LEFT] = 1


@helper
def buffer_stores(p: Words, m: Words, cpu: int, first: int, done: int) -> None:
    """Put the stores and barriers of the step just taken, from access ``first`` on, into the buffer of a CPU.

    ``done``: operations that the CPU has finished, where that is kept, else 0.
    """
    record = window(p, p[P_RECORD])
    shadows = stores_from(p, first) != 0
    for i in range(first, record[COUNT]):
        index = record[ENTRIES + ENTRY * i]
        kind = record[ENTRIES + ENTRY * i + 1] & KIND
        if kind in (WRITE_BARRIER, RELEASE):
            mark_barrier(p, m, cpu)
        if kind in (WRITE, RELEASE) and not is_shadow(p, index):
            if shadows:
                for k in range(first, record[COUNT]):
                    its_kind = record[ENTRIES + ENTRY * k + 1] & KIND
                    if its_kind in (WRITE, RELEASE) and is_shadow(p, record[ENTRIES + ENTRY * k]):
                        put_in(p, m, cpu, SHADOW | done << DONE_SHIFT, k)
                shadows = False
            put_in(p, m, cpu, done << DONE_SHIFT, i)


# draining


@helper
def shadows_before(buffer: Words, number: int) -> int:
    """Return how many shadows are drained with a store: they stand directly before it."""
    count = 0
    while count < number and (buffer[ENTRY_OF_BUFFER * (number - 1 - count) + PLACE] & SHADOW) != 0:
        count += 1
    return count


@helper
def oldest(p: Words, m: Words, cpu: int) -> int:
    """Return the number of the oldest store of the buffer of a CPU, after its shadows; 0 in an empty one."""
    buffer = buffer_of(p, m, cpu)
    number = 0
    while number + 1 < p[P_ENTRIES] and (buffer[ENTRY_OF_BUFFER * number + PLACE] & SHADOW) != 0:
        number += 1
    return number


@helper
def may_leave(p: Words, m: Words, cpu: int, number: int) -> bool:
    """Return whether store ``number`` of the buffer of a CPU may leave it next."""
    if number >= buffered(p, m, cpu):
        return False
    buffer = buffer_of(p, m, cpu)
    place = buffer[ENTRY_OF_BUFFER * number + PLACE]
    if (place & SHADOW) != 0:
        return False
    before = number - shadows_before(buffer, number)
    if p[P_MEMORY] == TSO:
        return before == 0
    for i in range(before):
        older = buffer[ENTRY_OF_BUFFER * i + PLACE]
        if (older & BARRIER) != 0 or overlap(older, index_of(place), place & HALF):
            return False
    return True


@helper
def leaves_next(p: Words, m: Words, cpu: int, index: int, half: int) -> bool:
    """Return whether a store to this half of a word, or to the whole of it, may leave the buffer of a CPU next."""
    buffer = buffer_of(p, m, cpu)
    for number in range(buffered(p, m, cpu)):
        if overlap(buffer[ENTRY_OF_BUFFER * number + PLACE], index, half) and may_leave(p, m, cpu, number):
            return True
    return False


@helper
def let_out(p: Words, m: Words, cpu: int, number: int) -> int:
    """Drain store ``number`` of the buffer of a CPU, with its shadows; returns its place."""
    buffer = buffer_of(p, m, cpu)
    place = buffer[ENTRY_OF_BUFFER * number + PLACE]
    first = number - shadows_before(buffer, number)
    count = buffered(p, m, cpu)
    for i in range(first, number + 1):
        apply(m, buffer[ENTRY_OF_BUFFER * i + PLACE], buffer[ENTRY_OF_BUFFER * i + VALUE])
    gone = number + 1 - first
    for i in range(first, count):
        for word in range(ENTRY_OF_BUFFER):
            later = ENTRY_OF_BUFFER * (i + gone) + word
            buffer[ENTRY_OF_BUFFER * i + word] = buffer[later] if i + gone < count else 0
    if (place & BARRIER) != 0 and first != 0:
        newest = ENTRY_OF_BUFFER * (first - 1) + PLACE
        buffer[newest] = buffer[newest] | BARRIER
    return place
