"""Atomic operations on the 64-bit words of a segment, and on the 32-bit halves of a word.

What stands here is plain Python: it is what the operations mean, and it serves engines that take one
step at a time, where nothing runs concurrently. Import `shm_layout.lowering` and the same functions,
called from code that Numba compiles, become single machine instructions on shared memory.

`m` is anything that an int indexes and that holds signed 64-bit words: an int64 array, a list, or an
object of the caller's own. `i` is the number of a word, from 0; it is not checked, and must not be
negative. Values are taken modulo 2**64 (modulo 2**32 for a half). A word is returned as a signed int, a
half as an unsigned one (0 to 2**32 - 1).

`h` names a half: 0 for the low 32 bits, 1 for the high 32 bits. Halves are what a PAE kernel has for
plain accesses to a 64-bit pte; the whole-word operations stand for its `cmpxchg8b` family.

The memory orders named below are those of C11, and hold for compiled code. On x86 every locked
instruction is a full barrier and every plain load and store already has acquire and release order.
"""

from __future__ import annotations

import os

from shm_layout.noting import noted
from shm_layout.record import (
    COMPARE,
    FULL_BARRIER,
    READ,
    READ_WRITE,
    RELEASE,
    WHOLE,
    WRITE,
    WRITE_BARRIER,
)
from shm_layout.words import Words

_LOW = 0xFFFF_FFFF
_SIGN = 1 << 63


def _signed(v: int) -> int:
    """Return `v` modulo 2**64 as a signed 64-bit value, which is how the words are kept."""
    return ((int(v) + _SIGN) & (2 * _SIGN - 1)) - _SIGN


def read_once(m: Words, i: int) -> int:
    """Return word `i`. Order: relaxed, as the kernel's READ_ONCE: whole, but ordered with nothing else."""
    m = noted(m, i, READ)
    return int(m[i])


def write_once(m: Words, i: int, v: int) -> None:
    """Set word `i` to `v`. Order: relaxed, as the kernel's WRITE_ONCE."""
    m = noted(m, i, WRITE, WHOLE, _signed(v))
    m[i] = _signed(v)


def load(m: Words, i: int) -> int:
    """Return word `i`. Order: acquire; nothing after it is done before it."""
    m = noted(m, i, READ)
    return int(m[i])


def store(m: Words, i: int, v: int) -> None:
    """Set word `i` to `v`. Order: release; nothing before it is done after it."""
    m = noted(m, i, RELEASE, WHOLE, _signed(v))
    m[i] = _signed(v)


smp_load_acquire, smp_store_release = load, store
"""The kernel's names of `load` and `store`. Those of READ_ONCE and WRITE_ONCE are `read_once` and `write_once`."""


def xchg(m: Words, i: int, v: int) -> int:
    """Set word `i` to `v` and return what it held. Order: sequentially consistent."""
    m = noted(m, i, READ_WRITE)
    old = int(m[i])
    m[i] = _signed(v)
    return old


def cmpxchg(m: Words, i: int, old: int, new: int) -> int:
    """Set word `i` to `new` if it holds `old`; return what it held, which is `old` if and only if it was set.

    Order: sequentially consistent, whether it was set or not.
    """
    m = noted(m, i, COMPARE)
    found = int(m[i])
    if found == _signed(old):
        m[i] = _signed(new)
    return found


def fetch_add(m: Words, i: int, v: int) -> int:
    """Add `v` to word `i`, modulo 2**64, and return what it held before. Order: sequentially consistent."""
    m = noted(m, i, READ_WRITE)
    old = int(m[i])
    m[i] = _signed(old + int(v))
    return old


def fetch_or(m: Words, i: int, v: int) -> int:
    """Set in word `i` the bits of `v` and return what it held before. Order: sequentially consistent."""
    m = noted(m, i, READ_WRITE)
    old = int(m[i])
    m[i] = _signed(old | _signed(v))
    return old


def fetch_and(m: Words, i: int, v: int) -> int:
    """Clear in word `i` the bits not in `v` and return what it held. Order: sequentially consistent."""
    m = noted(m, i, READ_WRITE)
    old = int(m[i])
    m[i] = _signed(old & _signed(v))
    return old


