"""The designs, one file each: a file's design is found under the file's name."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from stress.design import Design

OLD_PATHS = ("build", "correction", "counter")
"""Modules that hold no design: they only lead to `stress.designs.parts`."""


BROKEN = (
    "atomic_until_thread",
    "v11_sloppy",
    "v12",
    "v12_reviewed",
    "v13",
    "v14",
    "v14_semicolon",
    "v14_unsplit",
    "v15",
    "v15_current",
)
"""Designs that break a check as they were posted or shipped: all others are sound."""


def names() -> list[str]:
    """Return the names of all designs that come with the program."""
    return sorted(i.name for i in pkgutil.iter_modules(__path__) if not i.ispkg and i.name not in OLD_PATHS)


@cache
def get(name: str) -> Design:
    """Return the design of that name. Raises `KeyError` when there is none."""
    if name not in names():
        raise KeyError(name)
    design = importlib.import_module(f"{__name__}.{name}").DESIGN
    assert isinstance(design, Design)
    return design
