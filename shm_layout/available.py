"""How much memory a segment may take on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

SHM = Path("/dev/shm")
"""Where Linux keeps POSIX shared memory and semaphores, shm_overview(7)."""

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")

RESERVE = 256 << 20
"""Bytes of memory that stay free for the workers themselves and everything else that runs."""


def memory_available() -> int:
    """Return the bytes that can be taken before the system swaps or this control group runs out."""
    return int(min(psutil.virtual_memory().available, _left_in_cgroup()))


def shm_available() -> int:
    """Return the bytes free in /dev/shm. Raises OSError when there is no /dev/shm."""
    fs = os.statvfs(SHM)
    return fs.f_bavail * fs.f_frsize


def _left_in_cgroup() -> float:
    """Return what the nearest limits of cgroup v2 leave; infinity where there is none.

    Pages of files that can be dropped do not count as used (`inactive_file` of memory.stat). A container
    sees its own group as "/", so the walk ends there. Source: Documentation/admin-guide/cgroup-v2.rst.
    """
    try:
        lines = OWN_CGROUP.read_text().splitlines()
    except OSError:
        return float("inf")
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), None)
    left = float("inf")
    if own is None:
        return left
    group = CGROUPS / own
    for directory in [group, *group.parents]:
        if not directory.is_relative_to(CGROUPS):
            break
        left = min(left, _left_in(directory))
    return left


def _left_in(directory: Path) -> float:
    try:
        limit = (directory / "memory.max").read_text().strip()
        used = int((directory / "memory.current").read_text())
        stat = dict(line.split() for line in (directory / "memory.stat").read_text().splitlines())
    except OSError:  # the root group has no limit, and a group may go away
        return float("inf")
    return float("inf") if limit == "max" else int(limit) - used + int(stat.get("inactive_file", 0))
