"""Compile a list of functions on all CPUs at once.

Machine code is found on disk when the same is compiled again, so child processes can do a part of the work, and
nothing depends on them: a child that fails or hangs leaves its part to the process that started it. What one has begun
the others leave to it, so that nothing is compiled twice where other programs want the CPUs, too.
"""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from mmap import mmap

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


PATIENCE = 20.0
"""Seconds that a process waits for what a child has begun, when nothing else is left; then it does that itself."""
_FREE, _BEGUN, _DONE, _DONE_HERE = range(4)


def compile_all(tasks: Sequence[Task], what: str) -> None:
    """Perform each of these tasks, which compile functions that are kept on disk; children perform some of them before.

    Put the longest first. ``what`` they compile, in words. Raises what a task raises.
    """
    if len(tasks) > FEW and what not in _told:
        _told.add(what)
        on_compile(what)
    perform_all(tasks)


def perform_all(tasks: Sequence[Task]) -> None:
    """Perform each of these tasks, as `compile_all` does."""
    state = mmap(-1, max(1, len(tasks)))
    with state, _children(tasks, state) as pids:
        for number in _free(range(len(tasks)), state):
            tasks[number]()
            state[number] = _DONE_HERE
        theirs = [number for number in range(len(tasks)) if state[number] != _DONE_HERE]
        for number in theirs:
            _wait_for(number, state, pids)
            tasks[number]()


def _free(numbers: Sequence[int], state: mmap) -> Iterator[int]:
    """Yield the tasks, in this order, that nobody has begun; they are begun with that."""
    for number in numbers:
        if state[number] == _FREE:
            state[number] = _BEGUN
            yield number


def _wait_for(number: int, state: mmap, pids: Sequence[int]) -> None:
    """Wait until a child has done what it has begun, but not for children that have ended, nor for ever."""
    until = time.monotonic() + PATIENCE
    while state[number] != _DONE and any(map(_goes_on, pids)) and time.monotonic() < until:
        time.sleep(0.002)


def _goes_on(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


@contextmanager
def _children(tasks: Sequence[Task], state: mmap) -> Iterator[list[int]]:
    """While the block runs, have child processes perform these tasks, each from another place in the list backwards."""
    count = min(available_cores(), MOST, len(tasks)) - 1
    pids: list[int] = []
    try:
        with suppress(OSError):  # no process to be had
            for child in range(count):
                end = len(tasks) - child * len(tasks) // count
                pids.append(_start([*reversed(range(end)), *reversed(range(end, len(tasks)))], tasks, state))
        yield pids
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)


def _start(numbers: Sequence[int], tasks: Sequence[Task], state: mmap) -> int:
    """Start a child that performs the tasks. It is killed before it is waited for, so a hang does no harm."""
    parent = os.getpid()
    with held_back(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside other threads
        pid = os.fork()
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                die_with(parent)
                for number in _free(numbers, state):
                    tasks[number]()
                    state[number] = _DONE
            finally:
                os._exit(0)
    return pid
