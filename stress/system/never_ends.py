"""Notice steps and checks of the user's own that never end, from outside, by the CPU time that they take.

In plain Python a timer looks which call is under way; in compiled code, which nothing interrupts, a thread does the
work, or several do, and each notes its calls of a step or check of the user's own in a word, which the main thread
looks at.
"""

from __future__ import annotations

import ctypes
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import CodeType, FrameType

from shm_layout.errors import PteStressError
from stress.system.interrupts import held_back

LIMIT = 2.0
"""Seconds of a CPU after which one call of a step or check is said never to end. Those that end take microseconds."""
LOOK = 0.02
"""Seconds between two looks at what is under way."""


class Worker:
    """A thread: its number, and its clock. Made by the thread itself, since that of another one may have ended."""

    def __init__(self) -> None:
        """Take the thread that calls this."""
        self.number = threading.get_ident()
        self._clock = time.pthread_getcpuclockid(self.number)

    def seconds(self) -> float:
        """Return the CPU seconds that the thread took; 0 once it has ended."""
        with suppress(OSError):
            return time.clock_gettime(self._clock)
        return 0.0


class NeverEnds(PteStressError):
    """One call of a step or check goes on without end: check `progress` is broken. Exit status 1."""

    def __init__(self, name: str, under_way: int = 0, worker: Worker | None = None) -> None:
        """Take the name of the step or check; ``under_way``: the word in which compiled code noted it.

        ``worker``: the thread that made the call, of compiled code.
        """
        self.name = name
        self.under_way = under_way
        self.worker = worker
        super().__init__(f"check progress is broken: {name} does not end; look for a loop in it")


@contextmanager
def bounded(functions: Iterable[Callable[..., object]]) -> Iterator[None]:
    """Raise `NeverEnds` in the block when one call of these functions, in plain Python, does not end.

    The call is recognized by its frame. Signals, and so this, are of the main thread; in others nothing is bounded.
    """
    names: dict[CodeType, str] = {}
    for function in functions:
        if (code := getattr(function, "__code__", None)) is not None:
            names[code] = getattr(function, "__name__", "a step")
    if not names or threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: list[FrameType | None] = [None]
    since = 0.0

    def look(number: int, frame: FrameType | None) -> None:
        nonlocal since
        found = None
        while frame is not None:
            found = frame if frame.f_code in names else found
            frame = frame.f_back
        now = time.thread_time()
        if found is None or found is not seen[0]:
            seen[0], since = found, now
        elif now - since > LIMIT:
            seen[0] = None
            raise NeverEnds(names[found.f_code])

    handler = signal.signal(signal.SIGVTALRM, look)
    timer = signal.setitimer(signal.ITIMER_VIRTUAL, LOOK, LOOK)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, *timer)
        signal.signal(signal.SIGVTALRM, handler)
        seen[0] = None


def _freeze(thread: int) -> None:
    """Let a thread in compiled code, by its number, sleep for ever: a signal handler that does not return."""
    libc = ctypes.CDLL(None)
    libc.signal.restype = ctypes.c_void_p
    libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
    libc.signal(signal.SIGRTMAX, ctypes.cast(libc.pause, ctypes.c_void_p))
    signal.pthread_kill(thread, signal.SIGRTMAX)


def watched(
    work: Callable[[Callable[[], None]], None],
    under_way: Callable[[], Mapping[Worker | None, int]],
    name: Callable[[int], str],
) -> None:
    """Do work in which a call of compiled code may never end: a thread does it.

    ``work`` calls the function that it is given now and then, which raises KeyboardInterrupt when the user wants the
    end. ``under_way`` gives, for the thread that does the work (None), or for those that it has do it, a word that
    differs for each call of a step or check of the user's own, and has 0 in its lower half between two; ``name`` what
    it stands for. Raises `NeverEnds`, and what ``work`` raises. A call that does
    not end sleeps from then on, until the process ends.
    """
    ended, asked = threading.Event(), threading.Event()
    raised: list[BaseException] = []

    def go_on() -> None:
        if asked.is_set():
            raise KeyboardInterrupt

    watch = _Watch()
    worker: Worker | None = None

    def run() -> None:
        nonlocal worker
        worker = Worker()
        try:
            work(go_on)
        except BaseException as error:
            raised.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=run, daemon=True)
    started = False
    while not ended.is_set():
        try:
            if not started:
                with held_back():  # from the thread for good
                    started = True
                    thread.start()
            ended.wait(LOOK)
            if (mine := worker) is None:
                continue
            endless = watch.endless((who or mine, word) for who, word in under_way().items())
        except KeyboardInterrupt:
            if asked.is_set():  # already, and the user does not want to wait
                raise
            asked.set()
            continue
        if endless:
            for who, _ in endless:
                _freeze(who.number)
            who, word = endless[0]
            raise NeverEnds(name(word), word, who)
    if raised:
        raise raised[0]
    go_on()


class _Watch:
    """Looks which calls threads are in, and how much of a CPU these took."""

    def __init__(self) -> None:
        self._since: dict[Worker, tuple[int, float]] = {}

    def endless(self, calls: Iterable[tuple[Worker, int]]) -> list[tuple[Worker, int]]:
        """Return of these calls, each with its thread, those that do not end, the longest first.

        When there is one, those that began not long after it are in the same loop.
        """
        taken = []
        for worker, word in calls:
            seen, since = self._since.get(worker, (0, 0.0))
            if word & 0xFFFF_FFFF == 0 or word != seen:
                self._since[worker] = (word, worker.seconds())
            else:
                taken.append((worker.seconds() - since, worker, word))
        taken.sort(key=lambda call: call[0], reverse=True)
        if not taken or taken[0][0] <= LIMIT:
            return []
        return [(worker, word) for seconds, worker, word in taken if seconds > LIMIT / 4]
