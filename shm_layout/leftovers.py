"""What dead creators left in /dev/shm: finding and removing exactly that."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from shm_layout.available import SHM
from shm_layout.creator import alive, creator_of, older_pid, unjudged
from shm_layout.errors import MachineError
from shm_layout.segment import MAGIC, VERSION


@dataclass(frozen=True)
class Leftover:
    """A segment or semaphore whose creator is dead."""

    name: str
    """File in /dev/shm; a semaphore's begins with ``sem.``."""
    bytes: int
    pid: int
    """Process that created it."""
    what: str
    """``semaphore``, ``segment``, ``segment of version 2``, or ``no segment`` for what only has such a name."""


@dataclass(frozen=True)
class Unjudged:
    """A segment or semaphore of which nobody here can tell whether its creator lives."""

    name: str
    """File in /dev/shm."""
    bytes: int
    pid: int
    """Process that created it, in its own PID namespace."""
    why: str
    """``made in another PID namespace``, ..."""


@dataclass(frozen=True)
class Found:
    """This user's segments and semaphores whose creators do not visibly live, by name."""

    dead: list[Leftover]
    unjudged: list[Unjudged]


def find() -> Found:
    """Look through /dev/shm for what dead creators left, and for what cannot be judged from here.

    A creator is dead when no process has its pid, or one that started at another time. Only a process in the same PID
    and time namespaces can tell. Other users' files are left out: a process that is hidden from us (hidepid of
    proc(5)) would look dead. Raises MachineError when there is no /dev/shm.
    """
    try:
        entries = sorted(os.scandir(SHM), key=lambda entry: entry.name)
    except OSError as e:
        raise MachineError(f"cannot list {SHM} ({e.strerror}): mount a tmpfs there") from None
    found = Found([], [])
    for entry in entries:
        creator, older = creator_of(entry.name), older_pid(entry.name)
        if creator is None and older is None:
            continue
        try:
            stat = entry.stat(follow_symlinks=False)
        except FileNotFoundError:  # a clean at the same time
            continue
        if stat.st_uid != os.geteuid() or not S_ISREG(stat.st_mode):
            continue
        # After the look at the owner: of another user's processes we may not be told anything.
        if creator is None:
            found.unjudged.append(Unjudged(entry.name, stat.st_size, older or 0, "made by an older version"))
        elif why := unjudged(creator):
            found.unjudged.append(Unjudged(entry.name, stat.st_size, creator.pid, why))
        elif not alive(creator.pid, creator.started):
            found.dead.append(Leftover(entry.name, stat.st_size, creator.pid, _what(entry)))
    return found


def stale() -> list[Leftover]:
    """Return the segments and semaphores of dead creators, by name, that this user may remove; see `find`."""
    return find().dead


def _what(entry: os.DirEntry[str]) -> str:
    """Return what a file is by its name and the first words of its header."""
    if entry.name.startswith("sem."):
        return "semaphore"
    try:
        with Path(entry.path).open("rb") as file:
            header = file.read(16)
    except OSError:  # no permission, or removed at the same time
        header = b""
    if len(header) < 16:
        return "no segment"
    magic, version = struct.unpack("=qq", header)
    if magic != MAGIC:
        return "no segment"
    return "segment" if version == VERSION else f"segment of version {version}"


def clean() -> list[Leftover]:
    """Remove what `stale` finds and return what this call removed."""
    removed = []
    for leftover in stale():
        try:
            (SHM / leftover.name).unlink()
        except FileNotFoundError:  # a clean at the same time
            continue
        removed.append(leftover)
    return removed
