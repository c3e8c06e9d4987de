"""Facts about this machine: kernel, CPUs, page size, and the memory that may be used."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from stress.errors import MachineError, UsageError

MIB = 1 << 20
SHARE = 4
"""At most one part in this many of the available memory is used."""


def page_size() -> int:
    """Bytes in a page."""
    return os.sysconf("SC_PAGE_SIZE")


def online_cpus() -> int:
    """Number of CPUs that are online: what `num_online_cpus()` is in the kernel, whatever we may run on."""
    return os.sysconf("SC_NPROCESSORS_ONLN")


def allowed_cpus() -> list[int]:
    """CPUs that this process may run on, ascending."""
    return sorted(os.sched_getaffinity(0))


def kernel_release() -> str:
    """The running kernel's release, as `uname -r` prints it."""
    return os.uname().release


def kernel_version(release: str) -> tuple[int, int, int]:
    """The three leading numbers of a release: `6.12.39-2-amd64` gives (6, 12, 39).

    Raises MachineError when the release does not start with a number.
    """
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", release)
    if found is None:
        raise MachineError(f"kernel release {release!r} does not start with a version number")
    major, minor, patch = found.groups()
    return int(major), int(minor), int(patch or 0)


@dataclass(frozen=True)
class Room:
    """Memory that is available, in bytes, and what sets the limit (`the machine` or a cgroup's path)."""

    available: int
    limited_by: str


def _read_number(path: Path) -> int | None:
    """The number in a one-line file, None when it is missing or says `max`."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _reclaimable(stat: Path) -> int:
    """Bytes of page cache that a cgroup can give back without writing: `inactive_file` of memory.stat."""
    try:
        fields = dict(line.split() for line in stat.read_text().splitlines())
    except (OSError, ValueError):
        return 0
    return int(fields.get("total_inactive_file", fields.get("inactive_file", 0)))


def _cgroup_folders(cgroup: str, mounts: str) -> list[Path]:
    """Folders of this process's memory cgroup and all its ancestors that the mounts show."""
    folders = []
    paths = {}
    for line in cgroup.splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0" or "memory" in controllers.split(","):
            paths["cgroup2" if number == "0" else "cgroup"] = path
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields, (kind, _, options) = left.split(), right.split()[:3]
        if kind not in paths or (kind == "cgroup" and "memory" not in options.split(",")):
            continue
        root, mount = fields[3], Path(fields[4])
        inside = os.path.relpath(paths[kind], root)
        # In a container the path may lie outside what is mounted; the mount then is our own cgroup.
        below = mount if inside.startswith("..") else mount / inside
        folders += [below, *(p for p in below.parents if p == mount or mount in p.parents)]
    return folders


def available_memory(
    meminfo: Path = Path("/proc/meminfo"),
    cgroup: Path = Path("/proc/self/cgroup"),
    mountinfo: Path = Path("/proc/self/mountinfo"),
) -> Room:
    """Memory that can be used without swapping: MemAvailable, or what a cgroup above us leaves, if less.

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
        folders = _cgroup_folders(cgroup.read_text(), mountinfo.read_text())
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


def grant_memory(asked_mib: int | None, usual_mib: int, least: int, room: Room) -> int:
    """Bytes that a run may use: what was asked, else the usual amount or a quarter of what is available.

    `least` is what the run needs at least, in bytes. Raises UsageError for a request above a quarter or
    below `least`, MachineError when a quarter of what is available is below `least`.
    """
    most = room.available // SHARE
    if most < least:
        raise MachineError(
            f"{least / MIB:.0f} MiB are needed, and a quarter of what {room.limited_by} has available is "
            f"{most / MIB:.0f} MiB: free some memory, or ask for fewer processes and threads"
        )
    if asked_mib is None:
        return max(least, min(usual_mib * MIB, most))
    if asked_mib * MIB > most:
        raise UsageError(
            f"--memory {asked_mib} is more than a quarter of the {room.available // MIB} MiB that "
            f"{room.limited_by} has available: ask for at most {most // MIB}"
        )
    if asked_mib * MIB < least:
        raise UsageError(f"--memory {asked_mib} is too little: at least {-(-least // MIB)} MiB are needed here")
    return asked_mib * MIB
