"""What dead creators left in /dev/shm: finding and removing exactly that."""

from __future__ import annotations

import os
from dataclasses import dataclass

from shm_layout.available import SHM
from shm_layout.creator import alive, creator_of
from stress.errors import MachineError


@dataclass(frozen=True)
class Leftover:
    """A segment or semaphore whose creator is dead."""

    name: str
    """File in /dev/shm; a semaphore's begins with ``sem.``."""
    bytes: int
    pid: int
    """Process that created it."""


def stale() -> list[Leftover]:
    """Return the segments and semaphores of dead creators, by name, that this user may remove.

    A creator is dead when no process has its pid, or one that started at another time. Other users' files
    are left out: a process that is hidden from us (hidepid of proc(5)) would look dead. Raises MachineError
    when there is no /dev/shm.
    """
    try:
        entries = sorted(os.scandir(SHM), key=lambda entry: entry.name)
    except OSError as e:
        raise MachineError(f"cannot list {SHM} ({e.strerror}): mount a tmpfs there") from None
    found = []
    for entry in entries:
        creator = creator_of(entry.name)
        if creator is None or alive(*creator):
            continue
        try:
            stat = entry.stat(follow_symlinks=False)
        except FileNotFoundError:  # a clean at the same time
            continue
        if stat.st_uid == os.geteuid():
            found.append(Leftover(entry.name, stat.st_size, creator[0]))
    return found


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
