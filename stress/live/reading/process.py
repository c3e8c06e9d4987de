"""Reading one process in /proc: who it is, and the resident sizes that each interface gives."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from shm_layout.errors import MachineError, PteStressError, UsageError
from stress.live.reading.machine import page_size

ENDED = "ZX"
"""States of a task that has ended."""
PF_KTHREAD = 0x00200000
"""Flag of a kernel thread in field 9 of stat (include/linux/sched.h)."""


class ProcessEnded(PteStressError):
    """The process that was being read has ended."""


@dataclass(frozen=True)
class Resident:
    """Resident pages as an interface gives them; None where it does not tell the kinds apart."""

    rss: int
    anon: int | None = None
    file: int | None = None
    shmem: int | None = None
    peak: int | None = None
    """VmHWM, the largest resident size that was noted."""

    @property
    def shared(self) -> int | None:
        """File and shared-memory pages together, what statm calls shared."""
        return None if self.file is None or self.shmem is None else self.file + self.shmem


def read_file(path: str | Path) -> bytes:
    """Return all of a file of /proc, with as few system calls as it takes. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = [os.read(fd, 1 << 16)]
        while parts[-1]:
            parts.append(os.read(fd, 1 << 16))
        return b"".join(parts)
    finally:
        os.close(fd)


def parse_stat(text: bytes) -> list[str]:
    """Return fields of a stat file from the third (state) on; a command name may hold blanks and brackets."""
    return text.rpartition(b")")[2].decode().split()


def parse_status(text: bytes) -> dict[str, str]:
    """Return fields of a status file."""
    pairs = (line.split(":", 1) for line in text.decode(errors="replace").splitlines() if ":" in line)
    return {name: value.strip() for name, value in pairs}


def parse_kib(text: bytes) -> dict[str, int]:
    """Return the `Name: n kB` lines of smaps_rollup, in KiB."""
    found = {}
    for line in text.decode(errors="replace").splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[2] == "kB":
            found[fields[0].rstrip(":")] = int(fields[1])
    return found


def hidepid(mountinfo: str, root: str = "/proc") -> str | None:
    """Return the hidepid option that /proc is mounted with, None when it hides nothing; the last mount counts."""
    found = None
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        if left.split()[4] != root:
            continue
        options = dict(option.partition("=")[::2] for option in right.split()[-1].split(","))
        value = options.get("hidepid", "0")
        found = None if value in ("0", "off") else value
    return found


