"""The review of V12 as a catalogue: each finding a pair of designs, a workload and the check that tells them apart.

One file per finding, found by its name: `f01.py` to `f16.py` are the review's points, `n01.py` and on are faults
of the posted patches that the review does not name. A file defines `FINDING`.
"""

from __future__ import annotations

import importlib
import pkgutil
import re

from stress.findings.finding import Finding

_FILE = re.compile(r"[fn]\d\d")


def ids() -> list[str]:
    """Ids of all findings that are shown by exploring, F first, in order."""
    return sorted(i.name.upper() for i in pkgutil.iter_modules(__path__) if _FILE.fullmatch(i.name))


def get(identifier: str) -> Finding:
    """The finding of that id. Raises `KeyError` when there is none."""
    if identifier.upper() not in ids():
        raise KeyError(identifier)
    found = importlib.import_module(f"{__name__}.{identifier.lower()}").FINDING
    assert isinstance(found, Finding)
    return found
