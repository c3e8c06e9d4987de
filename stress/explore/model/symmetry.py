"""Identical CPUs are interchangeable: of states that differ only in which of them is which, one is kept.

CPUs that perform the same operations and begin alike can change places: their registers, and what lies in
the memory for each of them (the counts of the task that runs there, the CPU's own counts, its MMU cache). A state is
replaced by the one among its images whose CPUs are in ascending order (Ip and Dill, Better Verification through
Symmetry, 1996). Nothing else in the memory may tell the CPUs apart, and no register but those of the CPU's own number
and task may name a CPU or a task. So this is done only where all operations are such as neither start nor end tasks
nor walk their list, where all their steps are those by which built-in designs perform these operations, in whatever
order, and where the counters are read at rest, and checked, as a built-in design does: such a pass sums over all tasks
or all CPUs, in whatever order. One that is edited may leave some out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from math import prod

from shm_layout.layout import Layout
from shm_layout.registers import R_CPU, R_CURRENT
from shm_layout.words import Words
from stress import designs
from stress.design import Design
from stress.designs.parts import counter_checks
from stress.explore.model.image import P_CPUS, P_SYMMETRY, STRIDE
from stress.explore.model.store_buffer import (
    ENTRY_OF_BUFFER,
    INDEX_SHIFT,
    PLACE,
    all_empty,
    buffer_of,
    buffered,
    index_of,
)
from stress.operation import KINDS
from stress.program import Program
from stress.step import StepFunction, helper
from stress.workload import Workload

OPERATIONS = frozenset(kind.name for kind in KINDS.values() if kind.keeps_tasks)
"""Operations that leave the tasks and their list as they are, and do not look at them."""
TOLD_APART = frozenset(
    (
        "tree",
        "lazy",
        "atomic_until_thread",
        "deferred_16",
        "linux_6_8",
        "linux_6_16",
        "migration",
        "mremap",
        "thp",
        "tlb_batch",
        "vma_lock",
        "vma_refcnt",
    )
)
"""Designs that keep counts by groups of CPUs, behave by who came first, or put a task's number into a register."""

ALIKE = frozenset(
    (
        counter_checks.nothing_lost,
        counter_checks.at_most_16_a_task,
        counter_checks.at_most_64_a_task,
        counter_checks.harmed_by_a_read,
    )
)
"""Checks of designs that look at all tasks, in whatever order, or at none, and at nothing else of a CPU's."""


@cache
def _known_passes() -> frozenset[Program]:
    return frozenset(program for name in designs.names() for program in _passes(designs.get(name)))


def _passes(design: Design) -> list[Program]:
    """Return the programs that are performed at rest, to hold what they show against the truth."""
    names = (design.exact_read, design.bounded_read)
    return [design.programs[name] for name in names if name in design.programs]


def _read_as_known(design: Design) -> bool:
    """Return whether the passes over the counters that are made at rest are those of built-in designs."""
    return _known_passes().issuperset(_passes(design))


@cache
def _interchangeable_steps() -> frozenset[StepFunction]:
    """Return steps that do the same for any CPU: those of the built-in designs in `OPERATIONS`, but for `TOLD_APART`.

    A list of what may be, not of what may not: any step of the library can be put into these operations, such as one
    that walks the tasks' list.
    """
    found: set[StepFunction] = set()
    for name in set(designs.names()) - TOLD_APART:
        design = designs.get(name)
        found.update(design.without(*(design.programs.keys() - OPERATIONS)).steps)
    return frozenset(found)


def classes(design: Design, workload: Workload) -> list[int]:
    """For each CPU the number of the first one that it is interchangeable with: its own where there is none."""
    columns = workload.cpus
    used = {op.name for op in workload.operations()}
    told_apart = not ALIKE.issuperset(design.checks) or design.holders
    if not used <= OPERATIONS or told_apart or not _read_as_known(design):
        return list(range(len(columns)))
    if not _interchangeable_steps().issuperset(design.without(*(design.programs.keys() - used)).steps):
        return list(range(len(columns)))
    return [columns.index(column) if column else cpu for cpu, column in enumerate(columns)]


