"""The files that this program is made of, and a hash of files: what was made from other ones is out of date."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""Where both packages lie."""


def source_files(besides: Iterable[str] = ()) -> list[Path]:
    """Return the Python files of both packages, sorted, without those in these files and folders of a package.

    >>> any(file.name == "cli.py" for file in source_files(besides=["cli.py"]))
    False
    """
    left_out = frozenset(besides)
    files = [file for name in ("shm_layout", "stress") for file in (ROOT / name).rglob("*.py")]
    return sorted(file for file in files if file.relative_to(ROOT).parts[1] not in left_out)


def hash_of(files: Iterable[Path], more: Iterable[str] = ()) -> str:
    """Return a hash of the contents of files, and of texts that these are used with: 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for text in more:
        digest.update(text.encode())
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
