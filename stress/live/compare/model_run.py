"""A script of operations on the model: what the steps of a design do where the running kernel does it for real.

The model is a kernel of 2004 without VMAs; the kernel that runs is not. This is the one place where they are
mapped to each other:

====================== ================================ ==================================================
running kernel         model                            why
====================== ================================ ==================================================
private anonymous area pages [0, N)                     the same
private file area      pages [N, 2N)                    the same; a private write makes an anonymous copy
shared tmpfs area      pages [2N, 3N), file pages       MM_SHMEMPAGES was split off MM_FILEPAGES in 4.5: what
                                                        the model has mapped there counts as shmem
zero page              zero page, not counted           the same in both: it counts from the first write on
MADV_DONTNEED          `madvise_dontneed`, or zap       the same; pages of files stay in the page cache
munmap                 zap of the area, or of pages     the model has no VMA to take away: scripts touch no
                                                        page that is not mapped
mprotect to PROT_READ  `mprotect`, or nothing           scripts do not store there; nothing is mapped or unmapped
mremap of one page     `mremap`, else not in scripts    to a higher address, whose page is unmapped
mmap over an area      zap of the area                  MAP_FIXED unmaps what was there
fork                   fork-copy of everything, then    since 2.6.14 (commit d992895ba2b2) fork leaves to faults
                       the child's zap of the areas     what faults bring back: areas without an anon_vma,
                       that the kernel leaves out       that is without a private write since they were mapped;
                       (MADV_DONTNEED where there is)   a VMA that is split off or moved keeps its anon_vma
a process              a task on a CPU of its own       only the task on top of a CPU's stack can fork or exit;
                                                        a child is moved to a free CPU, like a task that is
                                                        woken up there
swapping, truncation,  not in scripts                   the kernel swaps when it wants, and nothing here makes
exec, threads                                           it; the others are left to `run` and `explore`
====================== ================================ ==================================================

What the kernel does beyond that, and is switched off or kept out of reach: see `stress.live.compare.kernel_run`.
"""

from __future__ import annotations

from shm_layout.errors import UsageError
from shm_layout.machine import Machine
from shm_layout.registers import R_CURRENT
from stress.checks import oops_names
from stress.design import Design
from stress.kernel.mm_types import MM_EXITING, NO_MM
from stress.kernel.pgtable import pte_anon, pte_at, pte_counted
from stress.kernel.proc import NOT_SHOWN
from stress.live.compare.family import Family
from stress.live.compare.kernel_run import AREAS, ONE_BY_ONE, Area, Op
from stress.live.reading.process import Resident
from stress.program import assemble
from stress.sequential import PlainMachine

NEEDED = ("fault", "zap", "fork", "exit", "statm")
"""Operations that a design must have to be compared."""


class Stuck(Exception):
    """The model cannot go on: an operation waits for ever, or breaks a check; the text says which."""