def section(  # noqa: PLR0917
    design: Design, workload: Workload, layout: Layout, m: list[int], g: list[int], buffers: Sequence[range]
) -> list[int]:
    """Return the words of the image: class of each CPU, number of words of a CPU, and their indices; or nothing.

    ``m``, ``g``: the first state. CPUs that differ in it, because one of them performed the setup, do not change
    places: their images could not all be reached. ``buffers``: the indices of each CPU's store buffer.
    """
    cpus = range(workload.machine.cpus)
    words = [[*_words_of(layout, cpu), *buffers[cpu]] for cpu in cpus]
    registers = [i for i in range(STRIDE) if i not in (R_CPU, R_CURRENT)]
    first = [([g[cpu * STRIDE + i] for i in registers], [m[index] for index in words[cpu]]) for cpu in cpus]
    same = classes(design, workload)
    classed = [next(other for other in cpus if (same[other], first[other]) == (same[cpu], first[cpu])) for cpu in cpus]
    if classed == list(cpus):
        return []
    return [*classed, len(words[0]), *(index for cpu in words for index in cpu)]


def _words_of(layout: Layout, cpu: int) -> list[int]:
    """Return the indices of what lies in the memory for one CPU, in the same order for each."""
    machine = layout.machine
    per_cpu = {
        "task_struct": range(cpu * machine.task_depth, cpu * machine.task_depth + 1),
        "cpu": range(cpu, cpu + 1),
        "rss_stat": range(cpu * machine.mms, (cpu + 1) * machine.mms),
        "mmu_cache": range(cpu * machine.mms * machine.ptes, (cpu + 1) * machine.mms * machine.ptes),
    }
    return [
        region.index(instance, f.name)
        for name, instances in per_cpu.items()
        for region in (layout.regions[name],)
        for instance in instances
        if instance < region.count
        for f in region.struct.fields
        if f.holds != "task"
    ]


@helper
def follows(p: Words, m: Words, g: Words, one: int, other: int) -> bool:
    """Return whether what belongs to CPU ``one`` comes after what belongs to ``other``."""
    for i in range(STRIDE):
        if i not in (R_CPU, R_CURRENT) and g[one * STRIDE + i] != g[other * STRIDE + i]:
            return g[one * STRIDE + i] > g[other * STRIDE + i]
    at = p[P_SYMMETRY] + p[P_CPUS]
    count = p[at]
    for i in range(count):
        mine = m[p[at + 1 + one * count + i]]
        its = m[p[at + 1 + other * count + i]]
        if mine != its:
            return mine > its
    return False


@helper
def renamed(p: Words, index: int, one: int, other: int) -> int:
    """Return the word that stands in the place of a word when two CPUs change places."""
    at = p[P_SYMMETRY] + p[P_CPUS]
    count = p[at]
    for i in range(count):
        mine = p[at + 1 + one * count + i]
        its = p[at + 1 + other * count + i]
        if index == mine:
            return its
        if index == its:
            return mine
    return index


@helper
def rename_places(p: Words, m: Words, one: int, other: int) -> None:
    """Let the buffered stores of all CPUs go to the words that stand in the places of those that they went to."""
    for cpu in range(p[P_CPUS]):
        buffer = buffer_of(p, m, cpu)
        for i in range(buffered(p, m, cpu)):
            place = buffer[ENTRY_OF_BUFFER * i + PLACE]
            index = renamed(p, index_of(place), one, other)
            buffer[ENTRY_OF_BUFFER * i + PLACE] = place + ((index - index_of(place)) << INDEX_SHIFT)


@helper
def change_places(p: Words, m: Words, g: Words, one: int, other: int) -> None:
    """Let two CPUs change places; their numbers and their tasks' stay."""
    for i in range(STRIDE):
        if i not in (R_CPU, R_CURRENT):
            word = g[one * STRIDE + i]
            g[one * STRIDE + i] = g[other * STRIDE + i]
            g[other * STRIDE + i] = word
    at = p[P_SYMMETRY] + p[P_CPUS]
    count = p[at]
    for i in range(count):
        mine = p[at + 1 + one * count + i]
        its = p[at + 1 + other * count + i]
        word = m[mine]
        m[mine] = m[its]
        m[its] = word
    if not all_empty(p, m):
        rename_places(p, m, one, other)


