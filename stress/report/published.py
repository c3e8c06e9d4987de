"""Figures that others published, to be printed beside ours and labelled as theirs."""

from __future__ import annotations

import csv
from importlib.resources import files
from typing import NamedTuple

PUBLISHED_RSS: dict[str, str] = {
    "cached": "at most 64 pages a thread",
    "percpu": "about 1 GiB, 192 cores",
    "tree": "80 MiB seen, 192 MiB guaranteed",
}
"""Errors of VmRSS as published: the kernel's documentation of 2.6.34 to 6.1; the cover letter of the hierarchical
counters of January 2026, whose machine has 2 sockets of 96 cores (384 CPUs)."""

SOURCE_2004 = "page fault scalability tables, December 2004; 512 CPUs of ia64, pages of 16 KiB"
"""Where `published_2004` comes from: the tables that the authors of the patch set posted."""


class Published(NamedTuple):
    """A row of the tables of December 2004: faults a second of all threads together.

    ``gb`` GiB are touched ``rep`` times. ``user_s`` and ``system_s`` are seconds of all CPUs together.
    """

    design: str
    threads: int
    faults_per_cpu_s: float
    faults_per_wall_s: float
    gb: int
    rep: int
    user_s: float
    system_s: float

    @property
    def faults(self) -> int:
        """Faults of the whole run: pages of 16 KiB."""
        return self.gb * self.rep << 16

    @property
    def wall_s(self) -> float:
        """Wall seconds, from the rate: what is printed as wall time has lost a digit."""
        return self.faults / self.faults_per_wall_s


def published_2004() -> list[Published]:
    """Return the tables of December 2004, kept as posted in ``published_2004_12.csv``."""
    text = (files("stress.report") / "published_2004_12.csv").read_text(encoding="ascii")
    return [
        Published(
            row["design"],
            int(row["threads"]),
            float(row["faults_per_cpu_s"]),
            float(row["faults_per_wall_s"]),
            int(row["gb"]),
            int(row["rep"]),
            float(row["user_s"]),
            float(row["system_s"]),
        )
        for row in csv.DictReader(text.splitlines())
    ]
