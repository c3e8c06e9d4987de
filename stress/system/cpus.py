"""The CPUs that this process may run on."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Cores that this process may run on."""
    import os

    return len(os.sched_getaffinity(0))


def cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0))


def allowed_cpus() -> list[int]:
    """CPUs that this process may run on, ascending."""
    return sorted(os.sched_getaffinity(0))