@helper
def put_in_order(p: Words, m: Words, g: Words, who: Words) -> None:
    """Put the CPUs of each class in ascending order. ``who``: a word for each CPU, which changes places with it."""
    cpus = p[P_CPUS]
    classed = p[P_SYMMETRY]
    for one in range(cpus):
        for other in range(one + 1, cpus):
            if p[classed + one] == p[classed + other] and follows(p, m, g, one, other):
                change_places(p, m, g, one, other)
                word = who[one]
                who[one] = who[other]
                who[other] = word


def groups(p: list[int]) -> list[list[int]]:
    """Return the CPUs of each class."""
    classed = p[p[P_SYMMETRY] : p[P_SYMMETRY] + p[P_CPUS]]
    return [[cpu for cpu, c in enumerate(classed) if c == first] for first in sorted(set(classed))]


def own_words(p: list[int]) -> list[list[int]]:
    """For each CPU the indices of the words of the memory that belong to it."""
    at = p[P_SYMMETRY] + p[P_CPUS]
    count = p[at]
    return [list(p[at + 1 + cpu * count : at + 1 + (cpu + 1) * count]) for cpu in range(p[P_CPUS])]


EXCHANGED = [i for i in range(STRIDE) if i not in (R_CPU, R_CURRENT)]
"""Registers that change places with the CPU."""


def orders(kinds: list[int]) -> Iterator[list[int]]:
    """Yield all distinct orders of these numbers, each once. Needs room for one of them, however many there are.

    >>> list(orders([1, 0, 0]))
    [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    """
    order = sorted(kinds)
    while True:
        yield list(order)
        # the next in alphabetical order
        rise = len(order) - 2
        while rise >= 0 and order[rise] >= order[rise + 1]:
            rise -= 1
        if rise < 0:
            return
        larger = next(i for i in range(len(order) - 1, rise, -1) if order[i] > order[rise])
        order[rise], order[larger] = order[larger], order[rise]
        order[rise + 1 :] = order[:rise:-1]


def _orders_of_all(kinds: list[list[int]]) -> Iterator[tuple[list[int], ...]]:
    """Yield every choice of an order for each class."""
    if not kinds:
        yield ()
        return
    for order in orders(kinds[0]):
        for others in _orders_of_all(kinds[1:]):
            yield (order, *others)


def image_count(equal: list[int], grouped: list[list[int]]) -> int:
    """Return how many distinct images a state has: for each class n! by the orders that change nothing.

    ``equal``: for each CPU how many CPUs of its class with the same content there are up to it, itself included.

    >>> image_count([1, 1, 2], [[0, 1, 2]])
    3
    """
    places = prod(place for group in grouped for place in range(1, len(group) + 1))
    return places // prod(equal)


def images(p: list[int], m: list[int], g: list[int]) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the distinct images of a state, one for each arrangement of its CPUs: (memory, registers)."""
    indices, grouped = own_words(p), groups(p)
    content = [
        (tuple(g[cpu * STRIDE + i] for i in EXCHANGED), tuple(m[index] for index in indices[cpu]))
        for cpu in range(p[P_CPUS])
    ]
    # CPUs with the same content are of one kind, named by the first of them.
    kinds = [[next(o for o in group if content[o] == content[cpu]) for cpu in group] for group in grouped]
    for chosen in _orders_of_all(kinds):
        memory, registers = list(m), list(g)
        for group, order in zip(grouped, chosen, strict=True):
            for to, comes in zip(group, order, strict=True):
                for i, word in zip(EXCHANGED, content[comes][0], strict=True):
                    registers[to * STRIDE + i] = word
                for index, word in zip(indices[to], content[comes][1], strict=True):
                    memory[index] = word
        yield memory, registers
