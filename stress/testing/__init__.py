"""Hypothesis against a design: state machines over living worker processes, strategies, pytest fixtures.

A design of one's own is tested in three lines::

    from my_design import MINE
    from stress.testing import state_machine
    TestMine = state_machine(MINE, arch="pae")

`TestMine` is a `unittest.TestCase`: pytest and unittest find it. Its rules have several workers at once perform
batches of faults, forks, zaps, reads, thread starts and exits, its invariants are the checks at rest, and what breaks
is raised as `CheckBroken` with the batches that led there. `TestMine.settings` are Hypothesis' settings.

The fixtures `segment` and `workers` are found by ``pytest_plugins = ["stress.testing"]`` in the topmost
``conftest.py``, or imported where they are used (``from stress.testing import workers``)::

    def test_mine(workers):
        pool = workers(MINE, arch="pae")
        pool.perform({0: [Call("fault", address=3, write=True)], 1: [Call("zap", address=0, end=8)]})
        assert all(verdict.ok for verdict in pool.verdicts())

Everything may run under ``pytest -n auto``: each test process has workers of its own on segments of its own, which
live on from one example to the next and are put back into their first state. pytest is imported only by whoever
asks for a fixture.

Files: `strategies`, `pools` (workers that are kept), `stateful` (the state machine), `fixtures`.
"""

from __future__ import annotations

from typing import Any

from stress.testing.pools import close_pools, small_machine, worker_pool
from stress.testing.stateful import CheckBroken, WorkerTestCase, state_machine
from stress.testing.strategies import batches, calls, mixes

__all__ = [
    "CheckBroken",
    "WorkerTestCase",
    "batches",
    "calls",
    "close_pools",
    "mixes",
    "small_machine",
    "state_machine",
    "worker_pool",
]

FIXTURES = ("segment", "workers")
"""What `stress.testing.fixtures` defines."""


def __getattr__(name: str) -> Any:
    """A fixture; importing it imports pytest."""
    if name not in FIXTURES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from stress.testing import fixtures

    return getattr(fixtures, name)


def __dir__() -> list[str]:
    """All names, the fixtures among them: pytest looks here for what a plugin defines."""
    return sorted({*globals(), *FIXTURES})
