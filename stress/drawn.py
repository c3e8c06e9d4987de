"""Running Hypothesis inside a command: nothing left in the user's folder, and Ctrl-C that is never lost."""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Iterator
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

    Hypothesis has a callback in the garbage collector, and what is raised there is lost.
    """
    asked = Event()
    if current_thread() is not main_thread():
        yield asked
        return
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        asked.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
