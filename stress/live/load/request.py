"""What can be asked of a worker thread: eight int64 down its request pipe, eight int64 back.

The first word of a request is one of these numbers; the first word of a reply is 0 or a negative errno.
`step` is the distance in bytes between the pages that an area uses. No numba here: both sides read it.
"""

from __future__ import annotations

import os
import sys

WORDS = 8

MAP = 1
"""slot, kind, bytes, at an address of the arena (1) or anywhere (0); reply: the address."""
TOUCH = 2
"""slot, first, count, step, write (1) or read (0)."""
DISCARD = 3
"""slot, first, count, step: MADV_DONTNEED."""
UNMAP = 4
"""slot; nothing where none is mapped."""
PIN = 5
"""CPU number; -1 for every CPU that is allowed."""
FORK = 6
"""request fd, reply fd of the child, which goes on serving them; reply: its pid."""
REAP = 7
"""pid: wait for a child."""
EXIT = 8
"""End a forked child; no reply."""
CHURN = 9
"""seed, number of operations; reply: how many of them forked, how many hopped."""
PREPARE = 10
"""kind, pages, index of the worker: map (and for COW fill and fork) what RUN will fault on."""
RUN = 11
"""Write to every prepared page; reply: start ns, end ns, user us, system us, minor faults, major faults."""
CLEAN = 12
"""Unmap what was prepared."""
WHERE = 13
"""Reply: address of the arena, bytes between its slots."""
USAGE = 14
"""Reply: ru_maxrss of the process, in KiB."""
RELEASE = 15
"""address, bytes: unmap what MAP has mapped in a slot that it has used for something else since."""
CUT = 16
"""slot, first, count, step: munmap of single pages."""
PROTECT = 17
"""slot, first, count, step: mprotect(PROT_READ) of single pages."""
MOVE = 18
"""slot, page, page that it goes to, step: mremap(MREMAP_FIXED) of one page."""

ANON, FILE, SHMEM, FILE_SHARED, ANON_SHARED = range(5)
"""Kinds of mapping: private anonymous, private file, shared tmpfs file, shared file, shared anonymous."""
COW = 5
"""Kind for PREPARE: private anonymous pages that a forked child shares."""


def pack(*words: int) -> bytes:
    """Return a request: its words, filled up with zeros."""
    return b"".join(word.to_bytes(8, sys.byteorder, signed=True) for word in words).ljust(WORDS * 8, b"\0")


def unpack(reply: bytes) -> list[int]:
    """Return the words of a reply."""
    return [int.from_bytes(reply[at : at + 8], sys.byteorder, signed=True) for at in range(0, len(reply), 8)]


def describe(error: int) -> str:
    """Return what a negative errno in a reply means."""
    return os.strerror(-error)
