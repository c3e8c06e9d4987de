"""What `pte-stress review` does with each finding: here, in another process, or on a worker of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stress.system.cpus import available_cores

if TYPE_CHECKING:
    from stress.findings.show import Shown

SECONDS = 60
"""Time that each search of a finding may take."""
Named = tuple[str, str | None]
"""A finding by its name, and the memory model to explore it under; None for its own."""
Result = tuple[Named, Callable[[], "Shown"]]


def show_named(named: Named) -> Shown:
    """Explore a finding."""
    from stress import findings
    from stress.explore import Bounds
    from stress.findings.show import show

    name, memory = named
    return show(findings.get(name), Bounds(seconds=SECONDS), memory)


@contextmanager
def shown(wanted: Sequence[Named], jobs: int | None, address: str | None) -> Iterator[Iterator[Result]]:
    """Have findings explored by ``jobs`` processes, or by the workers of a cluster; gives them in this order.

    ``jobs``: as many as CPUs when it is None; where a cluster is started here, it is how many workers that has.
    ``address``: of the cluster, as option --dask has it; None for none.
    """
    from stress.system.at_once import at_once

    if address is None:
        yield at_once(show_named, wanted, min(jobs or available_cores(), len(wanted)))
        return
    from stress.cluster.connecting import connected
    from stress.cluster.shards import Shards

    with connected(address, jobs) as cluster:
        shards: Shards[Named, Shown] = Shards(cluster, show_named)
        yield shards.in_order(wanted)
