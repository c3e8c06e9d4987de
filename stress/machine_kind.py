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
    most_cpus: int | None = None

    def of(self, machine: Machine) -> Machine:
        """Return a machine of this kind with the same CPUs.

        Raises `UsageError` for more CPUs than there may be, and for a machine that lacks the mm that is needed.
        """
        if self.most_cpus is not None and machine.cpus > self.most_cpus:
            raise UsageError(f"the design is for {plural(self.most_cpus, 'CPU')} at most, not {machine.cpus}")
        if self.has_mms and machine.mms == 0:
            raise UsageError("the design needs an mm, and the machine has none: give it mms and pages")
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
        )

    def has(self, check: str) -> bool:
        """Whether a check can break there."""
        return self.checks is None or check in self.checks


PAGE_TABLES = MachineKind("page tables", "address spaces, page frames, tasks and /proc, as the kernel has them", True)
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
