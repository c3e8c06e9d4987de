"""Compile a list of functions on all CPUs at once.

Machine code is found on disk when the same is compiled again, so child processes can do a part of the work, and
nothing depends on them: a child that fails or hangs leaves its part to the process that started it.
"""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from stress.system.cpus import available_cores
from stress.system.interrupts import held_back
from stress.system.prctl import die_with

MOST = 4
"""Processes that compile at once, at most: more only do the same twice."""

Task = Callable[[], object]


def _quiet(what: str) -> None:
    pass


on_compile: Callable[[str], None] = _quiet
"""Called before `compile_all` compiles more than `FEW` functions, once for what they are: commands say so then."""
_told: set[str] = set()
FEW = 10
"""Functions that take less than a second."""


def compile_all(tasks: Sequence[Task], what: str) -> None:
    """Perform each of these tasks, which compile functions that are kept on disk; children perform them meanwhile.

    Put the longest first. ``what`` they compile, in words. Raises what a task raises.
    """
    if len(tasks) > FEW and what not in _told:
        _told.add(what)
        on_compile(what)
    with children(tasks):
        for task in tasks:
            task()


@contextmanager
def children(tasks: Sequence[Task]) -> Iterator[None]:
    """While the block runs, have child processes perform these tasks, each from another place in the list backwards."""
    count = min(available_cores(), MOST, len(tasks)) - 1
    pids: list[int] = []
    try:
        with suppress(OSError):  # no process to be had
            for child in range(count):
                end = len(tasks) - child * len(tasks) // count
                pids.append(_start([*reversed(tasks[:end]), *reversed(tasks[end:])]))
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)


def _start(tasks: Sequence[Task]) -> int:
    """Start a child that performs the tasks. It is killed before it is waited for, so a hang does no harm."""
    parent = os.getpid()
    with held_back(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside other threads
        pid = os.fork()
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                die_with(parent)
                for task in tasks:
                    task()
            finally:
                os._exit(0)
    return pid
