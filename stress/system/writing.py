"""Write files so that each is there in whole, or as it was before."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from shm_layout.errors import MachineError, PteStressError, UsageError

NO_ROOM = {
    errno.ENOSPC: "make room there, or name a file in another folder",
    errno.EDQUOT: "your quota is used up: make room there, or name a file in another folder",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EIO: "the device fails: name a file in another folder",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "end other programs first",
    errno.ENOMEM: "end other programs first",
    errno.EROFS: "nothing can be written there: name a file in another folder",
}
"""What the machine is to blame for, and what to do about it; all else is the name's fault."""


def replace_file(path: Path, data: bytes, mode: int) -> None:
    """Put a file of this mode in the place of whatever is there. Raises `OSError`, and leaves nothing behind then.

    It is written under another name in the same folder, and renamed.
    """
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(fd, "wb") as file:
            file.write(data)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_file(option: str, path: Path, data: bytes) -> None:
    """Write what a user asked for by ``option`` (as ``--save``) into the file ``path``.

    A file that is there is replaced in whole, with its mode; a link is followed; what is no file (``/dev/stdout``, a
    pipe) is written to. Raises `UsageError` for a name that cannot be, `MachineError` where there is no room, and
    leaves no part of a file behind then.
    """
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():
            target.write_bytes(data)
        else:
            replace_file(target, data, target.stat().st_mode & 0o777 if target.exists() else 0o666)
    except (OSError, ValueError) as error:
        raise cannot_write(option, path, error) from None


def cannot_write(option: str, path: Path, error: OSError | ValueError) -> PteStressError:
    """Return the error to raise when ``path`` cannot be written: which folder, why, and what to do."""
    number = error.errno if isinstance(error, OSError) else None
    why = error.strerror if isinstance(error, OSError) else str(error)
    place = path if path.is_dir() else path.absolute().parent
    if number in NO_ROOM:
        return MachineError(f"{option} {path}: cannot write in {place} ({why}): {NO_ROOM[number]}")
    return UsageError(f"{option} {path}: cannot write in {place} ({why}); name another file")
