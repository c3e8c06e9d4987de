"""The compiled loops: one thread serving requests from a pipe, holding no interpreter lock.

While it waits in read(2) a thread is at rest: nothing of it runs, so nothing of it can fault. All memory
that it needs is allocated before it starts. Importing this module imports numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

from stress.compiling import random_numbers
from stress.compiling.disk_cache import njit_kept
from stress.live.load import libc
from stress.live.load.libc import as_bytes, errno_location
from stress.live.load.request import (
    ANON,
    ANON_SHARED,
    CHURN,
    CLEAN,
    COW,
    CUT,
    DISCARD,
    EXIT,
    FILE,
    FILE_SHARED,
    FORK,
    MAP,
    MOVE,
    PIN,
    PREPARE,
    PROTECT,
    REAP,
    RELEASE,
    RUN,
    SHMEM,
    TOUCH,
    UNMAP,
    USAGE,
    WHERE,
)

Function = TypeVar("Function", bound=Callable[..., Any])

PROT_NONE, PROT_READ, PROT_RW = 0, 1, 3
MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS, MAP_NORESERVE = 1, 2, 0x10, 0x20, 0x4000
MADV_RANDOM, MADV_DONTNEED = 1, 4
MREMAP_MAYMOVE, MREMAP_FIXED = 1, 2
PR_SET_PDEATHSIG, SIGKILL = 1, 9
CLOCK_MONOTONIC, RUSAGE_SELF, RUSAGE_THREAD = 1, 0, 1

# Words of a thread's own state.
CMD, DONE, SLOTS, SLOT_BYTES, PAGE, FILE_FD, TMPFS_FD, ARENA, IS_CHILD = range(9)
BENCH_AT, BENCH_PAGES, BENCH_CHILD, RANDOM = range(9, 13)
STATE_WORDS = 13


def compiled(function: Function) -> Function:
    """Compile a function that holds no interpreter lock; the machine code is kept on disk."""
    return cast("Function", njit_kept(function, nogil=True))


next_number, number_below = compiled(random_numbers.rand), compiled(random_numbers.draw)


@compiled
def failed() -> int:
    """Return the negative errno of the call that just failed."""
    return -int(errno_location()[0])


@compiled
def map_area(state: Any, kind: int, size: int, address: int, offset: int) -> int:
    """Map `size` bytes of a kind, at `address` unless that is 0; the address, or a negative errno."""
    if kind in (ANON, COW):
        flags, fd = MAP_PRIVATE | MAP_ANONYMOUS, -1
    elif kind == ANON_SHARED:
        flags, fd = MAP_SHARED | MAP_ANONYMOUS, -1
    elif kind == SHMEM:
        flags, fd = MAP_SHARED, state[TMPFS_FD]
    elif kind == FILE:
        flags, fd = MAP_PRIVATE, state[FILE_FD]
    else:
        flags, fd = MAP_SHARED, state[FILE_FD]
    if address != 0:
        flags |= MAP_FIXED
    at: int = libc.mmap(address, size, PROT_RW, flags, fd, offset)
    if at == -1:
        return failed()
    if kind in (FILE, FILE_SHARED):
        # No readahead: only the pages that are touched shall be in the page cache.
        libc.madvise(at, size, MADV_RANDOM)
    return at


@compiled
def touch(at: int, first: int, count: int, step: int, write: int) -> int:
    """Write to, or read from, one byte of each of `count` pages that lie `step` bytes apart."""
    memory = as_bytes(at)
    total = np.int64(0)
    if write:
        for i in range(first, first + count):
            memory[i * step] = 1
    else:
        for i in range(first, first + count):
            total += memory[i * step]
    return int(total)


@compiled
def discard(at: int, first: int, count: int, step: int, page: int) -> int:
    """Perform MADV_DONTNEED on `count` pages that lie `step` bytes apart; return 0 or a negative errno."""
    if step == page:
        return failed() if libc.madvise(at + first * page, count * page, MADV_DONTNEED) else 0
    for i in range(first, first + count):
        if libc.madvise(at + i * step, page, MADV_DONTNEED):
            return failed()
    return 0


@compiled
def cut(at: int, first: int, count: int, step: int, page: int) -> int:
    """Unmap each of `count` pages that lie `step` bytes apart; return 0 or a negative errno."""
    for i in range(first, first + count):
        if libc.munmap(at + i * step, page):
            return failed()
    return 0


@compiled
def protect(at: int, first: int, count: int, step: int, page: int) -> int:
    """Let each of `count` pages that lie `step` bytes apart be read alone; return 0 or a negative errno."""
    for i in range(first, first + count):
        if libc.mprotect(at + i * step, page, PROT_READ):
            return failed()
    return 0


@compiled
def move(at: int, old: int, new: int, step: int, page: int) -> int:
    """Move one page to the place of another, which is unmapped; return 0 or a negative errno."""
    moved = libc.mremap(at + old * step, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, at + new * step)
    return failed() if moved == -1 else 0


@compiled
def pin(cpu: int, cpus: Any, mask: Any) -> int:
    """Let the calling thread run on one CPU, or on all of `cpus` (int64[n]) when `cpu` is -1."""
    mask[:] = 0
    for allowed in cpus:
        if cpu in (-1, allowed):
            mask[allowed >> 6] |= np.uint64(1) << np.uint64(allowed & 63)
    return failed() if libc.sched_setaffinity(0, mask.nbytes, mask.ctypes.data) else 0


@compiled
def draw(state: Any, below: int) -> int:
    """Return a random number in [0, below)."""
    state[RANDOM] = next_number(state[RANDOM])
    return number_below(state[RANDOM], below)


@compiled
def fork_and_copy(state: Any, at: int, first: int, count: int) -> int:
    """Fork a child that writes to some pages and ends; write to them too meanwhile: both copy."""
    pid = libc.fork()
    if pid < 0:
        return failed()
    if pid == 0:
        touch(at, first, min(count, 8), state[PAGE], 1)
        libc.exit_now(0)
    touch(at, first, count, state[PAGE], 1)
    libc.waitpid(pid, 0, 0)
    return 0


@compiled
def churn_once(state: Any, where: Any, pages: Any, cpus: Any, mask: Any, tally: Any) -> int:  # noqa: PLR0917
    """Return one random operation on a random slot; 0 or a negative errno."""
    page = state[PAGE]
    most = state[SLOT_BYTES] // page
    dice = draw(state, 1000)
    if dice < 150:
        tally[1] += 1
        return pin(cpus[draw(state, cpus.size)], cpus, mask)
    slot = draw(state, state[SLOTS])
    if where[slot] == 0:
        kind = draw(state, 5)
        # A shared anonymous object never grows: give it all at once, so that mremap stays inside of it.
        pages[slot] = most if kind == ANON_SHARED else 1 + draw(state, most)
        at = map_area(state, kind, pages[slot] * page, 0, 0)
        if at < 0:
            return at
        where[slot] = at
    at, have = where[slot], pages[slot]
    first = draw(state, have)
    count = min(1 + draw(state, 40), have - first)
    if dice < 500:
        touch(at, first, count, page, 1)
    elif dice < 650:
        touch(at, first, count, page, 0)
    elif dice < 820:
        return discard(at, first, count, page, page)
    elif dice < 920:
        where[slot] = 0
        return failed() if libc.munmap(at, have * page) else 0
    elif dice < 997:
        size = 1 + draw(state, most)
        moved = libc.mremap(at, have * page, size * page, MREMAP_MAYMOVE, 0)
        if moved == -1:
            return failed()
        where[slot], pages[slot] = moved, size
    else:
        tally[0] += 1
        return fork_and_copy(state, at, first, count)
    return 0


@compiled
def prepare(state: Any, kind: int, pages: int, index: int) -> int:
    """Map what RUN faults on: fresh pages, pages shared with a child (COW), or pages in the page cache."""
    size = pages * state[PAGE]
    at = map_area(state, kind, size, 0, index * size)
    if at < 0:
        return at
    state[BENCH_CHILD] = 0
    if kind == COW:
        touch(at, 0, pages, state[PAGE], 1)
        parent = libc.getpid()
        pid = libc.fork()
        if pid < 0:
            return failed()
        if pid == 0:
            libc.prctl(PR_SET_PDEATHSIG, SIGKILL)
            while libc.getppid() == parent:
                libc.pause()
            libc.exit_now(0)
        state[BENCH_CHILD] = pid
    elif kind != ANON:
        touch(at, 0, pages, state[PAGE], 1)
        libc.munmap(at, size)
        at = map_area(state, kind, size, 0, index * size)
    state[BENCH_AT], state[BENCH_PAGES] = at, pages
    return 0 if at > 0 else at


@compiled
def clean(state: Any) -> int:
    """Unmap what was prepared and end the child that shared it."""
    if state[BENCH_CHILD]:
        libc.kill(state[BENCH_CHILD], SIGKILL)
        libc.waitpid(state[BENCH_CHILD], 0, 0)
        state[BENCH_CHILD] = 0
    return failed() if libc.munmap(state[BENCH_AT], state[BENCH_PAGES] * state[PAGE]) else 0


@compiled
def run(state: Any, clock: Any, usage: Any, reply: Any) -> int:
    """Write to every prepared page, timed; the figures go to `reply`."""
    libc.getrusage(RUSAGE_THREAD, usage[0].ctypes.data)
    libc.clock_gettime(CLOCK_MONOTONIC, clock.ctypes.data)
    reply[1] = clock[0] * 1000000000 + clock[1]
    touch(state[BENCH_AT], 0, state[BENCH_PAGES], state[PAGE], 1)
    libc.clock_gettime(CLOCK_MONOTONIC, clock.ctypes.data)
    libc.getrusage(RUSAGE_THREAD, usage[1].ctypes.data)
    reply[2] = clock[0] * 1000000000 + clock[1]
    spent = usage[1] - usage[0]
    reply[3] = spent[0] * 1000000 + spent[1]
    reply[4] = spent[2] * 1000000 + spent[3]
    reply[5], reply[6] = spent[8], spent[9]
    return 0


@compiled
def serve(state: Any, where: Any, pages: Any, cpus: Any, mask: Any, usage: Any, words: Any) -> int:  # noqa: PLR0917
    """Serve requests until the other end of the pipe is closed.

    state: int64[STATE_WORDS]; where, pages: int64[slots]; cpus: int64[n]; mask: uint64[m], one bit a CPU;
    usage: int64[2, 18], room for two struct rusage; words: int64[4, 8]: request, reply, clock, tally.
    Returns the number of requests served.
    """
    request, reply, clock, tally = words[0], words[1], words[2], words[3]
    served = 0
    while libc.read(state[CMD], request.ctypes.data, request.nbytes) == request.nbytes:
        op, slot = request[0], request[1]
        reply[:] = 0
        if op == MAP:
            address = state[ARENA] + slot * 2 * state[SLOT_BYTES] if request[4] else 0
            where[slot] = map_area(state, request[2], request[3], address, 0)
            pages[slot] = request[3] // state[PAGE]
            reply[0], reply[1] = min(0, where[slot]), where[slot]
        elif op == TOUCH:
            reply[1] = touch(where[slot], request[2], request[3], request[4], request[5])
        elif op == DISCARD:
            reply[0] = discard(where[slot], request[2], request[3], request[4], state[PAGE])
        elif op == CUT:
            reply[0] = cut(where[slot], request[2], request[3], request[4], state[PAGE])
        elif op == PROTECT:
            reply[0] = protect(where[slot], request[2], request[3], request[4], state[PAGE])
        elif op == MOVE:
            reply[0] = move(where[slot], request[2], request[3], request[4], state[PAGE])
        elif op == UNMAP:
            reply[0] = failed() if where[slot] and libc.munmap(where[slot], pages[slot] * state[PAGE]) else 0
            where[slot] = 0
        elif op == PIN:
            reply[0] = pin(request[1], cpus, mask)
        elif op == FORK:
            pid = libc.fork()
            if pid == 0:
                state[CMD], state[DONE], state[IS_CHILD] = request[1], request[2], 1
                continue
            reply[0] = 0 if pid > 0 else failed()
            reply[1] = pid
        elif op == REAP:
            reply[0] = failed() if libc.waitpid(request[1], 0, 0) < 0 else 0
        elif op == EXIT:
            break
        elif op == CHURN:
            state[RANDOM] = request[1]
            tally[:] = 0
            for _ in range(request[2]):
                reply[0] = churn_once(state, where, pages, cpus, mask, tally)
                if reply[0]:
                    break
            reply[1], reply[2] = tally[0], tally[1]
        elif op == PREPARE:
            reply[0] = prepare(state, request[1], request[2], request[3])
        elif op == RUN:
            reply[0] = run(state, clock, usage, reply)
        elif op == CLEAN:
            reply[0] = clean(state)
        elif op == RELEASE:
            reply[0] = failed() if libc.munmap(request[1], request[2]) else 0
        elif op == USAGE:
            reply[0] = failed() if libc.getrusage(RUSAGE_SELF, usage[0].ctypes.data) else 0
            reply[1] = usage[0][4]
        elif op == WHERE:
            if state[ARENA] == 0:
                # Twice the room, so that two areas never touch: neighbours of one kind would become one.
                state[ARENA] = libc.mmap(
                    0,
                    state[SLOTS] * 2 * state[SLOT_BYTES],
                    PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1,
                    0,
                )
                reply[0] = failed() if state[ARENA] == -1 else 0
            reply[1], reply[2] = state[ARENA], 2 * state[SLOT_BYTES]
        if libc.write(state[DONE], reply.ctypes.data, reply.nbytes) != reply.nbytes:
            break
        served += 1
    if state[IS_CHILD]:
        libc.exit_now(0)
    return served
