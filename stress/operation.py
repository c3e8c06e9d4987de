"""What an operation is: its kind (what all of its name have in common), what one is given, and how it is written.

The kinds of the modelled machine stand in `KINDS`, once. Code that needs to know whether an operation takes a page,
starts a task or reads a counter asks `kind_of`. A new operation is one `Kind`, given to `declare`, and one program in
each design that has it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from shm_layout.errors import UsageError

PAGE, RANGE, WRITE, MM, FRAME = "page", "range", "w", "mm", "frame"
"""What an operation can be given: a virtual page, a range of them, a write access, an mm, a frame."""
ONE, COPY, EACH, ALL = "one", "copy", "each", "all"
"""How many ptes an operation may set or clear: one; one of a write access; each that it is given; any of the mm."""
PROC, SUM = "proc", "sum"
"""What a read shows: what /proc shows of the counters; their precise sum."""


@dataclass(frozen=True)
class Kind:
    """What all operations of one name have in common.

    >>> declare(Kind("madvise", "MADV_DONTNEED: zap pages of a range", frozenset((PAGE, RANGE)), True, unmaps=EACH))
    """

    name: str
    summary: str
    takes: frozenset[str] = frozenset()
    """What it can be given: `PAGE`, `RANGE`, `WRITE`, `MM`, `FRAME`."""
    needs_page: bool = False
    """Whether a page must be named."""
    of_file: bool = False
    """Whether its page is one of the mapped file's."""
    reads: str = ""
    """What it shows: `PROC`, `SUM`, or nothing."""
    maps: str = ""
    """How many ptes it may set in an mm while that mm is read: `ONE`, `ALL`, or none.

    An mm that is read is in use by the reader's task, or by every worker's first task (mm 0), so that neither the copy
    that a fork makes nor the end of an mm changes it.
    """
    unmaps: str = ""
    """How many ptes it may clear there: `ONE`, `COPY`, `EACH`, `ALL`, or none."""
    on_own_mm: bool = False
    """Whether that mm is always current's."""
    starts_task: bool = False
    starts_mm: bool = False
    keeps_tasks: bool = False
    """Whether it leaves the tasks and their lists as they are, and does not look at them."""
    by_tlb: bool = False
    """Whether it goes through the TLB: a machine to explore has one then, unless it is told otherwise."""
    two_pages: bool = False
    """Whether it is about the first and the last page of the range that it is given."""
    swaps: bool = False
    """Whether it needs a slot of the swap area."""
    group: str = ""
    """Operations of one group are drawn together by `stress.testing`; "" for one that is drawn among all alone."""
    run_weight: float = 0.0
    """How often `run` draws it by default, in relation to others; 0: never."""
    hunt_weight: int = 1
    """How often `hunt` draws it in relation to others."""
    hunt_rank: int = 99
    """`hunt` prefers operations of a low rank where it makes a workload smaller."""

    @property
    def is_whole_mm(self) -> bool:
        """Whether it acts on all pages of an mm unless it is given a range of them."""
        return RANGE in self.takes and PAGE not in self.takes

    @property
    def on_other_mm(self) -> bool:
        """Whether it acts on a page of an mm that is named."""
        return self.needs_page and MM in self.takes and FRAME not in self.takes


