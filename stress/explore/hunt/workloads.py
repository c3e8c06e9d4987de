"""Hypothesis strategies for workloads that the explorer can try completely.

What is likely to break something is drawn more often than the rest: few CPUs that do one thing each to the same
page, faults most of all, on a page that was written, swapped out or shared with a child beforehand. Every choice is
one from a list that begins with the simplest, which is what Hypothesis makes a workload smaller by.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import combinations

from hypothesis import strategies as st

from shm_layout.errors import UsageError
from stress.compiling.fingerprint import reaches
from stress.design import Design
from stress.machine_kind import PAGE_TABLES, MachineKind
from stress.operation import ONE, PAGE, PROC, SUM, WRITE, Operation, given_numbers, kind_of
from stress.workload import Workload

MOST_CPUS = 3
MOST_PER_CPU = 2
"""Operations of one CPU: what two CPUs cannot do to each other in two operations, three rarely can."""
MOST_PIECES = 3
MOST_SETUP = 3 * MOST_PIECES + 6
"""Operations of the setup: no piece of it has more than three, and an earlier life of an mm with three pages six."""
MMS = 3
"""Address spaces: the first, that of a child, that of a child's child or of exec."""

PAGES: tuple[tuple[int, int, int], ...] = ((1, 0, 0),) * 5 + ((2, 0, 0),) * 2 + ((3, 0, 0),)
"""Anonymous pages, pages of a private and of a shared file mapping, as often as each is drawn."""
PAGES_WITH_FILES: tuple[tuple[int, int, int], ...] = (*PAGES, *(((0, 1, 0), (0, 0, 1)) * 2), (1, 1, 1))
"""The same for a design that has operations on files."""

Size = Mapping[str, int]
"""Fields of a machine that say how small its parts are."""

BATCHES = (2, 1, 3)
"""Batches of per-CPU counts, beside what the machine has by default: at 1 nothing is held back, at 2 and 3 a CPU moves
its count on at once and is left with another."""


TABLES = (1, 2)
"""Ptes in a page table, where these come and go: at 1 a page alone fills a table, or a huge page."""


def kinds_of(design: Design) -> tuple[str, ...]:
    """Return the operations that workloads for this design are drawn from. Raises `UsageError` when it has none."""
    if not design.programs:
        raise UsageError(f"design {design.name} has no operation: give it programs")
    drawn = [name for name in design.programs if kind_of(name).reads != SUM]
    return tuple(sorted(drawn, key=lambda name: kind_of(name).hunt_rank))


def batches_of(design: Design) -> tuple[int, ...]:
    """Return the batches that are drawn for a design: one alone where no step looks at it."""
    if not reaches(design.steps, "BATCH"):
        return BATCHES[:1]
    return (*BATCHES, design.bound.batch(MOST_CPUS))


def sizes_of(batches: Sequence[int], machine: MachineKind) -> list[Size]:
    """Return the sizes that are drawn: each batch, and where page tables come and go each size of a table."""
    if not machine.allocates_tables:
        return [{"batch": batch} for batch in batches]
    each: list[Size] = [{"batch": batch, "ptrs_per_pte": TABLES[0]} for batch in batches]
    return each + [{"batch": batches[0], "ptrs_per_pte": table} for table in TABLES[1:]]


def variants(kind: str, anon: int, pages: int) -> list[Operation]:
    """Return all operations of a kind on a machine of `pages` pages, of which the first ``anon`` are anonymous.

    An operation of a user's own is given a page, and a write or none.
    """
    given = kind_of(kind)
    places = range(anon if given.of_file else 0, pages) if PAGE in given.takes else (-1,)
    accesses = (True, True, False) if given.maps == ONE else (True, False)
    writes = accesses if WRITE in given.takes else (False,)
    # 0 is what the task runs on, 1 the first mm
    targets = (1, 2, 3) if given.on_other_mm else (0, 0, 1, 2) if given.reads == PROC else (0,)
    if given.two_pages:
        return [Operation(kind, first, last + 1) for first, last in combinations(places, 2)]
    return [Operation(kind, max(p, 0), p + 1, w, a) for p in places for a in targets for w in writes]


