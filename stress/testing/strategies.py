"""Hypothesis strategies: calls that a machine can perform, and batches of them for several workers."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from shm_layout.machine import Machine
from stress.operation import FRAME, PAGE, RANGE, kind_of
from stress.workers.records import Call

Batch = dict[int, list[Call]]
"""Calls of each worker, by its number: what `Pool.perform` takes."""


def calls(machine: Machine, operations: Sequence[str]) -> st.SearchStrategy[Call]:
    """Return one of these operations with arguments that the machine has pages, mms and frames for.

    An operation of a design's own is given a range of pages. Truncation is left out where there is no file.
    """
    known = [name for name in operations if not kind_of(name).of_file or machine.ptes > machine.anon]
    return st.one_of([_call(machine, name) for name in known])


def _call(machine: Machine, name: str) -> st.SearchStrategy[Call]:
    operation, kind = st.just(name), kind_of(name)
    if RANGE not in kind.takes:
        if kind.of_file:
            return st.builds(Call, operation, address=st.integers(machine.anon, machine.ptes - 1))
        if PAGE in kind.takes:
            page = st.integers(0, machine.ptes - 1)
            target = st.integers(0, machine.mms) if kind.on_other_mm else st.just(0)
            return st.builds(Call, operation, address=page, write=st.booleans(), arg=target)
        if kind.reads:
            return st.builds(Call, operation, arg=st.integers(0, machine.mms))
        if FRAME in kind.takes:
            return st.builds(Call, operation, arg=st.integers(0, machine.frames - 1))
        return st.builds(Call, operation)
    ends = st.tuples(st.integers(0, machine.ptes), st.integers(0, machine.ptes)).filter(lambda pair: pair[0] != pair[1])
    return ends.map(lambda pair: Call(name, address=min(pair), end=max(pair)))


def batches(
    machine: Machine, operations: Sequence[str], *, workers: int, most_calls: int = 8
) -> st.SearchStrategy[Batch]:
    """Batches of one to ``most_calls`` calls for each of some workers, at least two where there are two."""
    return st.dictionaries(
        st.integers(0, workers - 1),
        st.lists(calls(machine, operations), min_size=1, max_size=most_calls),
        min_size=min(workers, 2),
        max_size=workers,
    )


def mixes(operations: Sequence[str]) -> st.SearchStrategy[dict[str, int]]:
    """Weights for a random mix of these operations, at least one above 0: what `Pool.run` takes."""
    weights = st.fixed_dictionaries({name: st.integers(0, 8) for name in operations})
    return weights.filter(lambda mix: any(mix.values()))
