"""Reading the small files that a user names."""

from __future__ import annotations

from pathlib import Path

from stress.errors import UsageError

MOST_BYTES = 64 << 20
"""Larger than any file of this program: what is longer is something else, or has no end."""


def read_text(path: Path, wanted: str) -> str:
    """The text of a file. ``wanted`` says what to name in its place, as in "name a file with a workload".

    Raises `UsageError`, one line, for what cannot be read, is too long, or is no text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise UsageError(f"{path} is longer than {MOST_BYTES >> 20} MiB: {wanted}")
        return data.decode()
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror}): {wanted}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no text: {wanted}") from None
