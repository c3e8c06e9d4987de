"""The review of V12 as a catalogue: each finding a pair of designs, a workload and the check that tells them apart.

One file per finding, found by its name: `f01.py` to `f16.py` are the review's points, `n01.py` and on are faults
of the posted patches that the review does not name, `r01.py` and on races that real kernels shipped, `w01.py` and on
what only a memory model weaker than sc shows. A file defines `FINDING`.
"""

from __future__ import annotations

import importlib
import pkgutil
import re

from stress.findings.finding import Finding

_FILE = re.compile(r"[fnrw]\d\d")

CHAPTERS = {"letter": "F", "further": "N", "races": "R", "weak": "W"}
"""The chapters of the catalogue, each with the letter that its findings' ids begin with."""

NOT_MODELLED = {
    "F17": "F17: white space lost at line ends kept the patches from applying. That is a fault of a mail and not of an"
    " interleaving, so there is nothing to explore or to measure here; the checks of this repository refuse such lines"
    " in its own files (.ci/trailing-white-space)."
}
"""What the review says that no workload can show, by id."""


def ids(chapter: str | None = None) -> list[str]:
    """Return the ids of all findings that are explored, or of those of one of `CHAPTERS`, F first, in order."""
    found = sorted(i.name.upper() for i in pkgutil.iter_modules(__path__) if _FILE.fullmatch(i.name))
    return [i for i in found if chapter is None or i.startswith(CHAPTERS[chapter])]


def get(identifier: str) -> Finding:
    """Return the finding of that id. Raises `KeyError` when there is none."""
    if identifier.upper() not in ids():
        raise KeyError(identifier)
    found = importlib.import_module(f"{__name__}.{identifier.lower()}").FINDING
    assert isinstance(found, Finding)
    return found
