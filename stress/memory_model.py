"""The memory models that the explorer knows: one table, which the documentation prints.

Each CPU has a buffer of stores. What tells the models apart is which of its stores may leave it next, and that decides
which accesses of a CPU others may see in another order than its program's.
"""

from __future__ import annotations

from dataclasses import dataclass

from shm_layout.errors import UsageError
from stress.report.words import did_you_mean


@dataclass(frozen=True)
class MemoryModel:
    """A memory model.

    ``number``: what compiled code knows it by. ``keeps``: which accesses of one CPU others see in program order.
    ``leaves``: which store may leave a CPU's buffer next. ``waits``: what waits until the buffer is empty.
    ``nothing``: which barriers and orders do nothing, because the model keeps that order anyway.
    """

    name: str
    number: int
    keeps: str
    leaves: str
    waits: str
    nothing: str
    source: str


SC, TSO, PSO = range(3)

_WAITS = "atomic read-modify-writes, smp_mb, steps that stand for a whole piece of the kernel"

MEMORY_MODELS = {
    model.name: model
    for model in (
        MemoryModel(
            "sc",
            SC,
            keeps="all accesses",
            leaves="no buffer: a store is seen at once",
            waits="nothing",
            nothing="all barriers, acquire and release",
            source="Lamport, How to Make a Multiprocessor Computer That Correctly Executes Multiprocess Programs, 1979",
        ),
        MemoryModel(
            "tso",
            TSO,
            keeps="all but a store and a later load of another word",
            leaves="the oldest",
            waits=_WAITS,
            nothing="smp_wmb, smp_rmb, acquire and release",
            source="x86: Owens, Sarkar, Sewell, A Better x86 Memory Model: x86-TSO, TPHOLs 2009",
        ),
        MemoryModel(
            "pso",
            PSO,
            keeps="loads; stores to the same word; stores that smp_wmb or a release stands between",
            leaves="the oldest to its word, behind no smp_wmb or release that older stores wait in front of",
            waits=_WAITS,
            nothing="smp_rmb and acquire",
            source="SPARC International, The SPARC Architecture Manual, Version 8, 1992, chapter 6 and appendix K",
        ),
    )
}
"""The models by name, from the strongest to the weakest."""

NAMES = tuple(MEMORY_MODELS)


def memory_model(name: str) -> MemoryModel:
    """Return the model of that name. Raises `UsageError` for none.

    >>> memory_model("tso").leaves
    'the oldest'
    """
    if name not in MEMORY_MODELS:
        raise UsageError(f"no memory model {name!r}{did_you_mean(name, NAMES)}")
    return MEMORY_MODELS[name]
