"""pytest fixtures for segments and workers, found through `stress.testing`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from shm_layout.layout import Layout
from shm_layout.machine import Machine
from shm_layout.placement import AS_POSTED, Placement
from shm_layout.segment import Segment
from stress.design import Design
from stress.kernel.boot import boot
from stress.testing.pools import close_pools, small_machine, worker_pool
from stress.workers.pool import Pool


@pytest.fixture
def segment() -> Iterator[Callable[..., Segment]]:
    """``segment(machine, placement)`` makes a segment that holds the first state of a machine.

    Without arguments: of `small_machine`, placed as posted. All are removed when the test ends.
    """
    with ExitStack() as opened:

        def make(machine: Machine | None = None, placement: Placement = AS_POSTED) -> Segment:
            layout = Layout(small_machine() if machine is None else machine, placement)
            made = opened.enter_context(Segment.create(layout.words, layout.hash(), "test"))
            boot(layout, made.array)
            return made

        yield make


@pytest.fixture
def workers(request: pytest.FixtureRequest) -> Callable[..., Pool]:
    """``workers(design, arch="pae", workers=3)`` gives a pool of worker processes at rest, in the first state.

    Keywords beside ``workers`` and ``operations`` are fields of `Machine`, see `small_machine`. A pool is started
    when it is first asked for and used again by the tests that follow in this process.
    """
    request.config.add_cleanup(close_pools)

    def make(design: Design, *, workers: int = 2, operations: Sequence[str] | None = None, **fields: Any) -> Pool:
        return worker_pool(design, small_machine(workers, **fields), workers, operations=operations)

    return make
