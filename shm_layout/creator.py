"""Who created a segment or semaphore: names in /dev/shm that carry it, and whether that process lives.

A name is ``/pte-stress.<pid>.<start time>.<pid namespace>.<time namespace>.<random>[.<tag>]``. A pid alone is used
again; with the time at which the process started it is not. Both mean something only in the namespaces that they were
read in: /dev/shm may be shared with containers that have others. Nobody can foresee the random part.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PREFIX = "pte-stress"

_NAME = re.compile(rf"(?:sem\.)?{PREFIX}\.(\d+)\.(\d+)\.(\d+)\.(\d+)\.[0-9a-f]{{16}}(?:\.[A-Za-z0-9_-]+)*")
_OLD_NAME = re.compile(rf"(?:sem\.)?{PREFIX}\.(\d+)\.\d+\.\d+(?:\.[A-Za-z0-9_-]+)*")
_TAG = re.compile(r"[A-Za-z0-9_-]+")


class Creator(NamedTuple):
    """The process that created something."""

    pid: int
    started: int
    """Clock ticks after boot."""
    pid_namespace: int
    """Inode of /proc/self/ns/pid, namespaces(7)."""
    time_namespace: int
    """Inode of /proc/self/ns/time: the time of boot may differ between two of them."""


def start_time(pid: int | str) -> int | None:
    """Return when process `pid` started, in clock ticks after boot, or None when no such process lives.

    A process that ended and was not waited for yet does not live. Source: field 22 (starttime) and field 3
    (state) of /proc/<pid>/stat, proc(5); the name in field 2 may hold blanks and parentheses.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[22 - 3])


def alive(pid: int, started: int) -> bool:
    """Return whether process `pid` lives and is the one that started at `started` (clock ticks)."""
    return start_time(pid) == started


def _namespace(kind: str) -> int:
    """Return the inode of a namespace of this process, 0 where the kernel has no such namespaces."""
    try:
        return Path(f"/proc/self/ns/{kind}").stat().st_ino
    except FileNotFoundError:
        return 0


def this_process() -> Creator:
    """Return what the names of this process's segments say of it."""
    return Creator(os.getpid(), start_time("self") or 0, _namespace("pid"), _namespace("time"))


def unjudged(creator: Creator) -> str:
    """Return why this process cannot tell whether `creator` lives, "" when it can."""
    if creator.pid_namespace != _namespace("pid"):
        return "made in another PID namespace"
    if creator.time_namespace != _namespace("time"):
        return "made in another time namespace"
    if os.readlink("/proc/self") != str(os.getpid()):
        return "/proc shows another PID namespace than the own"
    return ""


def creator_of(file: str) -> Creator | None:
    """Return the creator from a file's name in /dev/shm; None when the name says no such thing."""
    match = _NAME.fullmatch(file)
    return Creator(*map(int, match.groups())) if match else None


def older_pid(file: str) -> int | None:
    """Return the pid in a name that an older version gave, without namespaces; None for any other name."""
    match = _OLD_NAME.fullmatch(file)
    return int(match[1]) if match and not _NAME.fullmatch(file) else None


def new_names(tag: str) -> Iterator[str]:
    """Yield names for something that this process creates, each a new one, with the leading slash.

    Raises ValueError when `tag` has other characters than letters, digits, ``_`` and ``-``.
    """
    if not _TAG.fullmatch(tag):
        raise ValueError(f"a tag is letters, digits, _ and -, not {tag!r}")
    who = ".".join(map(str, this_process()))
    while True:
        yield f"/{PREFIX}.{who}.{secrets.token_hex(8)}.{tag}"
