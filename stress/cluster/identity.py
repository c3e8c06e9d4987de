"""What has to be the same on all machines of a cluster: this program's sources, and what its results depend on."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("hypothesis", "numba", "numpy")
"""Their versions decide what is drawn and what is compiled."""


@cache
def identity() -> dict[str, str]:
    """Return what this machine has, by name: a hash of the sources of both packages, and versions.

    >>> sorted(identity())
    ['Python', 'hypothesis', 'numba', 'numpy', 'pte-stress']
    """
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for package in ("shm_layout", "stress"):
        for file in sorted((root / package).rglob("*.py")):
            digest.update(f"{file.relative_to(root)}\n".encode())
            digest.update(file.read_bytes())
    python = ".".join(platform.python_version_tuple()[:2])
    return {"pte-stress": digest.hexdigest()[:12], "Python": python, **{name: version(name) for name in PACKAGES}}


def differences(theirs: dict[str, str]) -> str:
    """Say in what another machine differs from this one; "" where in nothing.

    >>> differences({**identity(), "numba": "0.1"}).startswith("numba 0.1, here ")
    True
    """
    ours = identity()
    return "; ".join(f"{name} {theirs.get(name)}, here {ours[name]}" for name in ours if theirs.get(name) != ours[name])
