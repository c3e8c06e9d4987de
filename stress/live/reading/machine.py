"""Facts about this machine: kernel, CPUs, page size, and the memory that may be used."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from datetime import UTC, datetime
from pathlib import Path

from shm_layout.available import Room
from shm_layout.errors import MachineError, UsageError

MIB = 1 << 20
FAULT_AROUND_BYTES = 65536
"""What a read fault on a file maps around it, unless debugfs says more."""
SHARE = 4
"""At most one part in this many of the available memory is used."""


def page_size() -> int:
    """Return the bytes in a page."""
    return os.sysconf("SC_PAGE_SIZE")


def fault_around_bytes() -> int:
    """Return how far around itself a read fault on a file maps what is in the page cache, in bytes."""
    with contextlib.suppress(OSError, ValueError):  # for root alone, where debugfs is mounted
        return max(FAULT_AROUND_BYTES, int(Path("/sys/kernel/debug/fault_around_bytes").read_text()))
    return FAULT_AROUND_BYTES


def cgroup_of(folder: Path = Path("/proc/self")) -> str | None:
    """The path of the cgroup that a process's memory is charged to, as it shows from here; None where there is none.

    ``folder``: of the process in /proc, or of one of its threads: a main thread that has ended is in the root.
    """
    with contextlib.suppress(OSError):
        lines = [line.split(":", 2) for line in (folder / "cgroup").read_text().splitlines()]
        memory = [path for number, controllers, path in lines if "memory" in controllers.split(",")]
        return next(iter(memory + [path for number, _, path in lines if number == "0"]), None)
    return None


def where_and_when() -> dict[str, str | None]:
    """Return what a record needs to be understood elsewhere: wall-clock time (UTC), host, kernel, cgroup."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {"time": now, "host": socket.gethostname(), "kernel": kernel_release(), "cgroup": cgroup_of()}


def online_cpus() -> int:
    """Return the number of CPUs that are online: what `num_online_cpus()` is in the kernel, whatever we may run on."""
    return os.sysconf("SC_NPROCESSORS_ONLN")


def kernel_release() -> str:
    """Return the running kernel's release, as `uname -r` prints it."""
    return os.uname().release


def kernel_version(release: str) -> tuple[int, int, int]:
    """Return the three leading numbers of a release: `6.12.39-2-amd64` gives (6, 12, 39).

    Raises MachineError when the release does not start with a number.
    """
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", release)
    if found is None:
        raise MachineError(f"kernel release {release!r} does not start with a version number")
    major, minor, patch = found.groups()
    return int(major), int(minor), int(patch or 0)


def grant_memory(asked_mib: int | None, usual_mib: int, least: int, room: Room) -> int:
    """Return the bytes that a run may use: what was asked, else the usual amount or a quarter of what is available.

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
