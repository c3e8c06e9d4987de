"""Who created a segment or semaphore: names in /dev/shm that carry it, and whether that process lives.

A name is ``/pte-stress.<pid>.<start time>.<counter>[.<tag>]``. A pid alone is used again; with the time at
which the process started it is not.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

PREFIX = "pte-stress"

_NAME = re.compile(rf"(?:sem\.)?{PREFIX}\.(\d+)\.(\d+)\.\d+(?:\.[A-Za-z0-9_-]+)*")
_TAG = re.compile(r"[A-Za-z0-9_-]+")
_counter = itertools.count(1)


def start_time(pid: int) -> int | None:
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


def creator_of(file: str) -> tuple[int, int] | None:
    """Return pid and start time of the creator from a file's name in /dev/shm; None when it is not ours."""
    match = _NAME.fullmatch(file)
    return (int(match[1]), int(match[2])) if match else None


def new_names(tag: str) -> Iterator[str]:
    """Yield names for something that this process creates, each a new one, with the leading slash.

    Raises ValueError when `tag` has other characters than letters, digits, ``_`` and ``-``.
    """
    if not _TAG.fullmatch(tag):
        raise ValueError(f"a tag is letters, digits, _ and -, not {tag!r}")
    pid = os.getpid()
    started = start_time(pid)
    for n in _counter:
        yield f"/{PREFIX}.{pid}.{started}.{n}.{tag}"
