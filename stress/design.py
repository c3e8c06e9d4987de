"""What a design is: data. A name, a year, a source, and one program per operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from inspect import signature
from keyword import iskeyword
from numbers import Integral
from types import MappingProxyType
from typing import Any

from shm_layout.errors import UsageError
from stress.machine_kind import PAGE_TABLES, MachineKind
from stress.operation import OPERATIONS as OPERATIONS  # noqa: PLC0414
from stress.operation import READS as READS  # noqa: PLC0414
from stress.program import ByArch, Program
from stress.step import StepFunction


def percpu_batch(cpus: int) -> int:
    """Return max(32, 2 * CPUs), in pages: percpu_counter's batch grows with the machine (lib/percpu_counter.c)."""
    return max(32, 2 * cpus)


@dataclass(frozen=True)
class _Asked:
    """A function of a bound whose answer is looked at: a number, or None where that is allowed."""

    function: Callable[..., int | None]
    what: str
    least: int
    none: bool

    def __call__(self, *given: int) -> int | None:
        """Ask the function. Raises `UsageError`, one line, when it raises or gives no such number."""
        try:
            answer = self.function(*given)
        except Exception as error:
            raise UsageError(f"{self.what}({_listed(given)}) raises {type(error).__name__}: {error}: mend it") from None
        if answer is None and self.none:
            return None
        if isinstance(answer, bool) or not isinstance(answer, Integral) or not self.least <= answer <= MOST_PAGES:
            wanted = f"a number from {self.least} to 2**48" + (", or None for no bound" if self.none else "")
            raise UsageError(f"{self.what}({_listed(given)}) is {answer!r}: return {wanted}")
        return int(answer)


def _listed(given: tuple[int, ...]) -> str:
    return ", ".join(map(str, given))


@dataclass(frozen=True)
class Bound:
    """How far an approximate counter may be off at rest.

    ``formula`` is shown to people; ``pages(cpus, threads, batch)`` is the number, in pages, or None where
    the design promises nothing. ``threads``: the most tasks that the mm has had at a time. ``batch(cpus)``: the batch
    of per-CPU counts on a machine with `cpus` CPUs, in pages. ``raced``: that nothing is promised is for operations
    that meet, where one change of a counter may undo another; as long as no two have overlapped, the counter is exact.
    """

    formula: str
    pages: Callable[[int, int, int], int | None]
    batch: Callable[[int], int] = percpu_batch
    raced: bool = False

    def __post_init__(self) -> None:
        """Have what the functions answer looked at: they may be the user's."""
        for name, least, none in (("pages", 0, True), ("batch", 1, False)):
            function = getattr(self, name)
            if not isinstance(function, _Asked):
                asked = _Asked(function, f"bound {self.formula!r}: {name}", least, none)
                object.__setattr__(self, name, asked)


MOST_PAGES = 1 << 48
"""Pages of a bound or of a batch: more than any machine has, and few enough for sums in 64 bits."""


def _zero(cpus: int, threads: int, batch: int) -> int:
    return 0


def _none(cpus: int, threads: int, batch: int) -> None:
    return None


MOST_NAME = 100
"""Bytes of a design's name, which is part of a file's."""

EXACT = Bound("0", _zero)
NO_BOUND = Bound("none, where operations overlap", _none, raced=True)


@dataclass(frozen=True)
class Edit:
    """One named change that made a design from another: what it mends, in a sentence."""

    name: str
    why: str


def _is_users(function: Callable[..., int]) -> bool:
    """Return whether a step or check is not of this package."""
    return function.__module__.partition(".")[0] != __name__.partition(".")[0]