class Process:
    """One process, told from a later one with the same number by its start time.

    Every method that reads raises ProcessEnded when the process has gone, MachineError when it may not
    be read.
    """

    def __init__(self, pid: int, root: str = "/proc") -> None:
        """Look at process `pid`.

        Raises UsageError when there is none, or when it has no memory to look at (a kernel thread, a
        zombie), MachineError when /proc hides it.
        """
        self.pid = pid
        self.root = root
        self.folder = f"{root}/{pid}"
        """Where it is read: the folder of its main thread, or of another one when that has ended."""
        try:
            text = read_file(f"{root}/{pid}/stat")
        except OSError:
            raise self._missing() from None
        self.name = text.partition(b"(")[2].rpartition(b")")[0].decode(errors="replace")
        fields = parse_stat(text)
        self.start_time = fields[19]
        if int(fields[6]) & PF_KTHREAD:
            raise UsageError(f"pid {pid} ({self.name}) is a kernel thread: it has no memory of its own to watch")
        if fields[0] in ENDED and not self._to_living_thread():
            raise UsageError(f"pid {pid} ({self.name}) is a zombie: it has ended and its memory is gone")

    def _missing(self) -> PteStressError:
        """Return why /proc/<pid>/stat cannot be read."""
        try:
            hidden = hidepid(read_file(f"{self.root}/self/mountinfo").decode(), self.root)
        except OSError:
            hidden = None
        try:
            os.kill(self.pid, 0)
            exists = True
        except PermissionError:
            exists = True
        except (ProcessLookupError, OverflowError):
            exists = False
        if exists and hidden:
            return MachineError(
                f"pid {self.pid} exists, but {self.root} is mounted with hidepid={hidden} and hides it: be "
                f"its owner, root, or in the group of its gid= mount option"
            )
        if exists:
            return MachineError(f"pid {self.pid} exists, but {self.root}/{self.pid}/stat cannot be read")
        return UsageError(f"no process has pid {self.pid}: see `ps -e` for those that run")

    @property
    def thread(self) -> int | None:
        """The thread that the process is read through, None for its main thread."""
        tid = int(self.folder.rpartition("/")[2])
        return None if tid == self.pid else tid

    def _to_living_thread(self) -> bool:
        """Read the process through another thread from now on; False when none lives.

        A main thread that has ended stays as a zombie while others live, and has no memory to show.
        """
        try:
            tids = os.listdir(f"{self.root}/{self.pid}/task")
        except OSError:
            return False
        for tid in tids:
            folder = f"{self.root}/{self.pid}/task/{tid}"
            try:
                state = parse_stat(read_file(f"{folder}/stat"))[0]
            except (OSError, IndexError):  # it has ended since
                continue
            if state not in ENDED:
                self.folder = folder
                return True
        return False

    def _ended(self) -> ProcessEnded:
        return ProcessEnded(f"pid {self.pid} ({self.name}) has ended")

    def read(self, name: str) -> bytes:
        """Return the text of one of the process's files. Raises FileNotFoundError when only that file is missing."""
        before = self.folder
        try:
            return read_file(f"{before}/{name}")
        except (ProcessLookupError, FileNotFoundError) as gone:
            if not self.alive():
                raise self._ended() from None
            if self._to_living_thread() and self.folder != before:
                return self.read(name)
            if isinstance(gone, FileNotFoundError):
                raise
            raise self._ended() from None
        except PermissionError:
            raise self._refused(name) from None

    def _refused(self, name: str) -> MachineError:
        """Return what is missing to read a file that the kernel refuses."""
        try:
            owner = f"uid {os.stat(f'{self.root}/{self.pid}').st_uid}"
        except OSError:
            owner = "another user"
        if owner == f"uid {os.geteuid()}":
            need = "it is not dumpable or has more capabilities than you; CAP_SYS_PTRACE is needed"
        else:
            need = f"it shows as {owner}, you are uid {os.geteuid()}; be that user or have CAP_SYS_PTRACE (root)"
        return MachineError(f"no permission to read {self.root}/{self.pid}/{name} of {self.name}: {need}")

    def alive(self) -> bool:
        """Return whether the process still runs: there, not a zombie, and not another one with its number."""
        try:
            fields = parse_stat(read_file(f"{self.root}/{self.pid}/stat"))
        except (OSError, IndexError):
            return False
        same = fields[19] == self.start_time
        return same and (fields[0] not in ENDED or self._to_living_thread())

    def stat(self) -> Resident:
        """Field 24 of stat: pages, from get_mm_rss()."""
        fields = parse_stat(self.read("stat"))
        if self.thread is None and fields[19] != self.start_time:
            raise self._ended()
        if fields[0] in ENDED:
            if not self._to_living_thread():
                raise self._ended()
            return self.stat()
        return Resident(int(fields[21]))

    def statm(self) -> tuple[int, int]:
        """Return fields 2 and 3 of statm: resident and shared, in pages."""
        fields = self.read("statm").split()
        return int(fields[1]), int(fields[2])

    def status(self) -> Resident:
        """Return VmRSS, RssAnon, RssFile, RssShmem and VmHWM of status, in pages (2nd to 4th since Linux 4.5)."""
        fields = self._status_fields()
        per_page = page_size() // 1024

        def pages(name: str) -> int | None:
            return int(fields[name].split()[0]) // per_page if name in fields else None

        rss, anon, file, shmem, peak = map(pages, ("VmRSS", "RssAnon", "RssFile", "RssShmem", "VmHWM"))
        return Resident(rss or 0, anon, file, shmem, peak)

    def _status_fields(self) -> dict[str, str]:
        """Return the fields of status, of a thread that lives."""
        fields = parse_status(self.read("status"))
        if "VmRSS" not in fields and self._to_living_thread():
            fields = parse_status(self.read("status"))
        if "VmRSS" not in fields:
            raise self._ended()
        return fields

    def reset_peak(self) -> bool:
        """Set the peak back to the size of now (Linux 4.0); False where that is not permitted."""
        try:
            with open(f"{self.root}/{self.pid}/clear_refs", "w", encoding="ascii") as file:
                file.write("5")
        except OSError:
            return False
        return True

    def tasks(self) -> dict[int, tuple[str, int]]:
        """State letter and number of context switches of every thread, by thread id."""
        found = {}
        for tid in os.listdir(f"{self.root}/{self.pid}/task"):
            try:
                fields = parse_status(self.read(f"task/{tid}/status"))
            except FileNotFoundError:  # this thread has ended since
                continue
            switches = int(fields["voluntary_ctxt_switches"]) + int(fields["nonvoluntary_ctxt_switches"])
            found[int(tid)] = (fields["State"][0], switches)
        return found
