"""What a design runs on: the machine of page tables, or words alone. The engines are given it as a value."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shm_layout.errors import UsageError
from shm_layout.machine import Machine
from stress.report.words import plural


@dataclass(frozen=True)
class MachineKind:
    """A kind of machine. ``has_mms``: it has address spaces, pages, tasks and the reads of /proc.

    ``checks``: the only ones that can break there, None for all. ``most_cpus``: for how many CPUs a design is, such as
    a lock for two; None for any number.
    """

    name: str
    summary: str
    has_mms: bool
    checks: frozenset[str] | None = None
    allocates_tables: bool = False
    """Whether page tables are allocated as they are needed (``pmd`` of `shm_layout.machine.Machine`)."""
    huge_pages: bool = False
    """Whether a CPU may have as many frames in its hands as a page table has ptes."""
    moves_pages: bool = False
    """Whether pages can be moved to other addresses (``vmas``)."""
    reuses_vmas: bool = False
    """Whether VMAs are objects with ranges that are used again (``vm_areas``)."""
    most_cpus: int | None = None

    def of(self, machine: Machine) -> Machine:
        """Return a machine of this kind with the same CPUs, and with small page tables where they come and go.

        Raises as `of_real_size` does.
        """
        if self.allocates_tables and not machine.pmd and machine.ptrs_per_pte == REAL_TABLE:
            machine = replace(machine, ptrs_per_pte=SMALL_TABLE)
        return self.of_real_size(machine)

    def of_real_size(self, machine: Machine) -> Machine:
        """Return a machine of this kind with the same CPUs and the same page tables: for what faults cost.

        Raises `UsageError` for more CPUs than there may be, and for a machine that lacks the mm that is needed.
        """
        if self.most_cpus is not None and machine.cpus > self.most_cpus:
            raise UsageError(f"the design is for {plural(self.most_cpus, 'CPU')} at most, not {machine.cpus}")
        if self.has_mms and machine.mms == 0:
            raise UsageError("the design needs an mm, and the machine has none: give it mms and pages")
        if self.allocates_tables and not machine.pmd:
            machine = _with_pmds(machine, huge_pages=self.huge_pages)
        if self.moves_pages:
            machine = replace(machine, vmas=True)
        if self.reuses_vmas:
            machine = replace(machine, vm_areas=True)
        if self.has_mms or machine.mms == 0:
            return machine
        return replace(
            machine,
            mms=0,
            anon=0,
            private_file=0,
            shared_file=0,
            frames=0,
            swap=0,
            mmu=False,
            ghost=False,
            child_pages=None,
            pmd=False,
            vmas=False,
            vm_areas=False,
        )

    def has(self, check: str) -> bool:
        """Whether a check can break there."""
        return self.checks is None or check in self.checks


REAL_TABLE = 512
"""Ptes in a page-table page of x86-64: a small machine would never have two, so it is given small ones."""
SMALL_TABLE = 2


def _with_pmds(machine: Machine, *, huge_pages: bool) -> Machine:
    """Return the machine with pmd entries, and with a frame more for each page table that they can name.

    With ``huge_pages`` each CPU has as many more as a huge page has.
    """
    tables = machine.page_tables + (machine.mms - 1) * machine.child_tables
    in_hands = machine.cpus * machine.ptrs_per_pte if huge_pages else 0
    return replace(machine, pmd=True, frames=machine.frames + tables + in_hands)


PAGE_TABLES = MachineKind("page tables", "address spaces, page frames, tasks and /proc, as the kernel has them", True)
TWO_LEVELS = MachineKind(
    "two levels", "the same, with page tables that are allocated when they are needed", True, allocates_tables=True
)
HUGE_PAGES = replace(TWO_LEVELS, name="huge pages", summary="the same, with huge pages", huge_pages=True)
MOVABLE = MachineKind(
    "movable pages", "the same as page tables, and pages move to other addresses", True, moves_pages=True
)
VM_AREAS = MachineKind("VMAs", "the same as page tables, and VMAs that have ranges", True, reuses_vmas=True)
WORDS = MachineKind(
    "words",
    "the words that a design declares (`shm_layout.structs.variable`), CPUs with registers, and nothing else",
    False,
    frozenset(("progress", "user")),
)


def words(most_cpus: int) -> MachineKind:
    """Return `WORDS` for designs that are for so many CPUs at most.

    >>> words(2).most_cpus
    2
    """
    return replace(WORDS, most_cpus=most_cpus)