@dataclass(frozen=True)
class Design:
    """A design of the fault path and of its counters.

    ``programs`` maps operations to programs; ``edits`` are the changes since ``base``. ``checks`` are
    further checks that the design brings along, see `stress.checks`. ``holders`` say which pages are held by what no
    other design has, such as a pipe: each adds to ``w[frame]`` the references that it holds, for check `page_refs`. One
    of ``(m, w)`` looks at the memory, and is called once; one of ``(m, r, w)`` at the registers of a CPU, too, and is
    called for every CPU. ``late_by`` says for operations by how many pages a counter may be off while one of them is
    under way; what is not said follows from the ptes that it changes.
    """

    name: str
    year: int
    source: str
    summary: str
    programs: Mapping[str, Program]
    bound: Bound = EXACT
    base: str | None = None
    edits: tuple[Edit, ...] = ()
    checks: tuple[Callable[..., int], ...] = field(default=())
    late_by: Mapping[str, int] = field(default_factory=dict)
    holders: tuple[Callable[..., Any], ...] = field(default=())
    machine: MachineKind = PAGE_TABLES
    """What it runs on: `stress.machine_kind.WORDS` for a lock, a queue or a protocol that needs no mm."""
    exact_reads: tuple[str, ...] = ()
    """Reads of /proc that show the precise sum: exact at rest, whatever ``bound`` the others have."""
    counter: Any = field(default=None, compare=False, repr=False)
    """What it counts with, a `stress.designs.parts.counter.Counter`, where it was made around one: for `rss`."""

    def __post_init__(self) -> None:
        """Make the programs read-only. Raises `ValueError` for a name that is none."""
        if not self.name.isprintable() or "/" in self.name or not 0 < len(self.name.encode()) <= MOST_NAME:
            raise ValueError(f"design {self.name!r}: a name has 1 to {MOST_NAME} bytes that print, and no /")
        for operation in self.programs:
            if not operation.isidentifier() or iskeyword(operation):
                raise ValueError(f"design {self.name}: operation {operation!r} is no name that a function could have")
            if not self.machine.has_mms and operation in OPERATIONS:
                has = f"operation {operation!r} is one of the machine with page tables"
                raise ValueError(f"design {self.name}: {has}: choose another name")
        for operation, pages in self.late_by.items():
            if operation not in self.programs:
                raise ValueError(f"design {self.name}: late_by names {operation!r}, which is none of its operations")
            if not isinstance(pages, int) or pages < 0:
                raise ValueError(f"design {self.name}: late_by of {operation} is {pages!r}: give a number of pages")
        for read in self.exact_reads:
            if read not in READS:
                raise ValueError(f"design {self.name}: exact_reads names {read!r}, not one of {', '.join(READS)}")
        for holder in self.holders:
            if not callable(holder) or len(signature(holder).parameters) not in {2, 3}:
                raise ValueError(f"design {self.name}: holder {holder!r} is no function of (m, w) or (m, r, w)")
        object.__setattr__(self, "programs", MappingProxyType(dict(self.programs)))

    def __reduce__(self) -> tuple[Callable[..., Design], tuple[object, ...]]:
        """Pickle by fields: steps go by their module and name."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return _restored, ({**values, "programs": dict(self.programs)},)

    @cached_property
    def steps(self) -> tuple[StepFunction, ...]:
        """All steps of the programs on either arch, in the order of their first use."""
        found: dict[StepFunction, None] = {}
        for program in self.programs.values():
            for entry in program:
                if isinstance(entry, ByArch):
                    found.update(dict.fromkeys((*entry.arch_64, *entry.arch_pae)))
                elif callable(entry):
                    found[entry] = None
        return tuple(found)

    @cached_property
    def own_steps(self) -> tuple[StepFunction, ...]:
        """The steps that are not of this package: nobody knows whether each of them ends."""
        return tuple(filter(_is_users, self.steps))

    @cached_property
    def own_checks(self) -> tuple[Callable[..., int], ...]:
        """The checks that are not of this package."""
        return tuple(filter(_is_users, self.checks))

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """Operations by name, each with its number, in the order of the numbers: register R_OP while it is under way.

        Those of `OPERATIONS` are numbered from 1 by their place there, the design's own after them.
        """
        names = [*OPERATIONS, *(name for name in self.programs if name not in OPERATIONS)]
        return MappingProxyType({name: number for number, name in enumerate(names, 1) if name in self.programs})

    @property
    def exact_read(self) -> str:
        """The operation whose single pass is held against the page table at rest.

        `precise` where there is one, or the first of `exact_reads`, or `statm`.
        """
        exact = ("precise", *self.exact_reads)
        return next((name for name in exact if name in self.programs), "statm")

    @property
    def bounded_read(self) -> str:
        """The read of /proc that is held against the bound at rest: `statm`, or the first that is not exact."""
        return next((name for name in READS if name in self.programs and name not in self.exact_reads), "statm")

    @property
    def sums(self) -> bool:
        """Whether an operation of it makes the precise sum of an approximate counter."""
        return not self.programs.keys().isdisjoint(("precise", *self.exact_reads))

    def bound_of(self, read: str) -> Bound:
        """Return how far what a read shows may be off at rest."""
        return EXACT if read in self.exact_reads else self.bound

    def judges(self, operation: str) -> bool:
        """Return whether what an operation shows is held against the truth while others go on.

        So are the reads of /proc. The precise sum of a design that is approximate is exact at rest alone: what is added
        and taken off while it goes from CPU to CPU may be seen in part. That of an exact design promises what its other
        reads do.
        """
        exact = not self.bound.raced and self.bound.pages(2, 2, 32) == 0
        return operation in READS or (operation == "precise" and exact)

    def edit(
        self,
        edit_name: str = "",
        why: str = "",
        /,
        *,
        name: str | None = None,
        **programs: Callable[[Program], Program],
    ) -> Design:
        """Return a design that differs in these operations alone.

        Each keyword names an operation and gives a function of its program: `design.edit(fault=lambda p:
        p.swap(lru_cache_add_active, page_add_anon_rmap))`. ``edit_name`` and ``why`` are kept in `edits`.
        Raises `ValueError` when the design has no such operation, or the edit fits nowhere.
        """
        changed = dict(self.programs)
        for operation, change in programs.items():
            if operation not in changed:
                raise ValueError(f"design {self.name} has no operation {operation}")
            changed[operation] = Program(*change(changed[operation]))
        edits = self.edits if name is None else ()
        if edit_name:
            edits = (*edits, Edit(edit_name, why))
        return replace(
            self,
            name=name or self.name,
            base=self.name if name else self.base,
            programs=changed,
            edits=edits,
        )

    def with_programs(self, **programs: Program) -> Design:
        """Return the design with these operations added or replaced."""
        return replace(self, programs={**self.programs, **programs})

    def without(self, *operations: str) -> Design:
        """Return the design without these operations."""
        return replace(self, programs={k: p for k, p in self.programs.items() if k not in operations})


def _restored(values: Mapping[str, Any]) -> Design:
    """Make a design again from its fields, for pickle."""
    return Design(**values)
