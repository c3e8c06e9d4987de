"""Running Hypothesis inside a command: nothing left in the user's folder, and interrupts that are never lost."""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Callable, Iterator
from threading import Event, current_thread, main_thread
from types import FrameType


@contextlib.contextmanager
def no_hypothesis_folder() -> Iterator[None]:
    """Let Hypothesis put what it notes for itself in a folder that goes away, not into the user's.

    It makes `.hypothesis` in the current folder even when it is to keep no examples.
    """
    from hypothesis import configuration

    with tempfile.TemporaryDirectory() as folder:
        configuration.set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(None)


@contextlib.contextmanager
def interrupts() -> Iterator[Event]:
    """An event that Ctrl-C sets, instead of a KeyboardInterrupt wherever the program is; a second one is as ever.

    So are other signals that raise KeyboardInterrupt. Hypothesis has a callback in the garbage collector, and what
    is raised there is lost.
    """
    asked = Event()
    if current_thread() is not main_thread():
        yield asked
        return
    usual = signal.default_int_handler
    guarded = [number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is usual]

    def handle(by: Callable[[int, FrameType | None], object]) -> None:
        for number in guarded:
            signal.signal(number, by)

    def note(number: int, frame: FrameType | None) -> None:
        asked.set()
        handle(usual)

    handle(note)
    try:
        yield asked
    finally:
        handle(usual)
