"""Apply a function to items in several processes, with the results in the order of the items."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

from stress.system.interrupts import ENDING
from stress.system.prctl import die_with

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
AHEAD = 8
"""Items for each process that are under way, or wait until those before them are done."""


def _begin(parent: int) -> None:
    """In a process: what asks all of the group to end is for the one that started it."""
    for ending in ENDING:
        signal.signal(ending, signal.SIG_IGN if ending == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    signal.set_wakeup_fd(-1)
    die_with(parent)


def at_once(
    function: Callable[[_Item], _Result], items: Iterable[_Item], jobs: int
) -> Iterator[tuple[_Item, Callable[[], _Result]]]:
    """Yield each item, in order, and what gives its result, or raises what the function raised; in ``jobs`` processes.

    What a process that dies had under way, and all after it, is done here. The processes are forked when the second
    item is asked for: what the first one compiled, they have.

    >>> [result() for _, result in at_once(abs, [-1, 2, -3], 2)]
    [1, 2, 3]
    """
    waiting = iter(items)
    for item in islice(waiting, 1):
        yield item, partial(function, item)
    if jobs < 2:
        for item in waiting:
            yield item, partial(function, item)
        return
    pool = ProcessPoolExecutor(jobs, get_context("fork"), _begin, (os.getpid(),))
    under_way: deque[tuple[_Item, Future[_Result] | None]] = deque()

    def submit(count: int) -> None:
        for item in islice(waiting, count):
            try:
                under_way.append((item, pool.submit(function, item)))
            except BrokenProcessPool:
                under_way.append((item, None))

    def result(item: _Item, future: Future[_Result] | None) -> _Result:
        if future is not None:
            with suppress(BrokenProcessPool):
                return future.result()
        return function(item)

    try:
        submit(AHEAD * jobs)
        while under_way:
            item, future = under_way.popleft()
            yield item, partial(result, item, future)
            submit(1)
    finally:
        for process in list((pool._processes or {}).values()) if under_way else ():
            process.terminate()
        pool.shutdown(cancel_futures=True)
