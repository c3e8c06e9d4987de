"""Shards of one piece of work: handed out, lost and handed out again, and taken when they are done, once each."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, Generic, TypeVar

from shm_layout.errors import MachineError
from stress.cluster.apart import Died, perform
from stress.cluster.connecting import Cluster
from stress.cluster.identity import identity
from stress.system.told_error import ToldError

Item = TypeVar("Item")
Result = TypeVar("Result")
MOST_LOSSES = 10
"""Times that a shard may be lost together with what performed it, before it is taken to be its fault."""
LOOK = 0.01
"""Seconds between two looks at what has come back."""
FETCHED_WITHIN = 30.0
"""Seconds that a result may take from where it lies."""


@dataclass(frozen=True)
class Done(Generic[Item, Result]):
    """A shard that came back: its item, its place among all, and its result or error."""

    item: Item
    number: int
    _told: tuple[Result] | Exception

    def result(self) -> Result:
        """Return the result, or raise what the function raised."""
        if isinstance(self._told, Exception):
            raise self._told
        return self._told[0]


class Shards(Generic[Item, Result]):
    """Items that a function is applied to on the workers of a cluster.

    A shard whose worker dies is performed by another one, and so is all that was under way when the scheduler went
    away. Each item comes back once.
    """

    def __init__(self, cluster: Cluster, function: Callable[[Item], Result], *, again: bool = True) -> None:
        """Begin with none. ``function`` is one of a module that can be imported by its name.

        ``again``: a process may perform several, one after the other; not where they run files of the user's.
        """
        self._cluster, self._function, self._again = cluster, function, again
        self._under_way: dict[Any, tuple[Item, int, int]] = {}
        """By what dask calls a future: item, number, how often it was lost."""
        self._numbers = count()
        self._keys = count()

    @property
    def under_way(self) -> int:
        """How many have not come back."""
        return len(self._under_way)

    @property
    def free(self) -> int:
        """How many more can be performed at once."""
        return max(self._cluster.slots - self.under_way, 0)

    def add(self, item: Item) -> int:
        """Hand an item out; returns its number, from 0 on."""
        number = next(self._numbers)
        self._hand_out(item, number, 0)
        return number

    def _hand_out(self, item: Item, number: int, losses: int) -> None:
        key = f"pte-stress-{id(self)}-{next(self._keys)}"
        given = (identity(), self._function, item, self._again)
        future = self._cluster.client.submit(perform, *given, key=key, pure=False)
        self._under_way[future] = (item, number, losses)

    def take(self, seconds: float) -> Done[Item, Result] | None:
        """Return a shard that is done; None when none is, in this time.

        Raises `MachineError` when the scheduler does not come back.
        """
        end = time.monotonic() + seconds
        while True:
            for future in [future for future in self._under_way if future.done()]:
                if future in self._under_way and (done := self._taken(future)) is not None:
                    return done
            if time.monotonic() >= end:
                return None
            time.sleep(LOOK)

    def _taken(self, future: Any) -> Done[Item, Result] | None:
        from distributed import KilledWorker

        item, number, losses = self._under_way[future]
        told: tuple[Result] | ToldError | Exception | None = None
        try:
            if future.status == "finished":
                told = future.result(timeout=FETCHED_WITHIN)
            elif future.status == "error":
                told = future.exception(timeout=FETCHED_WITHIN)
        except (OSError, TimeoutError, CancelledError):
            pass  # it is not where it was
        except Exception as error:  # it went away with its worker, and was performed once more, to no end
            told = error
        if future.status in ("cancelled", "lost"):
            self._hand_out_again()
            return None
        del self._under_way[future]
        if told is None or (isinstance(told, KilledWorker | Died) and losses + 1 < MOST_LOSSES):
            self._hand_out(item, number, losses + (told is not None))
            return None
        if isinstance(told, ToldError):
            told = told.error()
        elif isinstance(told, KilledWorker | Died):
            told = MachineError(f"what performs a shard is killed each time: {told}")
        elif isinstance(told, Exception):
            told = MachineError(f"a worker failed: {type(told).__name__}: {told}")
        return Done(item, number, told)

    def _hand_out_again(self) -> None:
        """Hand out all that is under way once more: the scheduler has forgotten it."""
        waiting = list(self._under_way.values())
        self._under_way.clear()
        self._cluster.reconnect()
        for item, number, losses in waiting:
            self._hand_out(item, number, losses)

    def close(self) -> None:
        """Have nothing begun any more. What a worker is at, it ends, and nobody hears of it."""
        futures = list(self._under_way)
        self._under_way.clear()
        if futures:
            self._cluster.client.cancel(futures)

    def in_order(self, items: Iterable[Item]) -> Iterator[tuple[Item, Callable[[], Result]]]:
        """Yield each item, in order, and what gives its result, as `stress.system.at_once.at_once` does."""
        waiting = iter(items)
        order: deque[int] = deque()
        done: dict[int, Done[Item, Result]] = {}
        more = True
        try:
            while True:
                room = max(2 * self._cluster.slots - self.under_way, 0)  # 0, too, where no worker is there just now
                given = list(islice(waiting, room))
                order += [self.add(item) for item in given]
                more = more and len(given) == room
                if not (more or order):
                    break
                if (came := self.take(1.0)) is not None:
                    done[came.number] = came
                while order and order[0] in done:
                    first = done.pop(order.popleft())
                    yield first.item, first.result
        finally:
            self.close()