_ACCESS = frozenset((PAGE, WRITE))
_MAPPED = {"needs_page": True, "maps": ONE, "unmaps": COPY}
_READ = {"takes": frozenset((MM,)), "group": "reads"}

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "fault",
            "a CPU accesses a page that its page table does not map, or not for writing",
            _ACCESS,
            **_MAPPED,  # type: ignore[arg-type]
            on_own_mm=True,
            keeps_tasks=True,
            group="faults",
            run_weight=60,
            hunt_weight=8,
            hunt_rank=1,
        ),
        Kind(
            "zap",
            "munmap: take the pages of a range away",
            frozenset((PAGE, RANGE)),
            needs_page=True,
            unmaps=EACH,
            on_own_mm=True,
            keeps_tasks=True,
            group="zaps",
            run_weight=10,
            hunt_weight=3,
            hunt_rank=2,
        ),
        Kind(
            "fork",
            "start a process: copy the page table, or a range of it",
            frozenset((RANGE,)),
            starts_task=True,
            starts_mm=True,
            group="forks",
            run_weight=1,
            hunt_weight=3,
            hunt_rank=9,
        ),
        Kind("clone", "start a thread", starts_task=True, group="threads", run_weight=5, hunt_rank=7),
        Kind("exit", "end the task, the last one's mm too", group="threads", run_weight=8, hunt_weight=4, hunt_rank=8),
        Kind("exec", "put a fresh mm in the place of current's", starts_mm=True, group="threads", hunt_rank=10),
        Kind(
            "swap_out",
            "vmscan: take one page from all that map it, starting from a frame",
            frozenset((FRAME,)),
            unmaps=ONE,
            keeps_tasks=True,
            swaps=True,
            group="reclaim",
            hunt_weight=5,
            hunt_rank=3,
        ),
        Kind(
            "truncate",
            "take one page of the file from all that map it, and from the page cache",
            frozenset((PAGE,)),
            needs_page=True,
            of_file=True,
            unmaps=ONE,
            keeps_tasks=True,
            group="reclaim",
            hunt_weight=3,
            hunt_rank=11,
        ),
        Kind(
            "access_process_vm",
            "ptrace: access a page of another mm",
            _ACCESS | {MM},
            **_MAPPED,  # type: ignore[arg-type]
            group="others_pages",
            hunt_weight=2,
        ),
        Kind(
            "use_mm",
            "a kernel thread borrows an mm and accesses a page of it",
            _ACCESS | {MM},
            **_MAPPED,  # type: ignore[arg-type]
            starts_task=True,
            group="others_pages",
            hunt_weight=2,
        ),
        Kind("statm", "read /proc/PID/statm", **_READ, reads=PROC, run_weight=6, hunt_weight=2, hunt_rank=4),  # type: ignore[arg-type]
        Kind("status", "read /proc/PID/status", **_READ, reads=PROC, run_weight=5, hunt_rank=5),  # type: ignore[arg-type]
        Kind("stat", "read /proc/PID/stat", **_READ, reads=PROC, run_weight=5, hunt_rank=6),  # type: ignore[arg-type]
        Kind("tick", "the timer interrupt of the task that runs", frozenset((MM,)), run_weight=5),
        Kind("precise", "the precise sum of the counters, where a design has one", **_READ, reads=SUM),  # type: ignore[arg-type]
        Kind(
            "madvise_dontneed",
            "MADV_DONTNEED: take the pages of a range away, mmap_sem held for read",
            frozenset((PAGE, RANGE)),
            needs_page=True,
            unmaps=EACH,
            on_own_mm=True,
            keeps_tasks=True,
            run_weight=5,
            hunt_weight=3,
            hunt_rank=12,
        ),
        Kind("cpu_offline", "the CPU goes offline, its counts are taken over, and it comes back", hunt_rank=13),
        Kind(
            "user_write",
            "the user stores to a page through the TLB, where the page table lets it without a fault",
            frozenset((PAGE,)),
            needs_page=True,
            on_own_mm=True,
            keeps_tasks=True,
            by_tlb=True,
            run_weight=5,
            hunt_weight=3,
            hunt_rank=14,
        ),
        Kind(
            "change_prot_numa",
            "NUMA balancing: a huge page is made inaccessible, so that the next access to it faults",
            frozenset((PAGE,)),
            needs_page=True,
            on_own_mm=True,
            keeps_tasks=True,
            run_weight=5,
            hunt_weight=3,
            hunt_rank=15,
        ),
        Kind(
            "collapse_file",
            "khugepaged: take away the page tables of a page of the file in which nothing is mapped",
            frozenset((PAGE,)),
            needs_page=True,
            of_file=True,
            keeps_tasks=True,
            run_weight=5,
            hunt_weight=3,
            hunt_rank=16,
        ),
        Kind(
            "mprotect",
            "take the right to store to the pages of a range away, or with w give it back",
            frozenset((PAGE, RANGE, WRITE)),
            needs_page=True,
            maps=ALL,
            unmaps=EACH,
            on_own_mm=True,
            keeps_tasks=True,
            run_weight=1,
            hunt_weight=3,
            hunt_rank=18,
        ),
        Kind(
            "migrate_pages",
            "move the content of one page to another frame, starting from a frame, as memory compaction does",
            frozenset((FRAME,)),
            maps=ONE,
            unmaps=ONE,
            keeps_tasks=True,
            run_weight=1,
            hunt_weight=5,
            hunt_rank=19,
        ),
        Kind(
            "mremap",
            "move a page to the place of another, as mremap(MREMAP_FIXED): `mremap 0-1`",
            frozenset((PAGE, RANGE)),
            needs_page=True,
            maps=ONE,
            unmaps=EACH,
            on_own_mm=True,
            keeps_tasks=True,
            two_pages=True,
            run_weight=5,
            hunt_weight=3,
            hunt_rank=17,
        ),
    )
}
"""The kinds of the modelled machine by name, in the order of their numbers, which begin with 1 (register R_OP)."""

OPERATIONS = tuple(KINDS)
"""Their names. What is declared later, or nowhere, is a design's own operation; its number lies above these.

``get_rss``, the single pass over the counters that is held against the page table at rest, is what
``statm`` reads, or ``precise`` where a design has it.
"""

