"""Read the small files that a user names, and refuse what is no text or too long."""

from __future__ import annotations

import json
import os
from pathlib import Path
from stat import S_ISFIFO
from typing import Any

from shm_layout.errors import UsageError

MOST_BYTES = 64 << 20
"""Larger than any file of this program: what is longer is something else, or has no end."""


def read_text(path: Path, wanted: str) -> str:
    """Return the text of a file. ``wanted`` says what to name in its place, as in "name a file with a workload".

    Raises `UsageError`, one line, for what cannot be read, is too long, or is no text.
    """
    try:
        data = _read(path)
        if len(data) > MOST_BYTES:
            raise UsageError(f"{path} is longer than {MOST_BYTES >> 20} MiB: {wanted}")
        text = data.decode()
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror}): {wanted}") from None
    except ValueError:  # no UTF-8; a path with a NUL
        raise UsageError(f"{path} is no text: {wanted}") from None
    if "\0" in text:
        raise UsageError(f"{path} is no text: {wanted}")
    return text


def _read(path: Path) -> bytes:
    """Return the bytes of a file, one too many if it is longer than `MOST_BYTES`. A pipe without a writer is empty."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    with open(fd, "rb", buffering=0) as file:
        begin = file.read(1) if S_ISFIFO(os.fstat(fd).st_mode) else None
        os.set_blocking(fd, True)
        data = [b"" if begin is None else begin]
        while begin != b"" and sum(map(len, data)) <= MOST_BYTES and (part := file.read(MOST_BYTES + 1)):
            data.append(part)
    return b"".join(data)


def read_json(path: Path, wanted: str) -> Any:
    """Return what a JSON file holds. Raises `UsageError` as `read_text` does, and for no JSON or too deep a nesting."""
    return parse_json(read_text(path, wanted), str(path), wanted)


def parse_json(text: str, name: str, wanted: str) -> Any:
    """Return what a JSON text of this ``name`` holds. Raises `UsageError`."""
    try:
        return json.loads(text)
    except ValueError:  # numbers of thousands of digits, too
        raise UsageError(f"{name} is no JSON: {wanted}") from None
    except RecursionError:
        raise UsageError(f"{name} is nested too deeply: {wanted}") from None
