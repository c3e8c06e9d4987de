"""One hunt by many machines: each worker of a cluster hunts for a while, from a seed of its own.

As with several processes here (`stress.explore.hunt.jobs`), what a shard found is explored again by the hunt that it is
of, which decides what it is one of. A shard begins where the hunt is by then: what is known is not told again, and
faults that were found are mended.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field, replace

from stress.cluster.connecting import Cluster
from stress.cluster.sent import Sent
from stress.cluster.shards import Shards
from stress.explore.hunt.databases import shared_database
from stress.explore.hunt.hunt import Hunt, Signature
from stress.explore.hunt.jobs import SEEDS, TOLD_EVERY, Progress, summed
from stress.explore.hunt.mends import mends_of
from stress.explore.hunt.workloads import batches_of, kinds_of, workloads
from stress.system.hypothesis_home import no_hypothesis_folder
from stress.workload import Workload

SECONDS = 20.0
"""Time that a shard hunts, at most: a process and what it compiled are made ready for it."""
LEAST = 0.5
"""Seconds that are worth a shard."""
LATE = 300.0
"""Seconds that shards have to come back when the time is up: where nothing was compiled, they begin late."""


@dataclass(frozen=True)
class Shard:
    """What one worker hunts for: ``design`` under a memory model, with the mends named ``mended``, for ``seconds``.

    ``kinds``: operations to draw. ``known``: signatures of what was found before. ``database``: where finds are
    shared, "" for nowhere.
    """

    design: Sent
    kinds: tuple[str, ...]
    arch: str
    memory: str
    checks: tuple[str, ...] | None
    first: bool
    database: str
    seed: int
    seconds: float = SECONDS
    mended: tuple[str, ...] = ()
    known: frozenset[Signature] = frozenset()


@dataclass
class Trove:
    """What a shard came to: the workloads that break something, and how far it has come."""

    workloads: list[Workload] = field(default_factory=list)
    progress: Progress = field(default_factory=Progress)


def hunt_shard(shard: Shard) -> Trove:
    """On a worker: hunt for a while."""
    design = shard.design.resolve()
    trove = Trove()
    hunt = Hunt(
        design,
        workloads(shard.kinds, shard.arch, kinds_of(design), batches_of(design), machine=design.machine),
        seconds=shard.seconds,
        seed_=shard.seed,
        first=shard.first,
        checks=shard.checks,
        memory=shard.memory,
        mends=mends_of(design),
        database=shared_database(shard.database, design, shard.memory) if shard.database else None,
    )
    hunt.begin()
    hunt.go_on_from(shard.known, shard.mended)
    with no_hypothesis_folder():
        hunt.alone(0, breaks=trove.workloads.append)
    trove.progress = hunt.so_far()
    return trove


class Crew:
    """The shards of a hunt: a `stress.explore.hunt.hunt.Team`."""

    late = LATE

    def __init__(self, cluster: Cluster, shard: Shard, seconds: float) -> None:
        """Begin to hand shards out, for so many seconds. ``shard``: what all of them have in common."""
        self._shards: Shards[Shard, Trove] = Shards(cluster, hunt_shard, again=not shard.design.files)
        self._shard, self._end = shard, time.monotonic() + seconds
        self._found: deque[Workload] = deque()
        self._count = 0
        self._ended = False
        self.one_ended = False
        """Whether one has told all that it had."""
        self.total = Progress()
        """What they came to together."""

    def listen(self, hunt: Hunt) -> Workload | None:
        """Return the next workload that breaks something; None when there is none just now."""
        self._hand_out(hunt)
        if not self._found and (done := self._shards.take(TOLD_EVERY)) is not None:
            trove = done.result()
            self.total, self.one_ended = summed([self.total, trove.progress]), True
            self._found += trove.workloads
        return self._found.popleft() if self._found else None

    def _hand_out(self, hunt: Hunt) -> None:
        left = self._end - time.monotonic()
        known, mended = hunt.known()
        for _ in range(self._shards.free if left > LEAST and not self._ended else 0):
            self._count += 1
            seconds = min(SECONDS, left)
            seed = self._shard.seed + self._count * SEEDS
            self._shards.add(replace(self._shard, seed=seed, seconds=seconds, known=known, mended=mended))

    @property
    def at_work(self) -> bool:
        """Whether anything may still come."""
        more = not self._ended and self._end - time.monotonic() > LEAST
        return bool(self._found) or self._shards.under_way > 0 or more

    def end(self) -> None:
        """End those that are at work still."""
        self._ended = True
        self._shards.close()
