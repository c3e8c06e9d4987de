"""What is really mapped: a walk of the page tables, by smaps_rollup, smaps and pagemap.

smaps counts a page as Anonymous exactly when the kernel counts it under MM_ANONPAGES (both ask PageAnon).
What is not anonymous counts under MM_SHMEMPAGES or under MM_FILEPAGES; smaps does not say which, so
`stress.live.reading.kinds` asks the kernel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from shm_layout.errors import MachineError
from stress.live.reading.kinds import KINDS
from stress.live.reading.machine import page_size
from stress.live.reading.process import Process, Resident, parse_kib

MAPPING = re.compile(
    rb"^([0-9a-f]+)-([0-9a-f]+) \S+ [0-9a-f]+ (\S+) (\d+) *([^\n]*)\n"
    rb".*?^Rss: +(\d+) kB.*?^Anonymous: +(\d+) kB.*?^VmFlags:([^\n]*)",
    re.MULTILINE | re.DOTALL,
)
"""One mapping of smaps: start, end, device, inode, path, Rss, Anonymous, VmFlags (Linux 3.8)."""

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


def parse_smaps(text: bytes) -> list[Mapping]:
    """Return the mappings of a smaps file."""
    found = []
    per_page = page_size() // 1024
    for start, end, device, inode, path, rss, anon, flags in MAPPING.findall(text):
        at = int(start, 16)
        found.append(
            Mapping(
                at,
                int(end, 16),
                int(rss) // per_page,
                int(anon) // per_page,
                rss != anon and KINDS.is_shmem(device, inode, path),
                not {b"pf", b"ht"} & set(flags.split()) and at < KERNEL_HALF,
            )
        )
    return found


def by_kind(mappings: list[Mapping]) -> Resident:
    """Return pages of the mappings, by the counter that they belong to."""
    anon = sum(m.anon for m in mappings)
    shmem = sum(m.rss - m.anon for m in mappings if m.is_shmem)
    rss = sum(m.rss for m in mappings)
    return Resident(rss, anon, rss - anon - shmem, shmem)


class Walk(NamedTuple):
    """What the cheapest page walk found."""

    rss: int
    """Resident pages."""
    source: str
    """Which walk: smaps_rollup (Linux 4.14) or smaps."""
    kib: dict[str, int]
    """All fields of smaps_rollup in KiB: Pss, Private_Clean, Swap, LazyFree, Private_Hugetlb, ...; none for smaps."""


def rollup(process: Process) -> Walk:
    """Walk the page tables of a process in the cheapest way.

    Raises MachineError when the kernel has no way, ProcessEnded when the process has gone.
    """
    try:
        fields = parse_kib(process.read("smaps_rollup"))
        if "Rss" in fields:
            return Walk(fields["Rss"] * 1024 // page_size(), "smaps_rollup", fields)
    except FileNotFoundError:
        pass
    return Walk(by_kind(smaps(process)).rss, "smaps", {})


def smaps(process: Process) -> list[Mapping]:
    """Return the mappings of a process, by smaps.

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
