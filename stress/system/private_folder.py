"""Folders that nobody but the caller can write to: for files that are run as code when they are read again."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from functools import cache
from pathlib import Path


class NotPrivate(Exception):
    """Another user could put files into a folder; the message says who and where."""


def make_private(folder: Path) -> Path:
    """Make a folder that belongs to the caller and that nobody else can write to, and return its real path.

    Folders that are missing are made with mode 0700, whatever the umask. Raises `NotPrivate` where the folder belongs
    to another user, or another user could write to it or change the way to it; `OSError` where it cannot be made.
    """
    real = Path(os.path.realpath(folder))
    for parent in reversed(real.parents):
        _make(parent)
        _check_parent(parent)
    _make(real)
    found = real.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise _no_folder(real)
    if found.st_uid != os.geteuid():
        raise NotPrivate(f"{real} belongs to {_name(found.st_uid)}")
    if others_write(found):
        raise NotPrivate(f"others may write to {real}")
    return real


def others_write(found: os.stat_result) -> bool:
    """Return whether others than the owner may write to a file, by its mode. The user's own group does not count."""
    in_group = found.st_mode & stat.S_IWGRP and not _is_own_group(found.st_gid)
    return bool(found.st_mode & stat.S_IWOTH or in_group)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return
    folder.chmod(0o700)  # a umask may have left less


def _no_folder(path: Path) -> NotADirectoryError:
    return NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


def _check_parent(folder: Path) -> None:
    """Raise `NotPrivate` when another user could put another folder in the place of one in this folder."""
    found = folder.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise _no_folder(folder)
    if found.st_uid not in _trusted():
        raise NotPrivate(f"{folder} belongs to {_name(found.st_uid)}")
    if others_write(found) and not found.st_mode & stat.S_ISVTX:  # sticky, as /tmp
        raise NotPrivate(f"others may write to {folder}")


def _trusted() -> set[int]:
    """Return the caller, root, and who owns /: root as it looks from inside a user namespace."""
    return {os.geteuid(), 0, os.stat("/").st_uid}


@cache
def _is_own_group(gid: int) -> bool:
    """Return whether a group is the caller's own: named like the user, no other members, as with a umask of 002."""
    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    return user.pw_gid == gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
