"""Writing files: a file is there in whole, or as it was before."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def replace_file(path: Path, data: bytes, mode: int) -> None:
    """Put a file of this mode in the place of whatever is there. Raises `OSError`, and leaves nothing behind then.

    It is written under another name in the same folder, and renamed.
    """
    part = path.with_name(f".{path.name[:64]}.{secrets.token_hex(8)}.part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(fd, "wb") as file:
            file.write(data)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
