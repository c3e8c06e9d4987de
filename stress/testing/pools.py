"""Workers that are kept: one pool for each design and machine in a test process, until the process ends."""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from shm_layout.machine import Machine
from shm_layout.placement import AS_POSTED, Placement
from stress.design import Bound, Design
from stress.workers.pool import Pool
from stress.workers.server.client import ForkServer, code_of
from stress.workers.server.messages import Code

MOST_POOLS = 8
"""Pools kept at once; the one that was not asked for longest is closed for another."""


class _Key(NamedTuple):
    """What makes two requests the same."""

    code: Code
    bound: Bound
    machine: Machine
    workers: int
    placement: str
    """All that it says: two may have one name."""


class _Kept:
    """The pools of this process, the one asked for last at the end, and the fork server that they share."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.server = ForkServer()
        self.pools: dict[_Key, Pool] = {}

    def close(self) -> None:
        for pool in self.pools.values():
            pool.close()
        self.pools.clear()
        self.server.close()


_kept: _Kept | None = None


def small_machine(workers: int = 2, **fields: Any) -> Machine:
    """Return a machine for ``workers`` on which pages, frames, swap slots and address spaces are few and soon run out.

    ``fields`` are those of `Machine`, and take precedence.
    """
    defaults: dict[str, Any] = {
        "cpus": workers,
        "mms": 3,
        "anon": 6,
        "private_file": 2,
        "shared_file": 2,
        "frames": 32,
        "swap": 4,
        "mmu": True,
        "batch": 4,
        "ptrs_per_pte": 4,
    }
    return Machine(**{**defaults, **fields})


def worker_pool(
    design: Design,
    machine: Machine | None = None,
    workers: int = 2,
    *,
    operations: Sequence[str] | None = None,
    placement: Placement = AS_POSTED,
) -> Pool:
    """Workers for a design in the first state of the machine (default: `small_machine`), started or used again.

    The pool belongs to this process and is closed at its end, or by `close_pools`: do not close it. ``operations``:
    those that will be asked for, fewer compile faster. Raises what `Pool` raises.
    """
    global _kept
    machine = small_machine(workers) if machine is None else machine
    if _kept is not None and _kept.pid == os.getpid() and not _kept.server.lives():
        close_pools()
    if _kept is None or _kept.pid != os.getpid():
        _kept = _Kept()
    chosen = tuple(name for name in design.programs if operations is None or name in operations)
    key = _Key(code_of(design, machine.arch, chosen), design.bound, machine, workers, repr(placement))
    pool = _kept.pools.pop(key, None)
    if pool is not None and (pool.stuck or not pool.idle() or _kept.server.died().keys() & set(pool.pids)):
        pool.close()
        pool = None
    if pool is None:
        while len(_kept.pools) >= MOST_POOLS:
            _kept.pools.pop(next(iter(_kept.pools))).close()
        pool = Pool(design, machine, workers, placement=placement, operations=chosen, server=_kept.server)
    else:
        pool.reset()
    _kept.pools[key] = pool
    return pool


def close_pools() -> None:
    """End all workers of this process and remove their segments. They are started again when asked for."""
    global _kept
    if _kept is not None and _kept.pid == os.getpid():
        _kept.close()
    _kept = None


atexit.register(close_pools)
