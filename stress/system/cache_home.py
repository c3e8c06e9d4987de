"""Where what is kept between runs lies, unless the user says otherwise."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from shm_layout.errors import MachineError
from stress.system.private_folder import NotPrivate, make_private

ADVICE = "set NUMBA_CACHE_DIR to a folder that you may write to"


def cache_home() -> Path:
    """XDG_CACHE_HOME, else .cache in the user's home. Raises `MachineError` for a user who has none."""
    told = os.environ.get("XDG_CACHE_HOME")
    if told:
        return Path(told)
    home = os.path.expanduser("~")
    if home == "~":
        raise MachineError("this user has no home folder to keep files in: set HOME or XDG_CACHE_HOME to a folder")
    return Path(home) / ".cache"


def _bases() -> Iterator[Path]:
    """Folders that compiled code may be kept below, best first."""
    configured = os.environ.get("NUMBA_CACHE_DIR")
    if configured:
        yield Path(configured)
    yield cache_home()
    try:
        yield Path(pwd.getpwuid(os.geteuid()).pw_dir) / ".cache"  # HOME may be another user's, as after sudo
    except KeyError:
        return


@cache
def code_base() -> Path:
    """Choose the folder that compiled code is kept below: NUMBA_CACHE_DIR, else the user's cache folder.

    What is found there is run, so nobody else may write to its folder `pte-stress`. Where somebody may, another one is
    taken and a line on stderr says so. Raises `MachineError` when there is none.
    """
    refused = ""
    for base in _bases():
        folder = base / "pte-stress"
        try:
            make_private(folder)
        except NotPrivate as why:
            refused = refused or f"{why}, so compiled code cannot be kept in {folder}"
            continue
        except OSError as error:
            raise MachineError(f"no folder {folder} for compiled code ({error.strerror}): {ADVICE}") from None
        if refused:
            print(f"pte-stress: {refused}; it is kept in {folder} instead", file=sys.stderr)
        return base
    raise MachineError(f"{refused}: set NUMBA_CACHE_DIR to a folder that only you may write to")
