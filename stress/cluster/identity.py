"""What has to be the same on all machines of a cluster: this program's sources, and what its results depend on."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import version

from stress.system.own_sources import hash_of, source_files

PACKAGES = ("hypothesis", "numba", "numpy")
"""Their versions decide what is drawn and what is compiled."""
NOT_EVERYWHERE = ("examples",)
"""A folder in what was installed from a wheel, a link in a clone; nothing that is handed out takes anything from it."""


@cache
def identity() -> dict[str, str]:
    """Return what this machine has, by name: a hash of the sources of both packages, and versions.

    >>> sorted(identity())
    ['Python', 'hypothesis', 'numba', 'numpy', 'pte-stress']
    """
    python = ".".join(platform.python_version_tuple()[:2])
    sources = hash_of(source_files(besides=NOT_EVERYWHERE))
    return {"pte-stress": sources, "Python": python, **{name: version(name) for name in PACKAGES}}


def differences(theirs: dict[str, str]) -> str:
    """Say in what another machine differs from this one; "" where in nothing.

    >>> differences({**identity(), "numba": "0.1"}).startswith("numba 0.1, here ")
    True
    """
    ours = identity()
    return "; ".join(f"{name} {theirs.get(name)}, here {ours[name]}" for name in ours if theirs.get(name) != ours[name])