class ModelRun:
    """A family of tasks of the model that carries out scripts, one operation after the other."""

    def __init__(self, design: Design, pages: int, processes: int) -> None:
        """Boot a machine for up to ``processes`` processes with areas of ``pages`` pages.

        Raises `UsageError` when the design lacks an operation, or one of its programs cannot be run.
        """
        lacking = [name for name in NEEDED if name not in design.programs]
        if lacking:
            raise UsageError(f"design {design.name} has no {', '.join(lacking)}: a comparison needs it")
        if design.machine.huge_pages:
            raise UsageError(f"design {design.name} has huge pages, which are switched off in the processes compared")
        self.design = design
        self.pages = pages
        ptes = pages * len(AREAS)
        # Every pte can have a page of its own, so can every page of the files; no operation goes without.
        frames = 1 + processes * ptes + ptes
        machine = Machine(
            cpus=processes, mms=processes, anon=pages, private_file=pages, shared_file=pages, frames=frames
        )
        machine = design.machine.of(machine)
        try:
            for name in NEEDED:
                assemble(design.programs[name], machine.arch)
        except ValueError as why:
            raise UsageError(f"design {design.name}, operation {name}: {why}") from None
        self.machine = machine
        self._plain = PlainMachine(design, machine)
        self._booted = list(self._plain.m), [list(r) for r in self._plain.registers]
        self._family = Family(processes, pages)
        self._drop = "madvise_dontneed" if "madvise_dontneed" in design.programs else "zap"
        self.moves = "mremap" in design.programs
        """Whether the design can move pages."""

    @property
    def running(self) -> list[int]:
        """Numbers of the processes that run, ascending."""
        return self._family.running

    def apply(self, op: Op) -> None:
        """Carry out one operation, which must be possible.

        Raises `Stuck` when the design waits for a task that is not there, breaks a check or starts no child.
        """
        first, last = self._span(op.area)
        if op.do in ONE_BY_ONE:
            first += op.first
            last = first + op.count
        if op.do in ("read", "write"):
            for address in range(first, last):
                self._perform("fault", op.process, address=address, write=op.do == "write")
        elif op.do == "fork":
            self._fork(op.process)
        elif op.do == "exit":
            self._perform("exit", op.process)
        elif op.do == "discard":
            self._perform(self._drop, op.process, address=first, end=last)
        elif op.do == "move":
            self._perform("mremap", op.process, address=first, end=last)
        elif op.do != "protect":
            self._perform("zap", op.process, address=first, end=last)
        elif "mprotect" in self.design.programs:
            self._perform("mprotect", op.process, address=first, end=last)
        self._family.apply(op)

    def _span(self, area: Area) -> tuple[int, int]:
        first = AREAS.index(area) * self.pages
        return first, first + self.pages

    def _perform(self, name: str, cpu: int, address: int = 0, end: int = 0, write: bool = False) -> None:
        try:
            self._plain.perform(name, cpu, address=address, end=end, write=write)
        except RuntimeError as why:
            raise Stuck(f"the model does not go on: {why}") from None
        broken = oops_names(self._plain.oops())
        if broken:
            raise Stuck(f"{name} breaks {', '.join(broken)} in the model")

    def _fork(self, parent: int) -> None:
        child = self._family.free
        assert child is not None
        registers = self._plain.registers
        before = registers[parent][R_CURRENT]
        self._perform("fork", parent, end=self.machine.ptes)
        started = registers[parent][R_CURRENT]
        if started == before:
            raise Stuck("fork starts no child in the model")
        registers[parent][R_CURRENT] = before
        registers[child][R_CURRENT] = child * self.machine.task_depth + 1
        self._move_task(started, registers[child][R_CURRENT])
        for area in AREAS:
            first, _ = self._span(area)
            for page, vma in enumerate(self._family.mapped[parent][area], first):
                if vma is None or not vma.anon:
                    self._perform(self._drop, child, address=page, end=page + 1)

    def _move_task(self, old: int, new: int) -> None:
        """Give a task another number: its fields move, and what points to it follows."""
        m, regions = self._plain.m, self._plain.layout.regions
        if old == new:
            return
        tasks = regions["task_struct"]
        for field in tasks.struct.fields:
            m[tasks.index(new, field.name)] = m[tasks.index(old, field.name)]
        m[tasks.index(old, "mm")] = NO_MM
        for region in regions.values():
            for field in region.struct.fields:
                if field.holds != "task":
                    continue
                for index in (region.index(n, field.name) for n in range(region.count)):
                    if m[index] == old + 1:
                        m[index] = new + 1

    def _mm(self, process: int) -> int:
        task = self._plain.registers[process][R_CURRENT]
        return self._plain.m[self._plain.layout.regions["task_struct"].index(task, "mm")]

    def counts(self) -> dict[int, Resident]:
        """Return pages of every process by kind, as the model's page tables have them."""
        return {process: self._walk(self._mm(process)) for process in self.running}

    def _walk(self, mm: int) -> Resident:
        m = self._plain.m
        kinds = {"anon": 0, "file": 0, "shmem": 0}
        for address in range(self.machine.ptes):
            entry = m[pte_at(m, mm, address)]
            if pte_counted(m, entry):
                kinds["anon" if pte_anon(m, entry) else AREAS[address // self.pages]] += 1
        return Resident(sum(kinds.values()), **kinds)

    def counters(self) -> dict[int, dict[str, tuple[int, int | None]]]:
        """Return what the design's reads show of every process, in pages, with the error that the design may have.

        None where it promises nothing. ``statm resident`` and ``statm shared`` are what statm shows; where the
        design can sum precisely, ``precise resident`` and ``precise shared`` are what that shows.
        """
        return {process: self._read(process) for process in self.running}

    def _read(self, process: int) -> dict[str, tuple[int, int | None]]:
        mm = self._mm(process)
        users = self._plain.m[self._plain.layout.regions["mm_struct"].index(mm, "mm_users")]
        of_machine = self.machine.cpus, users - MM_EXITING, self.machine.batch
        bound = self.design.bound_of("statm").pages(*of_machine)
        found: dict[str, tuple[int, int | None]] = {}
        for name, most in (("statm", bound), ("precise", 0)):
            if name not in self.design.programs:
                continue
            try:
                resident, shared = self._plain.perform(name, process, arg=mm + 1)
            except RuntimeError as why:
                raise Stuck(f"the model does not go on: {why}") from None
            if resident != NOT_SHOWN:
                found[f"{name} resident"] = resident, most
            if shared != NOT_SHOWN:
                # The difference of two counters, each of which may be off.
                found[f"{name} shared"] = shared, None if most is None else 2 * most
        return found

    def reset(self) -> None:
        """Boot again."""
        m, registers = self._booted
        self._plain.m[:] = m
        for mine, booted in zip(self._plain.registers, registers, strict=True):
            mine[:] = booted
        self._family = Family(self.machine.cpus, self.pages)
