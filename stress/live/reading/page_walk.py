"""What is really mapped: a walk of the page tables, by smaps_rollup, smaps and pagemap.

smaps counts a page as Anonymous exactly when the kernel counts it under MM_ANONPAGES (both ask PageAnon).
What is not anonymous counts under MM_SHMEMPAGES when it belongs to tmpfs, and under MM_FILEPAGES otherwise
(mm_counter_file() in include/linux/mm.h); smaps does not say which, the device of the mapping does.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache

from shm_layout.errors import MachineError
from stress.live.reading.machine import page_size
from stress.live.reading.process import Process, Resident, parse_kib, read_file

SHMEM_NAMES = (b"/dev/zero (deleted)", b"/SYSV", b"/memfd:", b"/dev/shm/")
MAPPING = re.compile(
    rb"^([0-9a-f]+)-([0-9a-f]+) \S+ [0-9a-f]+ (\S+) \d+ *([^\n]*)\n"
    rb".*?^Rss: +(\d+) kB.*?^Anonymous: +(\d+) kB.*?^VmFlags:([^\n]*)",
    re.MULTILINE | re.DOTALL,
)
"""One mapping of smaps: start, end, device, path, Rss, Anonymous, VmFlags (Linux 3.8)."""

KERNEL_HALF = 1 << 63
"""Addresses from here on are the kernel's: x86 shows its vsyscall page there, in no page table of ours."""


@dataclass(frozen=True)
class Mapping:
    """One mapping (VMA) of smaps: its addresses, and its pages by kind."""

    start: int
    end: int
    rss: int
    anon: int
    is_shmem: bool
    counted: bool
    """False for what no resident size counts: pure page frames (pf), huge TLB pages (ht), the gate page."""


@cache
def shmem_devices() -> frozenset[str]:
    """Devices, as `major:minor` in hex, whose pages count as shared memory: tmpfs, and memfd's own."""
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


def parse_smaps(text: bytes) -> list[Mapping]:
    """The mappings of a smaps file."""
    found = []
    per_page = page_size() // 1024
    for start, end, device, path, rss, anon, flags in MAPPING.findall(text):
        at = int(start, 16)
        found.append(
            Mapping(
                at,
                int(end, 16),
                int(rss) // per_page,
                int(anon) // per_page,
                device.decode() in shmem_devices() or path.startswith(SHMEM_NAMES),
                not {b"pf", b"ht"} & set(flags.split()) and at < KERNEL_HALF,
            )
        )
    return found


def by_kind(mappings: list[Mapping]) -> Resident:
    """Pages of the mappings, by the counter that they belong to."""
    anon = sum(m.anon for m in mappings)
    shmem = sum(m.rss - m.anon for m in mappings if m.is_shmem)
    rss = sum(m.rss for m in mappings)
    return Resident(rss, anon, rss - anon - shmem, shmem)


def rollup(process: Process) -> tuple[int, str]:
    """Resident pages by the cheapest page walk there is, and its name: smaps_rollup (Linux 4.14), else smaps.

    Raises MachineError when the kernel has neither, ProcessEnded when the process has gone.
    """
    try:
        fields = parse_kib(process.read("smaps_rollup"))
        if "Rss" in fields:
            return fields["Rss"] * 1024 // page_size(), "smaps_rollup"
    except FileNotFoundError:
        pass
    return by_kind(smaps(process)).rss, "smaps"


def smaps(process: Process) -> list[Mapping]:
    """The mappings of a process, by smaps.

    Raises MachineError when the kernel has none (CONFIG_PROC_PAGE_MONITOR), ProcessEnded when the process
    has gone.
    """
    try:
        return parse_smaps(process.read("smaps"))
    except FileNotFoundError:
        raise MachineError(
            "this kernel has neither smaps_rollup nor smaps to walk page tables with: "
            "it was built without CONFIG_PROC_PAGE_MONITOR"
        ) from None
