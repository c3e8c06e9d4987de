"""Counting mapped pages in /proc/<pid>/pagemap: the second page walk, which must agree with smaps.

Two ways. The PAGEMAP_SCAN ioctl (Linux 6.7, Documentation/admin-guide/mm/pagemap.rst) tells the zero page
apart, which is mapped but not counted as resident. Before that the zero page can only be known by its
page frame number, which the kernel shows to CAP_SYS_ADMIN alone.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import sys
from collections.abc import Iterable

from stress.live.reading.machine import page_size

PAGEMAP_SCAN = 0xC0606610
"""_IOWR('f', 16, struct pm_scan_arg), include/uapi/linux/fs.h."""
PAGE_IS_FILE = 1 << 2
PAGE_IS_PRESENT = 1 << 3
PAGE_IS_PFNZERO = 1 << 5
PM_PRESENT = 1 << 63
PM_SWAP = 1 << 62
PM_FILE = 1 << 61
PM_PFRAME = (1 << 55) - 1
REGIONS = 4096


class Forbidden(Exception):
    """Pages cannot be counted this way here; the text says why."""


class _Region(ctypes.Structure):
    """struct page_region."""

    _fields_ = (("start", ctypes.c_uint64), ("end", ctypes.c_uint64), ("categories", ctypes.c_uint64))


class _ScanArg(ctypes.Structure):
    """struct pm_scan_arg."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            "size",
            "flags",
            "start",
            "end",
            "walk_end",
            "vec",
            "vec_len",
            "max_pages",
            "category_inverted",
            "category_mask",
            "category_anyof_mask",
            "return_mask",
        )
    )


def _scan(fd: int, start: int, end: int, regions: ctypes.Array[_Region]) -> tuple[int, int]:
    """Return anonymous and other pages in [start, end) by PAGEMAP_SCAN. Raises OSError."""
    anon = other = 0
    while start < end:
        arg = _ScanArg(
            size=ctypes.sizeof(_ScanArg),
            start=start,
            end=end,
            vec=ctypes.addressof(regions),
            vec_len=len(regions),
            category_inverted=PAGE_IS_PFNZERO,
            category_mask=PAGE_IS_PRESENT | PAGE_IS_PFNZERO,
            return_mask=PAGE_IS_FILE,
        )
        filled = fcntl.ioctl(fd, PAGEMAP_SCAN, arg)
        for region in regions[:filled]:
            pages = (region.end - region.start) // page_size()
            if region.categories & PAGE_IS_FILE:
                other += pages
            else:
                anon += pages
        start = arg.walk_end
    return anon, other


def _zero_frame() -> int:
    """Page frame number of the zero page. Raises Forbidden when frame numbers are hidden."""
    with mmap.mmap(-1, page_size(), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as area:
        where = ctypes.addressof(ctypes.c_char.from_buffer(area))
        if area[0]:
            raise AssertionError("a fresh page is not zero")
        with open("/proc/self/pagemap", "rb", buffering=0) as file:
            entry = int.from_bytes(os.pread(file.fileno(), 8, where // page_size() * 8), "little")
    if not entry & PM_PFRAME:
        raise Forbidden("without PAGEMAP_SCAN (Linux 6.7) page frame numbers are needed, which takes CAP_SYS_ADMIN")
    return entry & PM_PFRAME


def _classic(fd: int, start: int, end: int, zero: int) -> tuple[int, int]:
    """Return anonymous and other pages in [start, end) by the 64-bit entries of pagemap."""
    anon = other = 0
    for at in range(start, end, REGIONS * page_size()):
        count = min(REGIONS, (end - at) // page_size())
        raw = os.pread(fd, count * 8, at // page_size() * 8)
        for entry in memoryview(raw).cast("Q"):
            if entry & PM_PRESENT and entry & PM_PFRAME != zero:
                if entry & PM_FILE:
                    other += 1
                else:
                    anon += 1
    return anon, other


def count_pages(pid: int, ranges: Iterable[tuple[int, int]], scan: bool = True) -> tuple[int, int]:
    """Return anonymous and other (file, shared) pages mapped in the address ranges of process `pid`.

    Leave out ranges of pure page frames (VmFlags pf) and huge TLB pages (ht), which are not counted as
    resident. `scan=False` takes the entries one by one even where PAGEMAP_SCAN exists. Raises Forbidden
    when it cannot be done here, OSError when the process has gone.
    """
    try:
        fd = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    except (PermissionError, FileNotFoundError) as why:
        raise Forbidden(f"/proc/{pid}/pagemap: {why.strerror}") from why
    try:
        anon = other = 0
        regions = (_Region * REGIONS)()
        zero = None if scan else _zero_frame()
        for start, end in ranges:
            if zero is None:
                try:
                    more = _scan(fd, start, end, regions)
                except OSError as why:
                    if why.errno not in (errno.ENOTTY, errno.EINVAL):
                        raise
                    zero = _zero_frame()
            if zero is not None:
                more = _classic(fd, start, end, zero)
            anon, other = anon + more[0], other + more[1]
        return anon, other
    finally:
        os.close(fd)


def swapped_pages(pid: int, addresses: Iterable[int]) -> int:
    """Return how many of the pages at these addresses are swapped out; 0 where pagemap cannot be read."""
    try:
        with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as file:
            entries = [os.pread(file.fileno(), 8, address // page_size() * 8) for address in addresses]
    except (PermissionError, FileNotFoundError):
        return 0
    return sum(bool(int.from_bytes(entry, sys.byteorder) & PM_SWAP) for entry in entries)
