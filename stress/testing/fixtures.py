"""What the fixtures for segments and workers give (`stress.testing.plugin`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from shm_layout.layout import Layout
from shm_layout.machine import Machine
from shm_layout.placement import AS_POSTED, Placement
from shm_layout.segment import Segment
from stress.design import Design
from stress.kernel.boot import boot
from stress.testing.pools import small_machine, worker_pool
from stress.workers.pool import Pool


@contextmanager
def segments() -> Iterator[Callable[..., Segment]]:
    """Yield ``make(machine, placement)``, which makes a segment that holds the first state of a machine.

    Without arguments: of `small_machine`, placed as posted. All are removed when the block ends.
    """
    with ExitStack() as opened:

        def make(machine: Machine | None = None, placement: Placement = AS_POSTED) -> Segment:
            layout = Layout(small_machine() if machine is None else machine, placement)
            made = opened.enter_context(Segment.create(layout.words, layout.hash(), "test"))
            boot(layout, made.array)
            return made

        yield make


def pool_of(design: Design, *, workers: int = 2, operations: Sequence[str] | None = None, **fields: Any) -> Pool:
    """A pool of worker processes at rest, in the first state: ``pool_of(design, arch="pae", workers=3)``.

    Keywords beside ``workers`` and ``operations`` are fields of `Machine`, see `small_machine`. A pool is started
    when it is first asked for and used again by what follows in this process.
    """
    return worker_pool(design, small_machine(workers, **fields), workers, operations=operations)
