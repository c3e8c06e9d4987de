"""Where what is kept between runs lies, unless the user says otherwise."""

from __future__ import annotations

import os
from pathlib import Path

from stress.errors import MachineError


def cache_home() -> Path:
    """XDG_CACHE_HOME, else .cache in the user's home. Raises `MachineError` for a user who has none."""
    told = os.environ.get("XDG_CACHE_HOME")
    if told:
        return Path(told)
    home = os.path.expanduser("~")
    if home == "~":
        raise MachineError("this user has no home folder to keep files in: set HOME or XDG_CACHE_HOME to a folder")
    return Path(home) / ".cache"
