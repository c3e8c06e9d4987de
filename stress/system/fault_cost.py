"""What a page fault costs on the running kernel besides the page that it clears, and what clearing a page costs."""

from __future__ import annotations

import ctypes
import mmap
import os
from statistics import median
from time import perf_counter_ns

POOL = 128 << 20
"""Bytes that are cleared to measure it: more than a core's own caches."""
CHUNK = 1 << 20
"""Bytes that are timed at once: short beside the turns that other processes take."""
FAULTED = 64
"""Chunks that are faulted in."""


def _private(length: int) -> mmap.mmap:
    made = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    made.madvise(mmap.MADV_NOHUGEPAGE)
    return made


def _address(memory: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def _set_ns(at: int, value: int, length: int = CHUNK) -> int:
    began = perf_counter_ns()
    ctypes.memset(at, value, length)
    return perf_counter_ns() - began


def clear_ns(page_bytes: int = 4096, pool: int = POOL) -> float:
    """Nanoseconds to clear a page, in the middle of all chunks of a pool of ``pool`` bytes that is mapped already."""
    memory = _private(pool)
    at = _address(memory)
    ctypes.memset(at, 1, pool)
    chunk = min(CHUNK, pool)
    found = [_set_ns(at + place, 0, chunk) for place in range(0, pool - chunk + 1, chunk)]
    return median(found) * page_bytes / chunk


def trap_ns() -> float:
    """Nanoseconds of an anonymous write fault of this kernel without clearing its page: entry, accounting, exit.

    The time to write to fresh memory, less that of writing to it again and of clearing it once; of all chunks the lower
    quarter, since other processes disturb the others.
    """
    memory, size = _private(CHUNK), os.sysconf("SC_PAGE_SIZE")
    at, found = _address(memory), []
    for _ in range(FAULTED):
        memory.madvise(mmap.MADV_DONTNEED)
        first, again = _set_ns(at, 1), _set_ns(at, 2)
        found.append((first - 2 * again) * size / CHUNK)
    return max(sorted(found)[len(found) // 4], 0.0)
