"""Signals that ask a program to end: none of them is lost, nor what was measured until then.

A signal raises KeyboardInterrupt in the main thread. What is raised inside a function that C code has called (a
callback of ctypes or of the garbage collector, a destructor) is printed by Python and forgotten. In a callback of LLVM
it would also leave half a function behind. So `interrupt` raises later where LLVM is at work, and what was forgotten
is raised again.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from threading import current_thread, main_thread
from types import FrameType
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a program to end."""

INTERRUPTING = (*ENDING, signal.SIGALRM)
"""What may raise KeyboardInterrupt."""

SAME = 0.5
"""Seconds. Signals that come so close together are one wish: timeout(1) and a terminal that is closed send to a process
and then to all of its group."""

LATER = 0.01
"""Seconds until an interrupt that would be lost, or was, is tried again."""

INTERRUPTED = 128 + signal.SIGINT
"""Exit status of a program that was interrupted."""

_last = float("-inf")
"""When the last signal came that was not the same wish as the one before."""


def _is_new() -> bool:
    """Return whether a signal that comes now is a wish of its own. No lock: it may run in the middle of itself."""
    global _last
    before, now = _last, time.monotonic()
    if now - before <= SAME:
        return False
    _last = now
    return True


def interrupt(number: int, frame: FrameType | None) -> None:
    """Handle a signal: raise KeyboardInterrupt as soon as it cannot get lost, once for signals that come together."""
    if _is_new():
        _raise_when_safe(number, frame)


def _raise_when_safe(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, or have it raised soon where LLVM is at work, whose callbacks lose it."""
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("llvmlite."):
            _raise_later()
            return
        frame = frame.f_back
    raise KeyboardInterrupt


def _raise_later() -> None:
    signal.signal(signal.SIGALRM, _raise_when_safe)
    signal.setitimer(signal.ITIMER_REAL, LATER)


def _raise_again(before: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make a `sys.unraisablehook` that has a KeyboardInterrupt raised again; ``before`` is called for all others."""

    def hook(lost: Any) -> None:
        if lost.exc_type is not None and issubclass(lost.exc_type, KeyboardInterrupt):
            _raise_later()
        else:
            before(lost)

    return hook


def listen() -> None:
    """Let SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt from now on, but for those that are ignored (nohup).

    Who started the program may ignore SIGCHLD, too; it would not hear then how its own children ended.
    """
    if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    global _last
    _last = float("-inf")
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)
    if getattr(sys.unraisablehook, "__module__", "") != __name__:
        sys.unraisablehook = _raise_again(sys.unraisablehook)


def end_when_asked_again() -> None:
    """Let a further signal end the process at once: it was interrupted, and has only to say so.

    While Python itself ends, it would put the default handlers back, and the status would be another.
    """

    def end(number: int, frame: FrameType | None) -> None:
        if _is_new():
            os._exit(INTERRUPTED)

    if signal.getsignal(signal.SIGALRM) == _raise_when_safe:
        signal.setitimer(signal.ITIMER_REAL, 0)
    for number in ENDING:
        if signal.getsignal(number) == interrupt:
            signal.signal(number, end)
            atexit.register(signal.signal, number, signal.SIG_IGN)


class Asked:
    """Whether the user wants the end."""

    def __init__(self) -> None:
        """Not yet."""
        self._came = False

    def is_set(self) -> bool:
        """Return whether a signal has come."""
        return self._came

    def note(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: remember the first, raise KeyboardInterrupt for a further one."""
        again, new = self._came, _is_new()
        self._came = True
        if new and again:
            _raise_when_safe(number, frame)


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
    usual = {number: signal.getsignal(number) for number in ENDING}
    guarded = [number for number in ENDING if usual[number] in (signal.default_int_handler, interrupt)]
    for number in guarded:
        signal.signal(number, asked.note)
    try:
        yield asked
    finally:
        for number in guarded:
            signal.signal(number, usual[number])


@contextlib.contextmanager
def until_interrupted() -> Iterator[Asked]:
    """Leave the block at a KeyboardInterrupt; yields what says afterwards whether there was one.

    For a caller that then gives what it has. The command that prints it ends as one that was interrupted, all the same.
    """
    ended = Asked()
    try:
        yield ended
    except KeyboardInterrupt:
        ended._came = True


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Hold back what interrupts: around the start of a process that will `leave_to_launcher`, or of a thread.

    Both begin with these signals blocked.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTING)  # it raises what came just before
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_to_launcher() -> None:
    """In a worker: what asks the whole process group to end is for the launcher, who ends the workers."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTING)