def _repeated(lists: Iterable[tuple[int, Sequence[Operation]]]) -> list[Operation]:
    """Return all these operations in order, each list as often as its weight says, whatever its length."""
    return [operation for weight, listed in lists for operation in listed for _ in range(weight)]


@cache
def operations(kinds: tuple[str, ...], anon: int, pages: int) -> st.SearchStrategy[Operation]:
    """Return one operation of these kinds on a machine of this size."""
    each = [(kind_of(kind).hunt_weight, variants(kind, anon, pages)) for kind in kinds]
    # 12: nearly every number of variants divides it
    return st.sampled_from(_repeated((max(1, 12 * weight // len(v)), v) for weight, v in each if v))


def states(kinds: Sequence[str], page: int) -> list[tuple[Operation, ...]]:
    """Return the setups that bring one page, and the tasks that use it, into each state that matters."""
    write, read = (Operation("fault", page, page + 1, w) for w in (True, False))
    swap_out, fork, clone, exit_ = (Operation(kind) for kind in ("swap_out", "fork", "clone", "exit"))
    found = [(write,), (read,), (write, swap_out), (write, swap_out, read), (clone,), (clone, write), (clone, exit_)]
    found += [(write, fork)]
    return [piece for piece in found if {operation.name for operation in piece} <= set(kinds)]


@cache
def pieces(kinds: tuple[str, ...], anon: int, pages: int) -> st.SearchStrategy[tuple[Operation, ...]]:
    """Return a piece of the setup: the state of a page or of all, or any operation of these kinds."""
    found = [piece for page in range(pages) for piece in states(kinds, page)]
    if pages > 1 and "fault" in kinds:
        found += [tuple(Operation("fault", page, page + 1, True) for page in range(pages))] * 4
    return st.sampled_from(found * 2 + [(v,) for kind in kinds for v in variants(kind, anon, pages)[:1]])


@cache
def _columns(kinds: tuple[str, ...], anon: int, pages: int, cpus: int) -> st.SearchStrategy[list[list[Operation]]]:
    each = operations(kinds, anon, pages)
    return st.lists(st.lists(each, min_size=1, max_size=MOST_PER_CPU), min_size=cpus, max_size=cpus)


_Setup = list[tuple[int, tuple[Operation, ...]]]


def earlier_life(kinds: Sequence[str], pages: int, cpus: int) -> _Setup:
    """Return the earlier life of an mm that is used anew: a child wrote to its pages, another CPU took one, it ended.

    Its counters are not as they are in memory that nobody has used: what is not set at the start of an mm shows.
    """
    if not {"fork", "fault", "exit"} <= set(kinds):
        return []
    writes = tuple(Operation("fault", page, page + 1, True) for page in range(pages))
    taken: _Setup = [(1, (Operation("swap_out"),))] if cpus > 1 and "swap_out" in kinds else []
    return [(0, (Operation("fork"), *writes)), *taken, (0, (Operation("exit"),))]


@cache
def _setup(kinds: tuple[str, ...], anon: int, pages: int, cpus: int) -> st.SearchStrategy[_Setup]:
    cpu = st.sampled_from([0, 0, *range(cpus)])
    first: st.SearchStrategy[_Setup] = st.sampled_from([[], [], earlier_life(kinds, pages, cpus)])
    then: st.SearchStrategy[_Setup] = st.lists(st.tuples(cpu, pieces(kinds, anon, pages)), max_size=MOST_PIECES)
    return st.tuples(first, then).map(lambda parts: parts[0] + parts[1])


def _workload(
    columns: Sequence[Sequence[Operation]],
    before: Sequence[tuple[int, tuple[Operation, ...]]],
    pages: tuple[int, int, int],
    **machine: int | str,
) -> Workload:
    """Return a workload on a machine that has all that its operations can ask for."""
    anon, private, shared = pages
    return Workload.of(
        columns,
        [(cpu, operation) for cpu, piece in before for operation in piece],
        anon=anon,
        private_file=private,
        shared_file=shared,
        mms=MMS,
        swap=2,
        frames=1 + 2 * sum(pages) + len(columns),
        ghost=True,
        task_depth=3,
        **machine,
    )


def _on_one_page(kinds: Sequence[str]) -> list[Operation]:
    """Return the operations of these kinds on one anonymous page, those that are alike once."""
    return [
        operation
        for kind in kinds
        if not kind_of(kind).of_file and not (kind in ("status", "stat") and "statm" in kinds)
        for operation in dict.fromkeys(variants(kind, 1, 1))
        if not kind_of(kind).on_other_mm or (operation.write and operation.arg == 1)
        if not kind_of(kind).reads or operation.arg == 0
    ]


def pairs(
    kinds: Sequence[str], arch: str, setup_kinds: Sequence[str], sizes: Sequence[Size]
) -> st.SearchStrategy[Workload]:
    """Return workloads of two operations at the same time, on one page in each of its `states`: all are tried."""
    return _two_at_once((1, 0, 0), [(), *states(setup_kinds, 0)], _on_one_page(kinds), arch, sizes)


def _two_at_once(
    pages: tuple[int, int, int],
    before: Sequence[tuple[Operation, ...]],
    operations: Sequence[Operation],
    arch: str,
    sizes: Sequence[Size],
) -> st.SearchStrategy[Workload]:
    """Return every two of these operations at the same time, behind each of these pieces of a setup."""
    def of(piece: tuple[Operation, ...], one: Operation, other: Operation, size: Size) -> Workload:
        setup = [(0, piece)] if piece else []
        return _workload([[one], [other]], setup, pages, arch=arch, mmu=True, above_4g=True, **size)

    each = st.sampled_from(operations)
    return st.builds(of, st.sampled_from(before), each, each, st.sampled_from(sizes))


def on_file(
    kinds: Sequence[str], arch: str, setup_kinds: Sequence[str], sizes: Sequence[Size]
) -> st.SearchStrategy[Workload] | None:
    """Return workloads of two operations at the same time on one page of a shared file, in each state of that page.

    It is in the page cache or not, mapped or not, or was mapped before. None where no operation is one on files.
    """
    if not any(kind_of(kind).of_file for kind in kinds):
        return None
    operations = [
        operation
        for kind in kinds
        if not kind_of(kind).reads
        for operation in dict.fromkeys(variants(kind, 0, 1))
        if not kind_of(kind).on_other_mm or operation.arg == 1
    ]
    read = Operation("fault", 0, 1)
    took = [(read, Operation(kind, 0, 1)) for kind in ("zap", "madvise_dontneed")]
    pieces_ = [(), (read,), *took, (read, Operation("fork"))]
    before = [piece for piece in pieces_ if {operation.name for operation in piece} <= set(setup_kinds)]
    return _two_at_once((0, 0, 1), before, operations, arch, sizes)


def storing(
    kinds: Sequence[str], arch: str, setup_kinds: Sequence[str], sizes: Sequence[Size]
) -> st.SearchStrategy[Workload] | None:
    """Return workloads of two operations at the same time, while a third CPU stores through its TLB.

    It has loaded the translation of the page before. None where no operation of these kinds goes through a TLB.
    """
    through = [name for name in kinds if kind_of(name).by_tlb and name in setup_kinds]
    if not through or "fault" not in setup_kinds:
        return None
    others = [operation for operation in _on_one_page(kinds) if not kind_of(operation.name).reads]
    moves = [operation for kind in kinds if kind_of(kind).two_pages for operation in variants(kind, 2, 2)]
    of_file = [operation for kind in kinds if kind_of(kind).of_file for operation in variants(kind, 0, 1)]

    def on(pages: tuple[int, int, int], each: st.SearchStrategy[Operation]) -> st.SearchStrategy[Workload]:
        def of(store: str, one: Operation, other: Operation, size: Size) -> Workload:
            stores = Operation(store, 0, 1)
            before = [(1, (Operation("fault", 0, 1, write=True), stores))]
            return _workload([[one], [stores], [other]], before, pages, arch=arch, mmu=True, **size)

        return st.builds(of, st.sampled_from(through), each, each, st.sampled_from(sizes))

    if not moves:
        return on((1, 0, 0), st.sampled_from(others))
    return on((2, 0, 0), st.sampled_from(others + moves)) | on((0, 0, 2), st.sampled_from(others + moves + of_file))


def watched(
    kinds: Sequence[str], arch: str, setup_kinds: Sequence[str], sizes: Sequence[Size]
) -> st.SearchStrategy[Workload] | None:
    """Return workloads in which a page goes while it is mapped, and a CPU reads after that.

    What is counted too late shows to the reader.

    None where the kinds lack one of the three.
    """
    maps = [first for kind in kinds if kind_of(kind).maps == ONE for first in variants(kind, 1, 1)[:1]]
    goes = [operation for kind in ("swap_out", "zap") if kind in kinds for operation in variants(kind, 1, 1)]
    reads = [Operation(name) for name in kinds if kind_of(name).reads == PROC]
    if not (maps and goes and reads):
        return None

    def of(piece: tuple[Operation, ...], one: Operation, other: Operation, read: Operation, size: Size) -> Workload:
        before = [(0, piece)] if piece else []
        return _workload([[one], [other, read]], before, (1, 0, 0), arch=arch, mmu=True, above_4g=True, **size)

    pieces_ = st.sampled_from([(), *states(setup_kinds, 0)])
    chosen = [st.sampled_from(each) for each in (maps, goes, reads)]
    return st.builds(of, pieces_, *chosen, st.sampled_from(sizes))


_CPUS = st.sampled_from([1, *[2] * 5, *[3] * 2])
_TWO_OF_THREE = st.sampled_from([False, True, True])


@st.composite
def larger(
    draw: st.DrawFn, kinds: Sequence[str], arch: str, setup_kinds: Sequence[str], sizes: Sequence[Size]
) -> Workload:
    """Return a few CPUs with a few operations each, on a few pages of any kind."""
    files = any(kind_of(kind).of_file for kind in kinds)
    only = all(kind_of(kind).of_file for kind in kinds)
    choices = [c for c in (PAGES_WITH_FILES if files else PAGES) if not only or c[1:] != (0, 0)]
    anon, private, shared = draw(st.sampled_from(choices))
    pages = anon + private + shared
    cpus = draw(_CPUS)
    before = draw(_setup(tuple(setup_kinds), anon, pages, cpus))
    return _workload(
        draw(_columns(tuple(kinds), anon, pages, cpus)),
        before,
        (anon, private, shared),
        arch=arch,
        mmu=draw(_TWO_OF_THREE),
        above_4g=draw(_TWO_OF_THREE) if arch == "pae" else True,
        **draw(st.sampled_from(sizes)),
    )


@st.composite
def of_words(
    draw: st.DrawFn, kinds: Sequence[str], arch: str, setup_kinds: Sequence[str], machine: MachineKind
) -> Workload:
    """Return a few CPUs with a few operations each, on a machine of words."""
    each = st.sampled_from([operation for name in kinds for operation in given_numbers(name)])
    cpus = min(draw(_CPUS), machine.most_cpus or MOST_CPUS)
    columns = draw(st.lists(st.lists(each, min_size=1, max_size=MOST_PER_CPU), min_size=cpus, max_size=cpus))
    first = st.sampled_from([given_numbers(name)[0] for name in setup_kinds])
    before = draw(st.lists(st.tuples(st.sampled_from([0, *range(cpus)]), first), max_size=MOST_PIECES))
    return Workload.of(columns, before, arch=arch).of_kind(machine)


def workloads(
    kinds: Sequence[str],
    arch: str,
    setup_kinds: Sequence[str] | None = None,
    batches: Sequence[int] = BATCHES[:1],
    *,
    machine: MachineKind = PAGE_TABLES,
) -> st.SearchStrategy[Workload]:
    """Return workloads of these operations: `pairs`, `watched`, `storing` and `on_file`, of which none is drawn
    twice, and `larger`, which go on when those are exhausted; on a ``machine`` without an mm, `of_words`.

    ``setup_kinds``: operations of the setup, the same where it is None. ``batches``: see `batches_of`.
    """
    before = setup_kinds or kinds
    if not machine.has_mms:
        return of_words(kinds, arch, before, machine)
    sizes = sizes_of(batches, machine)
    if all(kind_of(kind).of_file for kind in kinds):
        return larger(kinds, arch, before, sizes)
    families = (family(kinds, arch, before, sizes) for family in (pairs, watched, storing, on_file))
    return st.one_of(*(family for family in families if family is not None), larger(kinds, arch, before, sizes))
