"""A script of faults, discards and forks on the real kernel, and the pages that it leaves, by kind.

A process has an area of each kind, of a few pages that can be touched one by one. What would blur the
counts is switched off, or kept out of reach:

- huge pages: PR_SET_THP_DISABLE, which forked processes inherit;
- fault-around, which maps what is in the page cache around a read fault: the pages of an area lie as far
  apart as it reaches (fault_around_bytes, 64 KiB), so that there never are two in one window, and nothing
  else of the files is ever in the page cache;
- readahead: MADV_RANDOM; prefaulting: no MAP_POPULATE and no mlock.

What is left is what the kernel does: a read of fresh anonymous memory maps the zero page, which does not
count; a private write to a file page counts as anonymous; fork copies the page tables of an area only when
it may hold anonymous pages, and leaves the rest to faults (vma_needs_copy() in mm/memory.c).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from shm_layout.errors import MachineError
from stress.live.load import request
from stress.live.load.crew import Channel, Crew, wait_at_rest
from stress.live.load.files import unnamed_files
from stress.live.measure import Reader, true_figures
from stress.live.probe import seen
from stress.live.reading import page_walk, pagemap
from stress.live.reading.accounting import by_version, decide
from stress.live.reading.machine import fault_around_bytes, kernel_release, kernel_version, online_cpus, page_size
from stress.live.reading.process import Process, Resident

Do = Literal["read", "write", "discard", "cut", "protect", "move", "unmap", "map", "fork", "exit"]
Area = Literal["anon", "file", "shmem"]
AREAS: tuple[Area, ...] = get_args(Area)
AREA_KIND = {"anon": request.ANON, "file": request.FILE, "shmem": request.SHMEM}
SINGLE_PAGES: dict[Do, int] = {"discard": request.DISCARD, "cut": request.CUT, "protect": request.PROTECT}
"""What is asked for page by page, and the request for it."""
ONE_BY_ONE: tuple[Do, ...] = ("read", "write", "move", *SINGLE_PAGES)
"""What takes some pages of an area."""
END_SECONDS = 10.0


@dataclass(frozen=True)
class Op:
    """One operation of a script.

    process: 0 is the first; `fork` makes the process with the lowest free number. area, first, count: the
    pages that read, write, discard (MADV_DONTNEED), cut (munmap) and protect (mprotect to reading alone) take; move
    takes the first of them to the place of the last (mremap); unmap and map take a whole area.
    """

    do: Do
    process: int = 0
    area: Area = "anon"
    first: int = 0
    count: int = 1


def page_step() -> int:
    """Return the bytes between two pages of an area: as far as fault-around reaches."""
    return max(fault_around_bytes(), page_size())


@dataclass
class _Member:
    """A process of a script that runs."""

    channel: Channel
    process: Process
    parent: int | None
    mapped: set[Area]


def _minus(pages: Resident, less: Resident, sign: int = 1) -> Resident:
    """Return pages of each kind without (``sign`` -1: with) those of another walk."""
    kinds = [
        (mine or 0) - sign * (other or 0)
        for mine, other in ((pages.anon, less.anon), (pages.file, less.file), (pages.shmem, less.shmem))
    ]
    return Resident(sum(kinds), *kinds)


class KernelRun:
    """A family of real processes that carries out scripts; made by `kernel_run`."""

    def __init__(self, crew: Crew, pages: int, step: int) -> None:
        """Use the first thread of `crew`, and its channels for children; areas of `pages` pages each.

        ``ways`` says how each interface of this kernel counts.
        """
        self.pages = pages
        self._crew = crew
        self._step = step
        root = crew.threads[0][0]
        self._rest: dict[int, Resident] = {}
        self._readers: dict[int, Reader] = {}
        self._members = {0: _Member(root, crew.processes[0], None, set())}
        version = by_version(kernel_version(kernel_release()), online_cpus())
        self.ways = decide(version, seen(root, crew.processes[0]))
        self._arena, self._stride = root.ask(request.WHERE)[1:3]
        for area in AREAS:
            self.apply(Op("map", 0, area))

    @property
    def processes(self) -> list[int]:
        """Numbers of the processes that run, ascending."""
        return sorted(self._members)

    @property
    def most(self) -> int:
        """How many processes there may be."""
        return 1 + len(self._crew.children)

    def apply(self, op: Op) -> None:
        """Carry out one operation, and wait until it is over.

        Raises KeyError when there is no such process, ValueError when it cannot be done (process 0 cannot
        exit, there are too many processes, no such page is mapped), MachineError when the machine fails.
        """
        member = self._members[op.process]
        slot = AREAS.index(op.area)
        if op.do in ONE_BY_ONE and not (
            op.area in member.mapped and op.first >= 0 and 0 <= op.count <= self.pages - op.first
        ):
            raise ValueError(f"no such pages are mapped: {op}")
        if op.do == "fork":
            self._fork(op.process, member)
        elif op.do == "exit":
            self._exit(op.process)
        elif op.do == "map":
            # Over an area that is mapped, or over the hole that it left: MAP_FIXED replaces both.
            member.channel.ask(request.MAP, slot, AREA_KIND[op.area], self.pages * self._step, 1)
            member.mapped.add(op.area)
        elif op.do == "unmap":
            if op.area in member.mapped:
                member.channel.ask(request.UNMAP, slot)
                member.mapped.remove(op.area)
        elif op.do in SINGLE_PAGES:
            member.channel.ask(SINGLE_PAGES[op.do], slot, op.first, op.count, self._step)
        elif op.do == "move":
            member.channel.ask(request.MOVE, slot, op.first, op.first + op.count - 1, self._step)
        else:
            member.channel.ask(request.TOUCH, slot, op.first, op.count, self._step, int(op.do == "write"))

    def _fork(self, number: int, member: _Member) -> None:
        free = [n for n in range(1, self.most) if n not in self._members]
        if not free:
            raise ValueError(f"there are {self.most} processes already")
        channel = self._crew.children[free[0] - 1]
        pid = member.channel.ask(request.FORK, channel.inside_request, channel.inside_reply)[1]
        channel.process = Process(pid)
        self._members[free[0]] = _Member(channel, channel.process, number, set(member.mapped))

    def _exit(self, number: int) -> None:
        if number == 0:
            raise ValueError("process 0 cannot exit")
        member = self._members.pop(number)
        self._rest.pop(number, None)
        self._readers.pop(number, None)
        member.channel.send(request.EXIT)
        if member.parent in self._members:
            self._members[member.parent].channel.ask(request.REAP, member.process.pid)
        for other in self._members.values():
            if other.parent == number:
                other.parent = None
        deadline = time.monotonic() + END_SECONDS
        while member.process.alive():
            if time.monotonic() > deadline:
                raise MachineError(f"process {number} (pid {member.process.pid}) does not end")
            time.sleep(0)

    def _by_pagemap(self, number: int) -> Resident:
        kinds = {"anon": 0, "file": 0, "shmem": 0}
        for slot, area in enumerate(AREAS):
            start = self._arena + slot * self._stride
            span = (start, start + self.pages * self._step)
            anon, other = pagemap.count_pages(self._members[number].process.pid, [span])
            kinds["anon"] += anon
            if other:
                kinds[area] += other
        return Resident(sum(kinds.values()), **kinds)

    def _by_smaps(self, number: int) -> Resident:
        kinds = {"anon": 0, "file": 0, "shmem": 0}
        for mapping in page_walk.smaps(self._members[number].process):
            slot = (mapping.start - self._arena) // self._stride
            if 0 <= slot < len(AREAS):
                kinds["anon"] += mapping.anon
                if mapping.rss > mapping.anon:
                    kinds[AREAS[slot]] += mapping.rss - mapping.anon
        return Resident(sum(kinds.values()), **kinds)

    def counts(self, by_smaps: bool = False) -> dict[int, Resident]:
        """Return pages of the areas by kind, for every process, from a walk of their page tables.

        The walk is that of pagemap, which can be asked about the areas alone, and that of smaps where pagemap
        is not permitted, or where `by_smaps` asks for it.
        """
        return {number: self._count(number, by_smaps) for number in self.processes}

    def _count(self, number: int, by_smaps: bool = False) -> Resident:
        if not by_smaps:
            with contextlib.suppress(pagemap.Forbidden):
                return self._by_pagemap(number)
        return self._by_smaps(number)

    def swapped(self) -> int:
        """Return pages of the areas that the kernel has swapped out, in all processes together."""
        starts = [self._arena + slot * self._stride for slot in range(len(AREAS))]
        pages = [start + n * self._step for start in starts for n in range(self.pages)]
        return sum(pagemap.swapped_pages(member.process.pid, pages) for member in self._members.values())

    def errors(
        self, numbers: Iterable[int] | None = None, walk: bool = True
    ) -> dict[int, dict[tuple[str, str], int]]:
        """Return what each figure of /proc is off by, in pages, for these processes (all) as a whole, at rest.

        With ``walk`` false only the areas are walked, and the rest of a process is taken to be what it was when
        all of it was walked last, if it was: ten times faster, and sure only where no error is found.
        """
        found = {}
        for number in self.processes if numbers is None else numbers:
            process = self._members[number].process
            wait_at_rest([process])
            areas = self._count(number)
            if walk or number not in self._rest:
                self._rest[number] = _minus(page_walk.by_kind(page_walk.smaps(process)), areas)
            true = true_figures(_minus(self._rest[number], areas, -1))
            found[number] = {name: pages - true[name] for name, pages in self._reader(number).read().items()}
        return found

    def _reader(self, number: int) -> Reader:
        if number not in self._readers:
            self._readers[number] = Reader(self._members[number].process)
        return self._readers[number]

    def reset(self) -> None:
        """End all processes but the first, and map all of its areas anew."""
        for number in self.processes[:0:-1]:
            self._exit(number)
        for area in AREAS:
            self.apply(Op("map", 0, area))


@contextlib.contextmanager
def kernel_run(pages: int = 8, processes: int = 4, folder: str | None = None) -> Iterator[KernelRun]:
    """Start a family of up to `processes` processes with areas of `pages` pages, ended when the context ends.

    folder: where to put the file to map. Raises MachineError when the machine cannot do it.
    """
    step = page_step()
    with (
        unnamed_files(pages * step, folder) as (file, tmpfs),
        Crew(1, 1, slots=len(AREAS), slot_bytes=pages * step, file=file, tmpfs=tmpfs, children=processes - 1) as crew,
    ):
        yield KernelRun(crew, pages, step)
