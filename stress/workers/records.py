"""What a worker is asked for, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stress.operation import Operation

Call = Operation
"""What a worker is to perform: ``Call("fault", 3, write=True)``, and ``Call("fork")`` for all pages."""


@dataclass(frozen=True)
class Shown:
    """What a read of /proc showed, in pages; None for what it does not show, or an mm that nobody uses."""

    resident: int | None
    shared: int | None
    anon: int | None
    """What the counters said of anonymous pages (register R_ANON_RSS); None where shared is not shown. When it is more
    than resident, a design may show 0 as shared."""


@dataclass(frozen=True)
class Truth:
    """What the page table of an mm says, in pages."""

    resident: int
    anon: int


@dataclass(frozen=True)
class Progress:
    """A run that goes on. Counts are since its start."""

    seconds: float
    ops: Mapping[str, int]
    true_rss: int | None = None
    """Pages of mm 0, as far as the workers' own notes are in step; None on a machine without an mm."""
    read_rss: int | None = None
    """What the last read of mm 0 showed."""


@dataclass(frozen=True)
class Result:
    """What a run measured."""

    seconds: float
    """From the workers' start to the last one's rest."""
    ops: Mapping[str, int]
    """Operations finished, by name; those of the mix only."""
    ns: Mapping[str, float | None]
    """Mean time of one operation in a worker, nanoseconds, waits included; None where none was timed."""
    faults: Mapping[str, int]
    """Faults that had an effect, by kind."""
    reads: int
    """Reads that were compared with the truth."""
    user: float
    """CPU time of all workers in user mode, seconds."""
    system: float
    at_rest: bool = field(default=True)
    """False: the workers had to be stopped in the middle of an operation."""

    @property
    def operations(self) -> int:
        """All operations finished."""
        return sum(self.ops.values())

    @property
    def per_second(self) -> float:
        """Operations per second of all workers together."""
        return self.operations / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Usage:
    """A worker process: pid, the CPU that it is pinned to, bytes that are its own."""

    worker: int
    pid: int
    cpu: int
    uss: int


@dataclass(frozen=True)
class Verdict:
    """Whether a check held, and what is to be said about it."""

    name: str
    ok: bool
    detail: str
