"""A POSIX shared-memory segment with a checked header, and the semaphores that belong to it.

The header is the first `HEADER_WORDS` words: magic, version, hash of the layout, size in words, the creator's pid,
start time and namespaces (`shm_layout.creator.Creator`), and a random word that the names of its semaphores end in:
only who may read the segment can foresee them. The rest is reserved and 0. The creator's close() removes the segment
and its semaphores from /dev/shm, at the latest when the creator exits; what a killed creator left,
`shm_layout.leftovers` finds.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import secrets
import weakref
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import posix_ipc
from numpy.typing import NDArray

from shm_layout import available
from shm_layout.creator import creator_of, new_names
from shm_layout.errors import MachineError, UsageError
from shm_layout.structs import HEADER_WORDS

MAGIC = int.from_bytes(b"pte-strs", "little")
VERSION = 2
WORD = 8
"""Bytes in a word."""

_MAGIC, _VERSION, _HASH, _WORDS = range(4)
_SECRET = 8
"""After the creator's four words."""


class Segment:
    """A mapped segment; made by `create` or `attach`, and a context manager that closes it."""

    array: NDArray[np.int64]
    """All words, the header included: shape (words,), int64, shared with every process that attached."""

    name: str
    """Name for `attach`, with the leading slash; the file is /dev/shm/<name>."""

    def __init__(self, name: str, array: NDArray[np.int64]) -> None:
        """For `create` and `attach` only."""
        self.name = name
        self.array = array
        self._semaphores: list[Any] = []
        self._created: list[Callable[[], None]] = []
        self._pid = os.getpid()
        self._finalizer = weakref.finalize(self, _remove, self._pid, self._created)

    @classmethod
    def create(cls, words: int, layout_hash: int, tag: str = "run") -> Segment:
        """Create a segment of `words` words, all 0 after the header, with all its memory reserved.

        `layout_hash` says what lies where; it is kept modulo 2**63. Raises MachineError, and leaves nothing
        behind, when memory or /dev/shm cannot hold it; ValueError when `words` does not hold the header.
        """
        if words < HEADER_WORDS:
            raise ValueError(f"a segment has at least its header of {HEADER_WORDS} words, not {words}")
        size = words * WORD
        _check_room(size)
        memory = _new(lambda name: posix_ipc.SharedMemory(name, posix_ipc.O_CREX, mode=0o600), tag)
        try:
            _reserve(memory.fd, size)
            segment = cls(memory.name, _mapped(memory.fd, size))
        except BaseException:
            memory.unlink()
            raise
        finally:
            memory.close_fd()
        segment._created.append(memory.unlink)
        creator = creator_of(memory.name[1:])
        assert creator is not None  # of a name that was just made
        header = [MAGIC, VERSION, layout_hash % 2**63, words, *creator, secrets.randbits(63)]
        segment.array[_VERSION : len(header)] = header[_VERSION:]
        segment.array[_MAGIC] = MAGIC  # last: a segment half made is no segment
        return segment

    @classmethod
    def attach(cls, name: str, layout_hash: int | None = None) -> Segment:
        """Map the segment `name` that another process created, if it has this layout.

        Raises UsageError when there is none, or it is not a segment of this version and layout;
        MachineError when it may not be opened.
        """
        try:
            memory = posix_ipc.SharedMemory(name)
        except posix_ipc.ExistentialError:
            message = f"no segment {name}: its run has ended; `ls /dev/shm` shows what there is"
            raise UsageError(message) from None
        except posix_ipc.PermissionsError:
            raise MachineError(f"no permission for segment {name}: be the user who started its run") from None
        except (OSError, ValueError) as e:
            raise UsageError(f"cannot open segment {name} ({e}): give a name out of /dev/shm") from None
        try:
            size = os.fstat(memory.fd).st_size
            if size < HEADER_WORDS * WORD:
                raise UsageError(_mismatch(name, f"{size} bytes are too short for a header"))
            array = _mapped(memory.fd, size - size % WORD)
        finally:
            memory.close_fd()
        _check_header(name, array, size, layout_hash)
        return cls(name, array)

    def _semaphore_name(self, suffix: str) -> str:
        return f"{self.name}.{suffix}.{int(self.array[_SECRET]):016x}"

    def create_semaphore(self, suffix: str, value: int = 0) -> Any:
        """Create the semaphore `suffix` of this segment with `value` units; returns a posix_ipc.Semaphore.

        Raises MachineError when the machine has no room or permission for it, or its name is taken.
        """
        name = self._semaphore_name(suffix)
        try:
            semaphore = posix_ipc.Semaphore(name, posix_ipc.O_CREX, mode=0o600, initial_value=value)
        except posix_ipc.ExistentialError:
            raise MachineError(f"there is a semaphore {name} in {available.SHM} already: try again") from None
        except (OSError, posix_ipc.PermissionsError) as e:
            raise MachineError(f"no semaphore in {available.SHM} ({e}): make room there") from None
        self._created.append(semaphore.unlink)
        self._semaphores.append(semaphore)
        return semaphore

    def open_semaphore(self, suffix: str) -> Any:
        """Open the semaphore `suffix` that the creator made; returns a posix_ipc.Semaphore.

        Raises UsageError when it is gone, which means that the run has ended.
        """
        try:
            semaphore = posix_ipc.Semaphore(self._semaphore_name(suffix))
        except posix_ipc.ExistentialError:
            raise UsageError(f"no semaphore {suffix} of segment {self.name}: its run has ended") from None
        except (OSError, posix_ipc.PermissionsError) as e:
            raise MachineError(f"cannot open semaphore {suffix} of segment {self.name} ({e}): try again") from None
        self._semaphores.append(semaphore)
        return semaphore

    def unlink(self) -> None:
        """Remove the names of the segment and its semaphores now; who has them mapped keeps them.

        Does nothing but in the process that created them.
        """
        _remove(self._pid, self._created)

    def close(self) -> None:
        """Let go of the memory, and in the process that created it remove it from /dev/shm. May be repeated.

        Views of `array` that are kept elsewhere stay valid; the mapping goes with the last of them.
        """
        self._finalizer()
        for semaphore in self._semaphores:
            semaphore.close()
        self._semaphores.clear()
        self.array = np.empty(0, np.int64)

    def __enter__(self) -> Self:
        """Return the segment itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close it."""
        self.close()