def _half_of(word: int, h: int) -> int:
    return (word >> (32 * h)) & _LOW


def _with_half(word: int, h: int, v: int) -> int:
    shift = 32 * h
    return _signed((word & ~(_LOW << shift)) | ((int(v) & _LOW) << shift))


def read_half(m: Words, i: int, h: int) -> int:
    """Return half `h` of word `i`. Order: relaxed. The other half is not part of the access."""
    m = noted(m, i, READ, h + 1)
    return _half_of(int(m[i]), h)


def write_half(m: Words, i: int, h: int, v: int) -> None:
    """Set half `h` of word `i` to `v`. Order: relaxed. The other half is left as it is."""
    m = noted(m, i, WRITE, h + 1, int(v) & _LOW)
    m[i] = _with_half(int(m[i]), h, v)


def load_half(m: Words, i: int, h: int) -> int:
    """Return half `h` of word `i`. Order: acquire; nothing after it is done before it."""
    m = noted(m, i, READ, h + 1)
    return _half_of(int(m[i]), h)


def store_half(m: Words, i: int, h: int, v: int) -> None:
    """Set half `h` of word `i` to `v`. Order: release; nothing before it is done after it."""
    m = noted(m, i, RELEASE, h + 1, int(v) & _LOW)
    m[i] = _with_half(int(m[i]), h, v)


def xchg_half(m: Words, i: int, h: int, v: int) -> int:
    """Set half `h` of word `i` to `v` and return what it held. Order: sequentially consistent."""
    m = noted(m, i, READ_WRITE, h + 1)
    word = int(m[i])
    m[i] = _with_half(word, h, v)
    return _half_of(word, h)


def cmpxchg_half(m: Words, i: int, h: int, old: int, new: int) -> int:
    """Set half `h` of word `i` to `new` if it holds `old`; return what it held.

    `old` and `new` are compared and written modulo 2**32: this is the compare that V12 used on PAE.
    Order: sequentially consistent, whether it was set or not.
    """
    m = noted(m, i, COMPARE, h + 1)
    word = int(m[i])
    found = _half_of(word, h)
    if found == int(old) & _LOW:
        m[i] = _with_half(word, h, new)
    return found


def fetch_add_half(m: Words, i: int, h: int, v: int) -> int:
    """Add `v` to half `h` of word `i`, modulo 2**32, and return what the half held before. No carry leaves the half.

    Order: sequentially consistent.
    """
    m = noted(m, i, READ_WRITE, h + 1)
    word = int(m[i])
    before = _half_of(word, h)
    m[i] = _with_half(word, h, before + int(v))
    return before


def and_half(m: Words, i: int, h: int, mask: int) -> int:
    """Clear in half `h` of word `i` all bits not in `mask` (32 bits); return what the half held before.

    Order: sequentially consistent: the locked 32-bit `and` of the kernel's clear_bit.
    """
    m = noted(m, i, READ_WRITE, h + 1)
    word = int(m[i])
    before = _half_of(word, h)
    m[i] = _with_half(word, h, before & int(mask))
    return before


def smp_mb(m: Words) -> None:
    """Order all accesses to ``m`` before it against all after it. Order: sequentially consistent."""
    noted(m, 0, FULL_BARRIER)


def smp_wmb(m: Words) -> None:
    """Order all stores to ``m`` before it against all stores after it."""
    noted(m, 0, WRITE_BARRIER)


def smp_rmb(m: Words) -> None:
    """Order all loads from ``m`` before it against all loads after it."""


def fence() -> None:
    """Order all before it against all after it, as `smp_mb`, which says of which memory. For workers, and under sc.

    The explorer does not see it: under a weaker memory model a step that calls it is refused.
    """


def cpu_relax() -> None:
    """Tell the CPU that this is a spinning wait: `pause` on x86, nothing elsewhere. Orders nothing."""


def sched_yield() -> None:
    """Give the CPU to another process that waits for it (sched_yield(2)). Orders nothing."""
    os.sched_yield()
