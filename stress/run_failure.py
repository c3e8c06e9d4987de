"""A failure of `pte-stress run`, read from the file that it saved: where a hunt can start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shm_layout.errors import UsageError
from shm_layout.machine import ARCHES
from stress.checks import CHECKS
from stress.system.text_file import read_json

FORMAT = "pte-stress run failure 1"
"""First entry of the file: what it is, and the version of its format."""


@dataclass(frozen=True)
class Failure:
    """``design`` as the user named it; ``checks`` that broke; ``kinds``: the operations that were under way.

    Where none were, because the check only shows at rest, ``kinds`` are those of the run's mix.
    """

    design: str
    arch: str
    checks: tuple[str, ...]
    kinds: tuple[str, ...]


def read_failure(path: Path) -> Failure:
    """Read the file. Raises `UsageError`, one line, when it cannot be read or is something else."""
    data: Any = read_json(path, "name a file that `run --save` wrote")
    if isinstance(data, dict) and "pte_stress" in data:
        raise UsageError(f"{path} is a counterexample: `replay {path}` takes it; name a file that `run --save` wrote")
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise UsageError(f"{path} is no failure of a run: name a file that `run --save` wrote")
    try:
        checks = tuple(c["name"] for c in data["checks"])
        kinds = {u["operation"] for u in data["under_way"]} or {k for k, weight in data["mix"].items() if weight}
        design, arch = str(data["design"]), str(data["arch"])
    except (KeyError, TypeError, AttributeError):
        raise UsageError(f"{path} was edited or cut short: let `run --save` write it again") from None
    named = all(isinstance(name, str) for name in (*checks, *kinds))
    # No check at all would be a hunt for nothing.
    if arch not in ARCHES or not kinds or not checks or not named or not set(checks) <= CHECKS.keys():
        raise UsageError(f"{path} was edited: let `run --save` write it again")
    return Failure(design, arch, checks, tuple(sorted(kinds)))
