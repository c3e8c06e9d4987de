"""Ctrl-C that is noted, so that nothing is lost: neither the interrupt nor what was measured until then."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from threading import Event, current_thread, main_thread
from types import FrameType


@contextlib.contextmanager
def interrupts() -> Iterator[Event]:
    """An event that Ctrl-C sets, instead of a KeyboardInterrupt wherever the program is; a second one is as ever.

    So are other signals that raise KeyboardInterrupt. It serves those who have more to say once they are asked to end,
    and who run Hypothesis: that has a callback in the garbage collector, and what is raised there is lost.
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
