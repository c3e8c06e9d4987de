"""A first look at a design: small workloads that hold its steps against the rules, before workers run them.

Workers run steps at full speed and cannot look at what each accesses. So a design whose steps are not those of a
built-in one is explored first, each operation beside itself and beside a fault: the nearest states, and schedules at
random. A step that breaks the rules, or raises, is refused then; and it is learned how many ptes of one mm each
operation changes, which says by how many pages it may be late. That is no proof that the design holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from stress.design import Design
from stress.explore import search
from stress.explore.model.check_bits import GOES_ON, bit
from stress.explore.model.image import P_CHANGES
from stress.explore.model.model import Model, SetupError
from stress.explore.model.read_interval import BITS
from stress.explore.model.step_table import is_watched
from stress.explore.result import NEVER_ENDS
from stress.operation import Operation, given_numbers, kind_of
from stress.system.never_ends import NeverEnds
from stress.workload import MOST_CPUS, Workload

RUNS = 300
"""Schedules of a workload that are drawn."""
PAGES = 3
"""Anonymous pages, more than an operation on one page changes."""


def first_look(design: Design, arch: str, operations: Iterable[str], cpus: int = 2) -> Design:
    """Return the design with ``late_by`` completed for these operations; a design that is built in as it is.

    ``cpus``: how many the workers will have, where the design runs on words, which may be too few for so many.

    Raises `RuleError` for a step that breaks the rules of steps, `DesignError` for one that raises an exception.
    """
    if not is_watched(design):
        return design
    if not design.machine.has_mms:
        _look_at_words(design, arch, operations, cpus)
        return design
    late = {}
    for name in operations:
        if name not in design.programs or kind_of(name).of_file:
            continue
        try:
            changed = _changed(design, arch, name)
        except NeverEnds:
            return design  # which workers find, too, and name
        if changed is not None and changed != 1:
            late[name] = 0 if changed == 0 else _EVERY_PAGE
    return replace(design, late_by={**late, **design.late_by})


def _look_at_words(design: Design, arch: str, operations: Iterable[str], cpus: int) -> None:
    """Perform each operation on the first and the last CPU at once: words that are one for each CPU may be too few."""
    idle = max(min(cpus, MOST_CPUS) - 2, 0)
    for name in operations:
        own = [given_numbers(name)[0]]
        columns = [own, *[[]] * idle, own] if cpus > 1 else [own]
        search(design, Workload.of(columns, arch=arch), strategy="random", runs=RUNS)


_EVERY_PAGE = 1 << 30
"""More pages than any mm has: nothing is known."""


def _changed(design: Design, arch: str, name: str) -> int | None:
    """Return how many ptes of mm 0 the operation changes that is given its first page, at most, in these workloads.

    1 for what changes the page that it is given, in whatever way built-in designs do. None where a check broke, after
    which schedules do not go on: the operation may not have come to its end. Raises `NeverEnds` for a step without end.
    """
    most = 0
    own = Operation(name, 0, 1, write=True, arg=int(kind_of(name).on_other_mm))
    faults = [Operation("fault", page, page + 1, write=True) for page in range(PAGES)]
    beside, read = (faults[0], faults[0]), (Operation("statm"),)
    for before, columns in (((), ((own,), (own,), read)), (faults, ((own,), beside, read))):
        used = [*before, *(operation for column in columns for operation in column)]
        if all(operation.name in design.programs for operation in used):
            setup = [(0, operation) for operation in before]
            workload = Workload.of(columns, setup, arch=arch, anon=PAGES, mms=3)
            try:
                result, model = search(design, workload, strategy="random", runs=RUNS)
            except SetupError:
                return None
            if result.bound == NEVER_ENDS:
                raise NeverEnds("a step or check")
            if any(bit(violation.check) & ~GOES_ON for violation in result.violations):
                return None
            most = max(most, _changed_by_first(model))
    return most


def _changed_by_first(model: Model) -> int:
    """Return how many ptes of mm 0 the first operation of a workload was seen to change."""
    first, ptes = model.p[P_CHANGES], model.workload.machine.ptes
    return sum(model.p[first + pte // BITS] >> (pte % BITS) & 1 for pte in range(ptes))
