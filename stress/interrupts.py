"""Ctrl-C that is noted, so that nothing is lost: neither the interrupt nor what was measured until then."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from threading import current_thread, main_thread
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a program to end."""

SAME = 0.5
"""Seconds. Signals that come so close together are one wish: timeout(1) and a terminal that is closed send to a process
and then to all of its group."""


class Asked:
    """Whether the user wants the end."""

    def __init__(self) -> None:
        """Not yet."""
        self._since: float | None = None

    def is_set(self) -> bool:
        """Whether a signal has come."""
        return self._since is not None

    def note(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: remember the first, raise KeyboardInterrupt for a further one.

        It may run in the middle of itself, so it takes no lock.
        """
        if self._since is None:
            self._since = time.monotonic()
        elif time.monotonic() - self._since > SAME:
            raise KeyboardInterrupt


@contextlib.contextmanager
def interrupts() -> Iterator[Asked]:
    """Note Ctrl-C, and other signals that raise KeyboardInterrupt, instead of raising it; a second one raises it.

    For those who have something to say once they are asked to end, and around Hypothesis, which has a callback in the
    garbage collector: what is raised there is lost.
    """
    asked = Asked()
    if current_thread() is not main_thread():
        yield asked
        return
    usual = signal.default_int_handler
    guarded = [number for number in ENDING if signal.getsignal(number) is usual]
    for number in guarded:
        signal.signal(number, asked.note)
    try:
        yield asked
    finally:
        for number in guarded:
            signal.signal(number, usual)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Around the start of a process that will `leave_to_launcher`: none of these signals reaches it before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_to_launcher() -> None:
    """In a worker: what asks the whole process group to end is for the launcher, who ends the workers."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