def _remove(pid: int, unlinks: list[Callable[[], None]]) -> None:
    """Unlink what process `pid` created; a forked child, which inherits the list, must not."""
    if os.getpid() != pid:
        return
    while unlinks:
        with contextlib.suppress(posix_ipc.ExistentialError):  # removed by hand
            unlinks.pop()()


def _new(make: Callable[[str], Any], tag: str) -> Any:
    for name in new_names(tag):
        try:
            return make(name)
        except posix_ipc.ExistentialError:
            continue
        except posix_ipc.PermissionsError:
            raise MachineError(f"no permission in {available.SHM}: mount it with mode 1777") from None
        except OSError as e:
            raise MachineError(f"cannot create {available.SHM}{name}: {e.strerror}") from None
    raise AssertionError("names never end")


def _check_room(size: int) -> None:
    """Refuse early what would take the machine to its limits, before any of it is taken."""
    room = available.memory_available()
    memory = room.available - available.RESERVE
    if size > memory:
        kept = f"{room.limited_by} beyond what is left alone for the workers"
        raise MachineError(_too_big(size, kept, memory))
    try:
        shm = available.shm_available()
    except OSError as e:
        raise MachineError(f"no {available.SHM} ({e.strerror}): mount a tmpfs there") from None
    if size > shm:
        raise MachineError(_too_big(size, str(available.SHM), shm))


def _too_big(size: int, where: str, room: int) -> str:
    return f"{size:,} bytes needed, {max(room, 0):,} free in {where}: use fewer pages"


def _reserve(fd: int, size: int) -> None:
    """Take every page now: a tmpfs that is full later would kill the process that touches the page, with SIGBUS."""
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError as e:
        if e.errno == errno.ENOSPC:
            raise MachineError(_too_big(size, str(available.SHM), available.shm_available())) from None
        raise MachineError(f"cannot reserve {size} bytes in {available.SHM}: {e.strerror}") from None


def _mapped(fd: int, size: int) -> NDArray[np.int64]:
    try:
        return np.frombuffer(mmap.mmap(fd, size), np.int64)
    except OSError as e:
        raise MachineError(f"cannot map {size} bytes of shared memory: {e.strerror}") from None


def _mismatch(name: str, why: str) -> str:
    return f"{name} is no segment of this pte-stress: {why}; start a new run instead"


def _check_header(name: str, array: NDArray[np.int64], size: int, layout_hash: int | None) -> None:
    header = [int(word) for word in array[:HEADER_WORDS]]
    if header[_MAGIC] != MAGIC:
        raise UsageError(_mismatch(name, "it does not begin with the magic word"))
    if header[_VERSION] != VERSION:
        raise UsageError(_mismatch(name, f"it has version {header[_VERSION]}, not {VERSION}"))
    if header[_WORDS] * WORD != size:
        raise UsageError(_mismatch(name, f"it has {size} bytes, its header says {header[_WORDS] * WORD}"))
    if layout_hash is not None and header[_HASH] != layout_hash % 2**63:
        raise UsageError(_mismatch(name, "its fields lie elsewhere (another layout)"))
