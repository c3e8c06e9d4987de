"""The processes of a comparison: forked from this one once its loops are compiled, ended with each measurement."""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shm_layout.errors import MachineError
from stress.rss.arena import ELAPSED, Arena
from stress.system.cpus import allowed_cpus
from stress.system.interrupts import held_back, leave_to_launcher
from stress.system.prctl import die_with

LOOK = 0.005
"""Seconds between two looks at the workers: one that has died may leave the others waiting for it without end."""


class CrewError(MachineError):
    """A worker ended before its work was done. Exit status 3."""


def first_ended(pids: list[int]) -> tuple[int, int]:
    """Wait until any of these children ends; its pid and status. No other child is waited for."""
    while True:
        for pid in pids:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return pid, status
        time.sleep(LOOK)


@contextmanager
def ended(pids: list[int]) -> Iterator[None]:
    """Kill and reap what is left of these processes, however the block is left."""
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def together(arena: Arena, work: Callable[[int], object], meet: Callable[[int], object]) -> list[int]:
    """Run ``work(block)`` in a process for each worker, each on a core of its own while there are any, and wait.

    ``meet`` makes them wait for each other first. Returns the nanoseconds that each took. Raises `CrewError` when
    one ends in any other way than by finishing.
    """
    array = arena.segment.array
    array[arena.shared] = 0
    cores = allowed_cpus()
    left: list[int] = []
    parent = os.getpid()
    with ended(left):
        for worker in range(arena.workers):
            with held_back():
                pid = os.fork()
                if pid == 0:
                    leave_to_launcher()
            if pid == 0:
                try:
                    die_with(parent)
                    os.sched_setaffinity(0, {cores[worker % len(cores)]})
                    block = arena.block(worker)
                    meet(arena.shared)
                    began = time.perf_counter_ns()
                    work(block)
                    array[block + ELAPSED] = time.perf_counter_ns() - began
                    os._exit(0)
                except BaseException:
                    traceback.print_exc()
                    os._exit(1)
            left.append(pid)
        while left:
            pid, status = first_ended(left)
            left.remove(pid)
            if status != 0:
                code = os.waitstatus_to_exitcode(status)
                raise CrewError(f"a worker of {arena.subject.name} ended with status {code}: start the run again")
    return [arena.word(worker, ELAPSED) for worker in range(arena.workers)]

