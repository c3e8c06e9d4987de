"""Ctrl-C while something is measured: the first one asks for the end, and what was measured is printed."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Self

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """A context manager: a first signal that would raise KeyboardInterrupt is noted in ``seen``, a second one raises.

    For the main thread. A signal that is ignored, or does something else, is left alone.
    """

    seen = False

    def __enter__(self) -> Self:
        """Begin to note."""
        self._noting = [n for n in NUMBERS if signal.getsignal(n) is signal.default_int_handler]
        for number in self._noting:
            signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.seen:
            raise KeyboardInterrupt
        self.seen = True

    def __exit__(self, *exc: object) -> None:
        """As before."""
        for number in self._noting:
            signal.signal(number, signal.default_int_handler)
