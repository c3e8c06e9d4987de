"""`pte-stress live`: churn in real processes, every interface against the page walk once they are at rest."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from shm_layout.errors import MachineError
from stress.live.figures import BY_NAME, COUNTERS, PEAKS, Explanation
from stress.live.held_back import PHASES, hold_back, unmap_all
from stress.live.load import request
from stress.live.load.crew import Channel, Crew, wait_at_rest
from stress.live.load.files import unnamed_files
from stress.live.outcome import Errors, Outcome
from stress.live.probe import probe_pages, seen
from stress.live.reading import page_walk, pagemap
from stress.live.reading.accounting import Counting, by_version, decide
from stress.live.reading.machine import kernel_release, kernel_version, online_cpus, page_size
from stress.live.reading.process import Process, Resident, parse_kib
from stress.report.words import plural
from stress.system.cpus import allowed_cpus
from stress.system.interrupts import until_interrupted

SLOTS = 8
LEAST_SLOT_PAGES = 64
MOST_SLOT_PAGES = 512
SERVER_BYTES = 128 << 20
WORKER_BYTES = 24 << 20
"""What the interpreter and the compiled loops take: once, and again for each process."""
OPERATIONS = 500
"""Operations of each thread in a round."""
ATTEMPTS = 20


def least_memory(processes: int, threads: int) -> int:
    """Return the bytes that a run with that many processes and threads needs at least."""
    areas = max((processes * threads * SLOTS + 2) * LEAST_SLOT_PAGES, probe_pages(online_cpus()))
    return SERVER_BYTES + processes * WORKER_BYTES + areas * page_size()


def slot_bytes(budget: int, processes: int, threads: int) -> int:
    """Size of each slot for a budget of bytes, which is at least `least_memory`."""
    areas = processes * threads * SLOTS + 2  # the two files are as large as a slot
    pages = (budget - SERVER_BYTES - processes * WORKER_BYTES) // (areas * page_size())
    return max(LEAST_SLOT_PAGES, min(pages, MOST_SLOT_PAGES)) * page_size()


class Reader:
    """Reads every interface of one process, timed."""

    def __init__(self, process: Process) -> None:
        """Read `process`."""
        import psutil

        self.process = process
        self._psutil = psutil.Process(process.pid)
        self.last_us: dict[str, float] = {}
        """What the last read of each interface cost, in microseconds."""

    def _timed(self, name: str, read: Callable[[], Any]) -> Any:
        start = time.perf_counter_ns()
        found = read()
        self.last_us[name] = (time.perf_counter_ns() - start) / 1000
        return found

    def read(self) -> dict[tuple[str, str], int]:
        """Return what each interface that counts says, in pages."""
        process = self.process
        stat = self._timed("stat", process.stat)
        resident, shared = self._timed("statm", process.statm)
        status = self._timed("status", process.status)
        rss = self._timed("psutil", self._psutil.memory_info).rss // page_size()
        found = {
            ("stat", "rss"): stat.rss,
            ("statm", "resident"): resident,
            ("statm", "shared"): shared,
            ("status", "VmRSS"): status.rss,
            ("psutil", "rss"): rss,
        }
        kinds = {"RssAnon": status.anon, "RssFile": status.file, "RssShmem": status.shmem}
        return found | {("status", name): pages for name, pages in kinds.items() if pages is not None}

    def rollup(self) -> int | None:
        """Rss of smaps_rollup in pages, None where the kernel has none."""
        try:
            text = self._timed("smaps_rollup", lambda: self.process.read("smaps_rollup"))
        except FileNotFoundError:
            return None
        return parse_kib(text)["Rss"] * 1024 // page_size()


def true_figures(walked: Resident) -> dict[tuple[str, str], int]:
    """Return what each figure would be if it were exact."""
    return {
        ("stat", "rss"): walked.rss,
        ("statm", "resident"): walked.rss,
        ("statm", "shared"): walked.shared or 0,
        ("status", "VmRSS"): walked.rss,
        ("status", "RssAnon"): walked.anon or 0,
        ("status", "RssFile"): walked.file or 0,
        ("status", "RssShmem"): walked.shmem or 0,
        ("psutil", "rss"): walked.rss,
    }


def compare_walks(pid: int, mappings: list[page_walk.Mapping], rolled: int | None) -> tuple[int, str, list[str]]:
    """Compare smaps, smaps_rollup (its pages, None for none) and pagemap.

    Returns by how many pages the cheapest walk differs from pagemap, which walks were compared, and where
    they differ, as sentences.
    """
    walked = page_walk.by_kind(mappings)
    names, total = "smaps, smaps_rollup", walked.rss
    differ = []
    if rolled is None:
        names, rolled = "smaps (this kernel has no smaps_rollup)", walked.rss
    elif rolled != walked.rss:
        differ.append(f"pid {pid}: smaps_rollup has {rolled} pages, smaps {walked.rss}")
    try:
        anon, other = pagemap.count_pages(pid, [(m.start, m.end) for m in mappings if m.counted])
    except pagemap.Forbidden as why:
        return rolled - total, f"{names}; pagemap not compared: {why}", differ
    if (anon, other) != (walked.anon, walked.shared):
        differ.append(
            f"pid {pid}: smaps has {walked.anon} anonymous and {walked.shared} other pages, pagemap {anon} and {other}"
        )
    return rolled - anon - other, f"{names}, pagemap", differ


def read_at_rest(outcome: Outcome, reader: Reader, on_purpose: bool = False) -> int:
    """Compare every interface of one process at rest with the page walk, and add the errors to `outcome`.

    on_purpose: whether they were provoked, so that they belong to no round. Returns the pages of the walk.
    Raises MachineError when pages keep coming or going although nothing in the process runs.
    """
    for _ in range(ATTEMPTS):
        before = page_walk.smaps(reader.process)
        rolled = reader.rollup()
        figures = reader.read()
        off, walks, differ = compare_walks(reader.process.pid, before, rolled)
        after = page_walk.smaps(reader.process)
        if before == after:
            break
        outcome.moved += abs(sum(m.rss for m in after) - sum(m.rss for m in before))
    else:
        raise MachineError(f"pages of pid {reader.process.pid} keep coming or going at rest: is memory short?")
    outcome.walks = walks
    outcome.walks_differ += differ
    walked = page_walk.by_kind(before)
    found = {name: figures[name] - true for name, true in true_figures(walked).items() if name in figures}
    for figure, error in (found | {("smaps_rollup", "Rss"): off}).items():
        errors = outcome.counters[figure]
        (errors.held_back if on_purpose else errors.errors).append(error)
    if on_purpose:
        return walked.rss
    for name, cost in reader.last_us.items():
        outcome.rest_us[name].append(cost)
    return walked.rss


def provoke(outcome: Outcome, mine: Sequence[Channel], reader: Reader, pages: int) -> None:
    """Hold back as much of one process as can be, compare every interface, and the peak with the walk at the peak.

    mine: its threads, at rest; pages: pages of each slot, and of the files, which are in the page cache.
    """
    process, way = reader.process, outcome.said.ways["stat"]
    most = len(mine) * SLOTS * pages
    for kinds in PHASES[way.counting]:
        unmap_all(mine, SLOTS)
        peak_is_new = process.reset_peak()
        supplies, all_held = hold_back(mine, process, way, kinds, pages=pages, most=most)
        if not all_held and not outcome.reach:
            outcome.reach = f"there is memory for {plural(most, 'anonymous page')} only"
        wait_at_rest([process])
        peak = read_at_rest(outcome, reader, on_purpose=True)
        for supply in supplies:
            supply.release()
        if peak_is_new:
            per_page = page_size() // 1024
            kept = (process.status().peak or 0, mine[0].ask(request.USAGE)[1] // per_page)
            for name, pages_kept in zip(PEAKS, kept, strict=True):
                outcome.counters[name].held_back.append(pages_kept - peak)


def read_under_load(outcome: Outcome, crew: Crew, readers: list[Reader]) -> None:
    """Read every interface, again and again, until all threads have done their round; take their replies."""
    channels = [channel for mine in crew.threads for channel in mine]
    while not all(channel.ready() for channel in channels):
        for reader in readers:
            reader.read()
            outcome.busy_reads += 1
            for name, cost in reader.last_us.items():
                if name != "smaps_rollup":
                    outcome.busy_us[name].append(cost)
    for channel in channels:
        _, forks, hops, *_ = channel.receive()
        outcome.forks += forks
        outcome.hops += hops


def start(crew: Crew, seed: int, threads: int) -> Outcome:
    """Tell the way of counting apart and set up an outcome with the bounds that it implies."""
    release = kernel_release()
    cpus = online_cpus()
    version = by_version(kernel_version(release), cpus)
    found = seen(crew.threads[0][0], crew.processes[0])
    learned = tuple(name for name, way in found.items() if way is not None)
    said = Explanation(release, cpus, threads + 1, page_size(), decide(version, found), learned)
    counters = {}
    for name in (*COUNTERS, *PEAKS):
        limit = said.bound(BY_NAME[name])
        assert limit is not None
        counters[name] = Errors(*name, limit)
    outcome = Outcome(said, seed, version, found, counters)
    mine = len(allowed_cpus())
    if said.ways["stat"].counting == Counting.PERCPU and mine < cpus:
        outcome.reach = f"this process may run on {mine} of {cpus} CPUs"
    return outcome


def measure(
    *,
    processes: int,
    threads: int,
    rounds: int,
    seconds: float | None,
    seed: int,
    budget: int,
    folder: str | None,
    progress: Callable[[int], None] = lambda done: None,
) -> Outcome | None:
    """Churn and compare for a number of rounds, or until some seconds have passed.

    budget: bytes that may be used; folder: where to put the file to map. progress is called with the number
    of rounds done. A KeyboardInterrupt ends it early, with what was measured so far; None when that is
    nothing. Raises MachineError when the machine cannot do it.
    """
    size = slot_bytes(budget, processes, threads)
    outcome = None
    draw = random.Random(seed)
    with (
        until_interrupted() as ended,
        unnamed_files(size, folder) as (file, tmpfs),
        Crew(processes, threads, slots=SLOTS, slot_bytes=size, file=file, tmpfs=tmpfs) as crew,
    ):
        outcome = start(crew, seed, threads)
        readers = [Reader(process) for process in crew.processes]
        deadline = None if seconds is None else time.monotonic() + seconds
        while outcome.rounds < rounds and (deadline is None or time.monotonic() < deadline):
            for mine in crew.threads:
                for channel in mine:
                    channel.send(request.CHURN, draw.getrandbits(62) | 1, OPERATIONS)
            read_under_load(outcome, crew, readers)
            wait_at_rest(crew.processes)
            for reader in readers:
                read_at_rest(outcome, reader)
            outcome.rounds += 1
            progress(outcome.rounds)
        if outcome.rounds:
            for fd in (file, tmpfs):  # into the page cache; what was only allocated is not mapped around a fault
                os.pwrite(fd, bytes(size), 0)
            for mine, reader in zip(crew.threads, readers, strict=True):
                provoke(outcome, mine, reader, size // page_size())
    if outcome is not None:
        outcome.interrupted = ended.is_set()
    return outcome if outcome and outcome.rounds else None
