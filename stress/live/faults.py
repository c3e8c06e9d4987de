"""`pte-stress live --table`: page faults by number of workers as the tables of 2004 have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from stress.live.load import request
from stress.live.load.crew import Crew
from stress.live.load.files import unnamed_files
from stress.live.measure import SERVER_BYTES, WORKER_BYTES
from stress.live.reading.machine import page_size
from stress.system.cpus import allowed_cpus
from stress.system.interrupts import until_interrupted

KINDS = {"anon": request.ANON, "cow": request.COW, "tmpfs": request.SHMEM, "file": request.FILE_SHARED}
"""What is written to: fresh anonymous pages; anonymous pages that a forked child shares; pages of a shared
mapping of a tmpfs file, and of a real file, that are in the page cache but not mapped."""
MODES = ("processes", "threads")
USUAL_MIB = 256
LEAST_PAGES = 64
"""Pages that a worker touches at least."""


@dataclass
class Row:
    """One line of the table: `workers` workers touched `bytes_once` in all, `rep` times."""

    kind: str
    mode: str
    workers: int
    bytes_once: int
    rep: int = 0
    faults: int = 0
    user: float = 0.0
    system: float = 0.0
    wall: float = 0.0

    @property
    def fault_cpu_sec(self) -> float:
        """Faults a second of CPU time."""
        return self.faults / (self.user + self.system) if self.user + self.system else 0.0

    @property
    def fault_wsec(self) -> float:
        """Faults a second of wall time."""
        return self.faults / self.wall if self.wall else 0.0


def least_memory(workers: int) -> int:
    """Return the bytes that a table with up to that many workers needs at least."""
    return SERVER_BYTES + workers * (WORKER_BYTES + 2 * LEAST_PAGES * page_size())


def total_pages(budget: int, workers: int) -> int:
    """Return the pages to touch in all: `USUAL_MIB`, or less where a copy-on-write fault, of two each, has no room."""
    room = (budget - SERVER_BYTES - workers * WORKER_BYTES) // (2 * page_size())
    return max(workers * LEAST_PAGES, min(room, (USUAL_MIB << 20) // page_size()))


def one_repetition(crew: Crew, row: Row, pages: int) -> None:
    """Prepare, touch once with all workers of the row together, and add the figures to the row."""
    channels = [channel for mine in crew.threads for channel in mine][: row.workers]
    cpus = allowed_cpus()
    for index, channel in enumerate(channels):
        channel.ask(request.PIN, cpus[index % len(cpus)])
        channel.ask(request.PREPARE, KINDS[row.kind], pages, index)
    for channel in channels:
        channel.send(request.RUN)
    replies = [channel.receive() for channel in channels]
    for channel in channels:
        channel.ask(request.CLEAN)
    row.rep += 1
    row.faults += sum(reply[5] + reply[6] for reply in replies)
    row.user += sum(reply[3] for reply in replies) / 1e6
    row.system += sum(reply[4] for reply in replies) / 1e6
    row.wall += (max(reply[2] for reply in replies) - min(reply[1] for reply in replies)) / 1e9


def fault_table(
    *,
    kinds: Sequence[str],
    modes: Sequence[str],
    workers: Sequence[int],
    repeat: int,
    budget: int,
    folder: str | None,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[list[Row], bool]:
    """Measure every combination; a KeyboardInterrupt ends it early. The rows that are complete, and whether it did.

    budget: bytes that may be used; folder: where to put the real file. progress is called with the number of
    repetitions done, in all. Raises MachineError when the machine cannot do it.
    """
    most = max(workers)
    total = total_pages(budget, most)
    rows: list[Row] = []
    done = 0
    with (
        until_interrupted() as ended,
        unnamed_files(total * page_size(), folder, real="file" in kinds, tmpfs="tmpfs" in kinds) as files,
    ):
        for mode in modes:
            processes, threads = (most, 1) if mode == "processes" else (1, most)
            with Crew(processes, threads, file=files[0], tmpfs=files[1]) as crew:
                for kind in kinds:
                    for count in workers:
                        pages = total // count
                        row = Row(kind, mode, count, pages * count * page_size())
                        # One more, not counted: a virtual machine may get its memory only now.
                        one_repetition(crew, replace(row), pages)
                        for _ in range(repeat):
                            one_repetition(crew, row, pages)
                            done += 1
                            progress(done)
                        rows.append(row)
    return rows, ended.is_set()
