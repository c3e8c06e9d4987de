"""The folders for what is kept between runs: compiled code and the finds of hunts."""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from shm_layout.errors import MachineError
from stress.system.private_folder import NotPrivate, make_private

ADVICE = "set NUMBA_CACHE_DIR to a folder that you may write to"


def cache_home() -> Path:
    """Return XDG_CACHE_HOME, else .cache in the user's home. Raises `MachineError` for a user who has none."""
    told = os.environ.get("XDG_CACHE_HOME")
    if told:
        return Path(told)
    home = os.path.expanduser("~")
    if home == "~":
        raise MachineError("this user has no home folder to keep files in: set HOME or XDG_CACHE_HOME to a folder")
    return Path(home) / ".cache"


def _bases() -> Iterator[Path]:
    """Yield the folders that compiled code may be kept below, best first."""
    configured = os.environ.get("NUMBA_CACHE_DIR")
    if configured:
        yield Path(configured)
    with contextlib.suppress(MachineError):
        yield cache_home()
    with contextlib.suppress(KeyError):
        yield Path(pwd.getpwuid(os.geteuid()).pw_dir) / ".cache"  # HOME may be another user's, as after sudo


@cache
def code_base() -> Path:
    """Choose the folder that compiled code is kept below: NUMBA_CACHE_DIR, else the user's cache folder.

    What is found there is run, so no other user may write to its folder `pte-stress`. Where one may, another one is
    taken and a line on stderr says so. Where nothing can be written, or the user has no home, it is a temporary folder
    that goes away with this process; a line says that, too. Raises `MachineError` when there is none.
    """
    refused = why = ""
    for base in _bases():
        folder = base / "pte-stress"
        try:
            make_private(folder)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise OSError(errno.EROFS, "it cannot be written to")
        except NotPrivate as found:
            refused = refused or f"{found}, so compiled code cannot be kept in {folder}"
            continue
        except OSError as error:
            if "NUMBA_CACHE_DIR" in os.environ and base == Path(os.environ["NUMBA_CACHE_DIR"]):
                raise MachineError(f"no folder {folder} for compiled code ({error.strerror}): {ADVICE}") from None
            why = why or f"no folder {folder} ({error.strerror})"
            continue
        if refused:
            print(f"pte-stress: {refused}; it is kept in {folder} instead", file=sys.stderr)
        return base
    if refused:
        raise MachineError(f"{refused}: set NUMBA_CACHE_DIR to a folder that only you may write to")
    return _for_this_run(why or "this user has no home folder")


def _for_this_run(why: str) -> Path:
    """Make a folder that goes away when this process ends, and say so with the reason."""
    try:
        folder = tempfile.mkdtemp(prefix="pte-stress-")
        make_private(Path(folder) / "pte-stress")
    except (OSError, NotPrivate) as error:
        raise MachineError(f"{why}, and no temporary folder either ({error}): {ADVICE}") from None
    made_by = os.getpid()

    def remove() -> None:
        if os.getpid() == made_by:  # not a child that was forked since
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    until = f"compiled code lies in {folder} until this run ends"
    print(f"pte-stress: {why}: {until}; to keep it, {ADVICE}", file=sys.stderr)
    return Path(folder)
