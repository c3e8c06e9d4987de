"""The files that workers map: without a name from the start, and with all their blocks."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator

from shm_layout.errors import MachineError
from stress.live.reading.kinds import KINDS


def real_file(folder: str | None) -> tuple[int, str]:
    """Return a file with no name in `folder`, and the folder: the first of TMPDIR, /var/tmp where pages count as file.

    Raises MachineError when no folder can hold one.
    """
    candidates = [folder] if folder else [tempfile.gettempdir(), "/var/tmp", os.getcwd()]
    for candidate in candidates:
        try:
            with tempfile.TemporaryFile(dir=candidate) as opened:
                file = os.dup(opened.fileno())
                os.pwrite(file, b"\0", 0)  # an empty file has no page to look at
        except OSError as why:
            if folder:
                raise MachineError(f"cannot create a file in {folder}: {why.strerror}") from why
            continue
        if not KINDS.learn(file) or folder:
            return file, candidate
        os.close(file)
    raise MachineError(f"no folder on a real file system to write to among {', '.join(candidates)}: use --dir")


def _allocate(fd: int, size: int, where: str) -> None:
    """Give a file all its blocks: a write to a mapped hole on a full disk would kill the worker."""
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError as why:
        raise MachineError(
            f"no room for a file of {size >> 20} MiB in {where}: {why.strerror}; "
            f"use a smaller --memory or another --dir"
        ) from why


@contextlib.contextmanager
def unnamed_files(size: int, folder: str | None, real: bool = True, tmpfs: bool = True) -> Iterator[tuple[int, int]]:
    """Descriptors of a real file (in `folder`) and of a tmpfs file of `size` bytes, -1 for one not wanted.

    Raises MachineError when there is no room for them.
    """
    with contextlib.ExitStack() as stack:
        fds = [-1, -1]
        if real:
            fds[0], where = real_file(folder)
            stack.callback(os.close, fds[0])
            _allocate(fds[0], size, where)
        if tmpfs:
            fds[1] = os.memfd_create("pte-stress", os.MFD_CLOEXEC)
            stack.callback(os.close, fds[1])
            _allocate(fds[1], size, "tmpfs")
        yield fds[0], fds[1]
