"""Attributes of a process that prctl(2) sets; imports nothing that a worker would have to carry."""

from __future__ import annotations

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_SET_THP_DISABLE = 41


def prctl(option: int, value: int) -> None:
    """Set one attribute of this process; an option that the kernel does not know is passed over."""
    ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0)


def die_with(parent: int) -> None:
    """Have this process killed when ``parent``, which started it, ends in whatever way."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
