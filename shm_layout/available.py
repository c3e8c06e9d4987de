"""How much memory may be taken on this machine, and how much of /dev/shm."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from shm_layout.errors import MachineError

SHM = Path("/dev/shm")
"""Where Linux keeps POSIX shared memory and semaphores, shm_overview(7)."""

RESERVE = 256 << 20
"""Bytes of memory that stay free for the workers themselves and everything else that runs."""


@dataclass(frozen=True)
class Room:
    """Memory that is available, in bytes, and what sets the limit (`the machine` or a cgroup's path)."""

    available: int
    limited_by: str


def _read_number(path: Path) -> int | None:
    """Return the number in a one-line file, None when it is missing or says `max`."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _reclaimable(stat: Path) -> int:
    """Return the bytes of page cache that a cgroup can give back without writing: `inactive_file` of memory.stat."""
    try:
        fields = dict(line.split() for line in stat.read_text().splitlines())
    except (OSError, ValueError):
        return 0
    return int(fields.get("total_inactive_file", fields.get("inactive_file", 0)))


def _plain(path: str) -> str:
    """Return a path of mountinfo, which has blanks and backslashes as octal numbers (proc_pid_mountinfo(5))."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), path)


def _cgroup_folders(cgroup: str, mounts: str) -> list[Path]:
    """Return the folders of this process's memory cgroup and all its ancestors that the mounts show."""
    folders = []
    paths = {}
    for line in cgroup.splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0" or "memory" in controllers.split(","):
            paths["cgroup2" if number == "0" else "cgroup"] = path
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields, (kind, _, options) = left.split(), right.split(" ", 2)  # what is mounted may be an empty name
        if kind not in paths or (kind == "cgroup" and "memory" not in options.split(",")):
            continue
        root, mount = _plain(fields[3]), Path(_plain(fields[4]))
        inside = os.path.relpath(paths[kind], root)
        # In a container the path may lie outside what is mounted; the mount then is our own cgroup.
        below = mount if inside.startswith("..") else mount / inside
        folders += [below, *(p for p in below.parents if p == mount or mount in p.parents)]
    return folders


def memory_available(
    meminfo: Path = Path("/proc/meminfo"),
    cgroup: Path = Path("/proc/self/cgroup"),
    mountinfo: Path = Path("/proc/self/mountinfo"),
) -> Room:
    """Return the memory that can be used without swapping: MemAvailable, or what a cgroup above us leaves, if less.

    Sources: Documentation/filesystems/proc.rst (MemAvailable), admin-guide/cgroup-v2.rst (memory.max,
    memory.current), admin-guide/cgroup-v1/memory.rst (memory.limit_in_bytes). Raises MachineError when
    /proc/meminfo says nothing.
    """
    try:
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        room = Room(int(fields["MemAvailable"].split()[0]) * 1024, "the machine")
    except (OSError, KeyError, ValueError) as why:
        raise MachineError(f"cannot tell the available memory from {meminfo}: {why}") from why
    try:
        folders = _cgroup_folders(*(file.read_text(errors="surrogateescape") for file in (cgroup, mountinfo)))
    except OSError:
        return room
    for folder in folders:
        for limit_name, used_name in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit, used = _read_number(folder / limit_name), _read_number(folder / used_name)
            if limit is None or used is None:
                continue
            left = max(0, limit - used + _reclaimable(folder / "memory.stat"))
            if left < room.available:
                room = Room(left, f"cgroup {folder}")
    return room


def memory_charged(cgroup: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> int | None:
    """Bytes that are charged to the memory cgroup of the process whose file `cgroup` this is, as in /proc/PID/cgroup.

    memory.current, or memory.usage_in_bytes of version 1; None where neither shows, as for the root of version 2.
    """
    try:
        folders = _cgroup_folders(*(file.read_text(errors="surrogateescape") for file in (cgroup, mountinfo)))
    except OSError:
        return None
    names = ("memory.current", "memory.usage_in_bytes")
    charged = [_read_number(folder / name) for folder in folders[:1] for name in names]
    return next((used for used in charged if used is not None), None)


def shm_available() -> int:
    """Return the bytes free in /dev/shm. Raises OSError when there is no /dev/shm."""
    fs = os.statvfs(SHM)
    return fs.f_bavail * fs.f_frsize
