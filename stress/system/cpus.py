"""The CPUs that this process may run on."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Return the number of CPUs that this process may run on."""
    return len(os.sched_getaffinity(0))


def allowed_cpus() -> list[int]:
    """Return CPUs that this process may run on, ascending."""
    return sorted(os.sched_getaffinity(0))
