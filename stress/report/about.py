"""What an output was made by: under the key ``about`` of every JSON object that a command prints."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path
from typing import Any

from stress.system.cpus import available_cores


def cpu_model() -> str:
    """The name of the processor as /proc/cpuinfo has it; the machine's architecture where it has none."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.machine())


def about(version: str, command: str, seed: int | None) -> dict[str, Any]:
    """What made an output: version, command, seed (None where nothing is random), machine, kernel and date.

    ``machine``: architecture, processor, the CPUs that may be used, bytes of a page and of memory. The date is in UTC.
    """
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    page = os.sysconf("SC_PAGE_SIZE")
    machine = {
        "arch": platform.machine(),
        "cpu": cpu_model(),
        "cpus": available_cores(),
        "page_bytes": page,
        "memory_bytes": page * os.sysconf("SC_PHYS_PAGES"),
    }
    kernel = " ".join((os.uname().sysname, os.uname().release))
    made = {"version": version, "command": command, "seed": seed}
    return {**made, "machine": machine, "kernel": kernel, "date": now}
