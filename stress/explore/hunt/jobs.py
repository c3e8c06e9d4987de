"""One hunt by several processes at once: each draws workloads of its own, and what breaks is looked at again here.

A process sends each workload that breaks something as soon as it has found it, and now and then how far it has come.
The hunt that they are of explores what was sent and notes the finds, as if it had drawn it: which faults a find is
one of, and which are mended meanwhile, is decided in one place. A process that dies loses what it had not looked at.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from stress.explore.model.reads import joined
from stress.system.interrupts import ENDING, held_back
from stress.system.prctl import die_with
from stress.system.told_error import ToldError
from stress.workload import Workload

TOLD_EVERY = 0.2
"""Seconds between two times that a process says how far it has come."""
SEEDS = 1 << 40
"""From the seeds of one process to those of the next."""
LATE = 5.0
"""Seconds that a process has for its last word when the time is up."""


@dataclass(frozen=True)
class Progress:
    """How far a process has come: the counts of a hunt, and what it has looked at so far."""

    workloads: int = 0
    given_up: int = 0
    reads: Mapping[str, bool] = field(default_factory=dict)
    performed: frozenset[str] = frozenset()
    taken: Mapping[str, frozenset[tuple[int, int]]] = field(default_factory=dict)


def summed(parts: Sequence[Progress]) -> Progress:
    """Return how far several have come together."""
    names = {name for part in parts for name in part.taken}
    return Progress(
        sum(part.workloads for part in parts),
        sum(part.given_up for part in parts),
        joined(part.reads for part in parts),
        frozenset[str]().union(*(part.performed for part in parts)),
        {name: frozenset[tuple[int, int]]().union(*(p.taken.get(name, ()) for p in parts)) for name in names},
    )


class Hunter(Protocol):
    """What hunts in a process: a `stress.explore.hunt.hunt.Hunt`."""

    def alone(
        self, seeds: int, *, breaks: Callable[[Workload], None], progress: Callable[[Hunter], None]
    ) -> None:
        """Draw workloads until the time is up, and tell of those that break something."""

    def so_far(self) -> Progress:
        """Return how far it has come."""


def _look(hunt: Hunter, number: int, parent: int, pipe: Connection) -> None:
    """Hunt in a child, as process ``number``, and tell what is found."""
    for ending in ENDING:
        signal.signal(ending, signal.SIG_IGN if ending == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    signal.set_wakeup_fd(-1)
    die_with(parent)
    told = time.monotonic()

    def tell(hunt: Hunter) -> None:
        nonlocal told
        if time.monotonic() - told >= TOLD_EVERY:
            told = time.monotonic()
            pipe.send(hunt.so_far())

    try:
        hunt.alone(number * SEEDS, breaks=pipe.send, progress=tell)
    except Exception as error:
        pipe.send(ToldError.of(error))
    pipe.send(hunt.so_far())
    pipe.send(None)


class Children:
    """The processes of a hunt: a `stress.explore.hunt.hunt.Team`."""

    late = LATE

    def __init__(self, hunt: Hunter, count: int) -> None:
        """Start them."""
        self.so_far: dict[Connection, Progress] = {}
        self._processes = []
        context: Any = get_context("fork")  # the user's design is there, and what was compiled
        for number in range(count):
            here, there = context.Pipe(duplex=False)
            process = context.Process(target=_look, args=(hunt, number, os.getpid(), there), daemon=True)
            with held_back():
                process.start()
            there.close()
            self._processes.append(process)
            self.so_far[here] = Progress()
        self._open = set(self.so_far)

    def listen(self, hunt: Hunter) -> Workload | None:
        """Return the next workload that breaks something; None when there is none just now.

        Raises what a process was ended by.
        """
        for pipe in wait(list(self._open), timeout=TOLD_EVERY):
            assert isinstance(pipe, Connection)
            try:
                message = pipe.recv()
            except (EOFError, OSError):
                message = None
            if isinstance(message, Workload):
                return message
            if isinstance(message, ToldError):
                raise message.error()
            if isinstance(message, Progress):
                self.so_far[pipe] = message
            else:
                self._open.discard(pipe)
                pipe.close()
        return None

    @property
    def at_work(self) -> bool:
        """Whether any has not ended."""
        return bool(self._open)

    @property
    def one_ended(self) -> bool:
        """Whether one has."""
        return len(self._open) < len(self._processes)

    @property
    def total(self) -> Progress:
        """What they came to together."""
        return summed(list(self.so_far.values()))

    def end(self) -> None:
        """End those that are at work still."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join(LATE)
            if process.is_alive():
                process.kill()
                process.join()
