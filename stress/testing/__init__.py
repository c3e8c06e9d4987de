"""A design of one's own under test: Hypothesis on worker processes, the explorer, hunts, pytest.

In pytest, nothing has to be declared; this is a complete file::

    import pytest
    from my_design import MINE
    from stress.testing import Call, explored, state_machine

    TestMine = state_machine(MINE, arch="pae")

    @pytest.mark.explore(MINE, "fault 0 w | swap_out", "fault 0 w; zap 0 | statm")
    def test_small_workloads_hold():
        pass

    def test_a_fork_beside_reclaim_holds():
        explored(MINE, "fault 0 w || fork | swap_out frame=1", arch="pae")

    def test_nothing_is_found_in_a_minute(hunt):
        hunt(MINE, seconds=60)

    def test_a_batch_leaves_exact_counts(workers):
        pool = workers(MINE, arch="pae")
        pool.perform({0: [Call("fault", address=3, write=True)], 1: [Call("fork")]})
        assert all(verdict.ok for verdict in pool.verdicts())

`TestMine` is a `unittest.TestCase`: pytest and unittest find it. Its rules have several workers at once perform
batches of faults, forks, zaps, reads, thread starts and exits, its invariants are the checks at rest. What breaks is
raised as `CheckBroken`: with the batches that led there, or with the shortest counterexample. `TestMine.settings` are
Hypothesis' settings: what the loaded profile sets itself, else a few seconds.

``pytest --pte-stress-save FOLDER`` keeps what broke, for ``pte-stress replay FILE --design my_design.py:MINE``.

Everything may run under ``pytest -n auto``: each test process has workers of its own on segments of its own, which
live on from one example to the next and are put back into their first state. Each name is imported when it is asked
for, so that the plugin costs other tests nothing.

`rss_tolerance` needs no design: by how many pages a resident size may be off on the running kernel, for the
assertions of any test suite.

Files: `strategies`, `pools` (workers that are kept), `stateful` (the state machine), `exploring`, `failures`,
`fixtures`, `plugin`, `tolerance`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shm_layout.machine import Machine
    from stress.explore import Bounds
    from stress.testing.exploring import explored, hunted
    from stress.testing.failures import CheckBroken, NotExplored
    from stress.testing.plugin import exploration, hunt, segment, workers
    from stress.testing.pools import close_pools, small_machine, worker_pool
    from stress.testing.stateful import WorkerTestCase, state_machine
    from stress.testing.strategies import batches, calls, mixes
    from stress.testing.tolerance import rss_tolerance
    from stress.workers.records import Call
    from stress.workload import Workload

__all__ = [
    "Bounds",
    "Call",
    "CheckBroken",
    "Machine",
    "NotExplored",
    "WorkerTestCase",
    "Workload",
    "batches",
    "calls",
    "close_pools",
    "exploration",
    "explored",
    "hunt",
    "hunted",
    "mixes",
    "rss_tolerance",
    "segment",
    "small_machine",
    "state_machine",
    "worker_pool",
    "workers",
]

_WHERE = {
    "shm_layout.machine": ("Machine",),
    "stress.explore": ("Bounds",),
    "stress.testing.exploring": ("explored", "hunted"),
    "stress.testing.failures": ("CheckBroken", "NotExplored"),
    "stress.testing.plugin": ("exploration", "hunt", "segment", "workers"),
    "stress.testing.pools": ("close_pools", "small_machine", "worker_pool"),
    "stress.testing.stateful": ("WorkerTestCase", "state_machine"),
    "stress.testing.strategies": ("batches", "calls", "mixes"),
    "stress.testing.tolerance": ("rss_tolerance",),
    "stress.workers.records": ("Call",),
    "stress.workload": ("Workload",),
}


def __getattr__(name: str) -> Any:
    """A name, from the file that defines it. Fixtures import pytest."""
    for module, names in _WHERE.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """All names, the fixtures among them: pytest looks here for what a plugin defines."""
    return sorted({*globals(), *__all__})
