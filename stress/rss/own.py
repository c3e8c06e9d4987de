"""A counter of the user's own, made ready to be compared: ``FILE.py:NAME``."""

from __future__ import annotations

from collections.abc import Iterator

from shm_layout.errors import UsageError
from stress import designs
from stress.design import Design
from stress.designs.parts.counter import Counter, Fragment
from stress.program import Program
from stress.resolve import resolve_design
from stress.rss.subjects import Subject, locked


def own_subject(name: str) -> Subject:
    """Return the counter of a design of the user's own, as `stress.rss` takes it.

    Raises `UsageError` where ``FILE.py:NAME`` is no design that was made around a `Counter`, where it has the name of
    one that is built in, and where an edit changed how it counts.
    """
    design = resolve_design(name)
    counter = design.counter
    if not isinstance(counter, Counter):
        raise UsageError(f"{name} is made around no Counter: make it with on_sound_path(..., counter_that(...))")
    if design.name in designs.names():
        raise UsageError(f"{name} is called {design.name!r}, as a built-in design is: give it a name of its own")
    for operation, fragment in _fragments(counter):
        if not _is_part(Program(*fragment), design.programs[operation]):
            raise UsageError(f"{name}: an edit of {operation} changed how it counts: make that change in its Counter")
    return Subject(
        design.name,
        counter.fault_rss,
        locked(counter.sub_freed),
        counter.statm,
        "",
        lambda cpus, threads: None,
        precise=counter.precise,
        ticks=tuple(counter.more.values()),
        stay=lambda cpus, batch: [_held(design, cpus, batch)] * cpus,
        own=design,
    )


def _fragments(counter: Counter) -> Iterator[tuple[str, Fragment]]:
    yield "fault", counter.fault_rss
    yield "zap", counter.sub_freed
    yield "statm", counter.statm


def _is_part(fragment: Program, program: Program) -> bool:
    """Return whether the entries of a fragment stand one after the other in a program."""
    size = len(fragment)
    return any(program[at : at + size] == fragment for at in range(len(program) - size + 1))


UNBOUNDED = 16
"""Pages that a CPU counts before a worker goes on to the next, where the design bounds nothing that a CPU holds."""


def _held(design: Design, cpus: int, batch: int) -> int:
    """Return pages that each CPU counts before the worker goes on: its share of what the design may be off by."""
    return (design.bound.pages(cpus, cpus, batch) or 0) // cpus or UNBOUNDED