READS = tuple(name for name, kind in KINDS.items() if kind.reads == PROC)
"""Operations whose R_RESIDENT and R_SHARED check `read_regular` and `read_pair` look at."""


def declare(kind: Kind) -> Kind:
    """Make a kind known, so that every command and test draws and reads operations of its name as it says.

    A file of a user's calls it at its top. What is declared once more in the same words is the same kind.

    Raises `ValueError` for another kind of a name that there is.
    """
    if KINDS.setdefault(kind.name, kind) != kind:
        raise ValueError(f"there is another operation {kind.name!r} ({KINDS[kind.name].summary}): choose another name")
    return kind


def kind_of(name: str) -> Kind:
    """Return the kind of a name. Of a name that nobody declared anything may be given, and it may do anything."""
    return KINDS.get(name) or Kind(name, "", frozenset((PAGE, RANGE, WRITE, MM, FRAME)), maps=ALL, unmaps=ALL)


@dataclass(frozen=True)
class Operation:
    """One operation: ``name``, the pages [``address``, ``end``), and what register R_ARG is set to.

    ``end`` 0 stands for all pages (fork). ``arg`` is the mm + 1 or the frame where the operation takes one.

    >>> str(Operation("fault", 3, write=True))
    'fault 3 w'
    """

    name: str
    address: int = 0
    end: int = 0
    write: bool = False
    arg: int = 0

    @property
    def kind(self) -> Kind:
        """What all operations of its name have in common."""
        return kind_of(self.name)

    def __str__(self) -> str:
        """Return the text form, which `parse_operation` reads."""
        kind = self.kind
        words = [self.name]
        if self.end > self.address + 1 or (self.end and kind.is_whole_mm):
            words.append(f"{self.address}-{self.end - 1}")
        elif PAGE in kind.takes and (self.end or kind.needs_page):
            words.append(str(self.address))
        if self.write:
            words.append("w")
        if self.arg:
            words.append(f"mm={self.arg - 1}" if MM in kind.takes else f"frame={self.arg}")
        return " ".join(words)


def given_numbers(name: str) -> list[Operation]:
    """Return operations of a name on a machine of words: with 0 and 1 where it was declared to take `PAGE`, a number.

    >>> [str(operation) for operation in given_numbers("enter")]
    ['enter']
    """
    if name in KINDS and PAGE in KINDS[name].takes:
        return [Operation(name, number, number + 1) for number in range(2)]
    return [Operation(name)]


MOST_DIGITS = 600
"""int() refuses more than some thousands of digits with a message of its own."""
_NUMBER = rf"(\d{{1,{MOST_DIGITS}}})"


def parse_operation(text: str) -> Operation:
    """Read one operation, such as ``fault 0 w``. Raises `UsageError` that says what is wrong with it."""
    name, *given = text.split()
    kind = kind_of(name)
    takes = kind.takes
    values: dict[str, Any] = {}
    for word in given:
        if word == "w" and WRITE in takes:
            found: dict[str, Any] = {"write": True}
        elif (match := re.fullmatch(_NUMBER, word)) and PAGE in takes:
            found = {"address": int(match[1]), "end": int(match[1]) + 1}
        elif (match := re.fullmatch(rf"{_NUMBER}-{_NUMBER}", word)) and RANGE in takes:
            if int(match[2]) < int(match[1]):
                raise UsageError(f"{word} in operation {text!r} ends before it begins")
            found = {"address": int(match[1]), "end": int(match[2]) + 1}
        elif (match := re.fullmatch(rf"mm={_NUMBER}", word)) and MM in takes:
            found = {"arg": int(match[1]) + 1}
        elif (match := re.fullmatch(rf"frame={_NUMBER}", word)) and FRAME in takes:
            found = {"arg": int(match[1])}
        else:
            raise UsageError(f"{word!r} in operation {text!r}: {name} takes {explain(takes)}")
        if values.keys() & found.keys():
            raise UsageError(f"operation {text!r} is given {word!r} when it has one already")
        values |= found
    pages = values.get("end", 0) - values.get("address", 0)
    if kind.two_pages and pages < 2:
        raise UsageError(f"operation {text!r} needs two pages, as in `{name} 0-1`")
    if kind.needs_page and pages == 0:
        raise UsageError(f"operation {text!r} needs a page, as in `{name} 0`")
    return Operation(name, **values)


def explain(takes: frozenset[str]) -> str:
    """Format what an operation can be given, as it is written in a workload: "a page 0, w"."""
    shown = {PAGE: "a page 0", RANGE: "pages 0-3", WRITE: "w", MM: "mm=0", FRAME: "frame=1"}
    return ", ".join(text for key, text in shown.items() if key in takes) or "nothing"
