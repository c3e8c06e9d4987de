"""Whether a page of a file counts as RssFile or as RssShmem: learned from the kernel, by mapping it.

The kernel asks the page, not the file system (mm_counter_file() in include/linux/mm.h): what an overlay of which the
upper layer is a tmpfs holds counts as shared memory where it was written, and as file where it was not, under one
device. So one page of the file is mapped here often enough to be seen in this process's own /proc/self/status, and
the counter that moves is the answer. Only for a file that cannot be opened does the device decide.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import stat
from functools import cache

from stress.design import percpu_batch
from stress.live.reading.accounting import CACHED_FAULTS
from stress.live.reading.machine import online_cpus, page_size
from stress.live.reading.process import parse_kib, read_file

SHMEM_NAMES = (b"/dev/zero (deleted)", b"/SYSV", b"/memfd:", b"/dev/shm/")
DELETED = b" (deleted)"
MAP_FIXED, MAP_POPULATE = 0x10, 0x8000
MAP_FAILED = ctypes.c_void_p(-1).value

File = tuple[bytes, bytes]
"""Device and inode as maps and smaps show them."""


@cache
def shmem_devices() -> frozenset[str]:
    """Return the devices, as `major:minor` in hex, whose pages count as shared memory: tmpfs, and memfd's own."""
    found = set()
    for line in read_file("/proc/self/mountinfo").decode(errors="replace").splitlines():
        left, _, right = line.partition(" - ")
        if right.split()[0] in ("tmpfs", "devtmpfs"):
            major, minor = left.split()[2].split(":")
            found.add(f"{int(major):02x}:{int(minor):02x}")
    # MAP_SHARED|MAP_ANONYMOUS, System V segments and memfd live in a tmpfs that is mounted nowhere.
    fd = os.memfd_create("device", os.MFD_CLOEXEC)
    device = os.fstat(fd).st_dev
    os.close(fd)
    found.add(f"{os.major(device):02x}:{os.minor(device):02x}")
    return frozenset(found)


@cache
def _libc() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return library


def _file_and_shmem() -> tuple[int, int] | None:
    """Return RssFile and RssShmem of this process in KiB, None where the kernel does not show them (before 4.5)."""
    fields = parse_kib(read_file("/proc/self/status"))
    return (fields["RssFile"], fields["RssShmem"]) if "RssFile" in fields else None


def _shown_at(address: int) -> File | None:
    """Device and inode of the file that is mapped at an address of this process."""
    for line in read_file("/proc/self/maps").splitlines():
        span, _, _, device, inode, *_ = line.split()
        if int(span.partition(b"-")[0], 16) == address:
            return device, inode
    return None


def look(fd: int) -> tuple[File, bool] | None:
    """Map the first page of a regular file: how maps shows the file, and whether its pages count as RssShmem.

    None where it cannot be told: the file is empty or cannot be mapped, or neither counter moves.
    """
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or not found.st_size:
        return None
    # Often enough for a fold of what a CPU or a thread keeps back.
    page, often = page_size(), 2 * max(CACHED_FAULTS, percpu_batch(online_cpus()))
    libc, shared = _libc(), mmap.MAP_SHARED | MAP_POPULATE  # populating raises no SIGBUS where the file is cut short
    base = libc.mmap(None, often * page, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    if base == MAP_FAILED:
        return None
    try:
        before = _file_and_shmem()
        for at in range(base, base + often * page, page):
            if libc.mmap(at, page, mmap.PROT_READ, shared | MAP_FIXED, fd, 0) == MAP_FAILED:
                return None
        after, shown = _file_and_shmem(), _shown_at(base)
    finally:
        libc.munmap(base, often * page)
    if before is None or after is None or shown is None:
        return None
    file, shmem = (new - old for new, old in zip(after, before, strict=True))
    if max(file, shmem) < often * (page >> 10) // 4:
        return None
    return shown, shmem > file


class Kinds:
    """What was learned, by file."""

    def __init__(self) -> None:
        """Know no file yet."""
        self._known: dict[File, bool] = {}

    def learn(self, fd: int) -> bool | None:
        """Return whether pages of an open file count as RssShmem, None where it cannot be told; kept for `is_shmem`."""
        found = look(fd)
        if found is None:
            return None
        self._known[found[0]] = found[1]
        return found[1]

    def is_shmem(self, device: bytes, inode: bytes, path: bytes) -> bool:
        """Return whether pages of a mapped file count as RssShmem: learned, or by its device if it cannot be opened."""
        file = device, inode
        if file not in self._known and path.startswith(b"/") and not path.endswith(DELETED):
            try:
                # A pipe or a device would wait, or do something.
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK) if os.path.isfile(path) else -1
            except OSError:
                fd = -1
            if fd >= 0:
                try:
                    self.learn(fd)
                finally:
                    os.close(fd)
        if file not in self._known:
            self._known[file] = device.decode() in shmem_devices() or path.startswith(SHMEM_NAMES)
        return self._known[file]


KINDS = Kinds()
"""What this process has learned."""
