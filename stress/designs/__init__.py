"""The designs, one file each: a file's design is found under the file's name."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from stress.design import Design

OLD_PATHS = ("build", "correction", "counter")
"""Modules that hold no design: they only lead to `stress.designs.parts`."""


def names() -> list[str]:
    """Names of all designs that come with the program."""
    return sorted(i.name for i in pkgutil.iter_modules(__path__) if not i.ispkg and i.name not in OLD_PATHS)


@cache
def get(name: str) -> Design:
    """The design of that name. Raises `KeyError` when there is none."""
    if name not in names():
        raise KeyError(name)
    design = importlib.import_module(f"{__name__}.{name}").DESIGN
    assert isinstance(design, Design)
    return design
