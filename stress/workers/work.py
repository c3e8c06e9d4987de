"""How much private work a fault does in workers: measured on the running kernel, and set in a pool's memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from shm_layout.structs import WORK_BYTES, WORK_POOL, WORK_TICKS
from stress.system.fault_cost import trap_ns

if TYPE_CHECKING:
    from stress.workers.pool import Pool

WORKS = ("none", "clear", "trap+clear")
"""No work; clearing or copying a page; entering and leaving the kernel, too."""
LEAST_POOL = 16 << 20


class Work(NamedTuple):
    """``name``: one of `WORKS`. ``trap_ns`` of a fault, ``page_bytes`` of a page, ``pool`` bytes that all workers clear
    in turn: more than the last cache has, where there is memory for it, and at most what the modelled pages would take.
    """

    name: str
    trap_ns: float
    page_bytes: int
    pool: int


def last_cache() -> int:
    """Bytes of the largest cache of CPU 0; 0 where the system does not say."""
    found = [0]
    for file in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = file.read_text().strip()
        if text.endswith("K") and text[:-1].isdigit():
            found.append(int(text[:-1]) << 10)
    return max(found)


def measure_work(name: str, page_bytes: int = 4096) -> Work:
    """Measure what entering and leaving a fault takes here, if that is asked for; a second at most."""
    pool = min(max(last_cache() * 5 // 4, 256 << 20), psutil.virtual_memory().available // 4)
    return Work(name, trap_ns() if name == "trap+clear" else 0.0, page_bytes, pool)


def set_work(pool: Pool, work: Work) -> None:
    """Have the faults of a pool do that work; its design must be one of `stress.workers.loop.page_work.working`."""
    from stress.compiling.clock import ticks_per_ns

    m = pool.memory
    size = max(min(work.pool, pool.machine.ptes * work.page_bytes) // pool.workers, LEAST_POOL)
    m[WORK_TICKS] = round(work.trap_ns * ticks_per_ns()) if work.trap_ns else 0
    m[WORK_BYTES] = work.page_bytes
    m[WORK_POOL] = size // work.page_bytes * work.page_bytes
