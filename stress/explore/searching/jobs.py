"""One breadth-first search by several threads at once, with the result that one thread would have, to the last bit.

The states of a level are visited in parts, each by a thread of its own on memory and registers of its own; compiled
code holds no lock of Python's. What a part leads to is kept in its batch. The batches are looked up one after the
other, in the order of the states, while further parts are being visited. So states are found in the same order, and
have the same numbers, as with one thread: whatever is the first or the shortest is the same, and no schedule depends on
time. Where a bound ends the search, it may end some states later.

What threads share and change at the same time is the rows of `stress.explore.searching.intern` alone. Whatever makes a
search stop to be given room is done between parts: those after the one that stopped are visited again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from shm_layout.record import FAULT
from stress.explore.model.image import P_CODE, P_FULL, P_LEARNED, P_OPS, P_RECORD, P_SEEN
from stress.explore.searching import state as stored
from stress.explore.searching.compiled import compiled
from stress.explore.searching.search import SLICE, Search
from stress.system.never_ends import Worker

LEAST_PART, MOST_PART = 128, 8192
"""States of a part, at least, and at most where a state has four ways on."""
PARTS_OF_LEVEL = 4
"""Parts that a level has for each thread, at least, if they are not too small."""
SHARE_OF_BATCHES = 16
"""Of the bound on memory, what batches may take at most, if parts are not too small: a 16th."""
AHEAD = 2
"""Parts that are visited, or wait to be looked up, beyond one for each thread."""
_GOES_ON = (stored.AGAIN, stored.DONE)
_Words = NDArray[np.int64]


class _Part:
    """What a thread needs to visit a part of a level, and what it came to."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self.s = search.s.copy()
        self.s[stored.APART] = 1
        self.p, self.w, self.found = search.p.copy(), search.w.copy(), search.found.copy()
        self.m, self.g = search.kept_m.copy(), search.kept_g.copy()
        self.kept_m, self.kept_g = search.kept_m.copy(), search.kept_g.copy()
        self.loaded = self.batch = self.origin = np.empty(0, np.int64)
        self.status: Future[int] = Future()
        self.worker: Worker | None = None

    def begin(self, begin: int, end: int, at_once: int) -> None:
        """Make ready to visit the states from ``begin`` to ``end``, of one level; ``status`` will say how it went."""
        search, s = self.search, self.s
        search.tell(s, at_once)
        s[stored.CUR], s[stored.LEVEL_END], s[stored.BUDGET] = begin, end, end - begin + 1
        s[stored.PENDING], s[stored.TRANSITIONS], s[stored.DEPTH] = 0, 0, search.s[stored.DEPTH]
        most = (end - begin) * search.choices
        if len(self.batch) < most * search.width:
            self.batch = np.empty(most * search.width, np.int64)
        if len(self.origin) < most * stored.ORIGIN:
            self.origin = np.empty(most * stored.ORIGIN, np.int64)
        if len(self.loaded) != search.columns:
            self.loaded = np.full(search.columns, -1, np.int64)
        self.found[:] = -1
        self.p[self.p[P_RECORD] + FAULT] = 0
        self.worker, self.status = None, Future()

    def visit(self, worker: Worker) -> None:
        """Visit them; the status is that of `expand`."""
        self.worker = worker
        s = self.s
        mine = (s, self.p, self.m, self.g, self.kept_m, self.kept_g, self.w)
        try:
            self.status.set_result(self.search.expand(mine, self.loaded, self.batch, self.origin, self.found))
        except BaseException as error:
            self.status.set_exception(error)


class Jobs:
    """Threads that go on with a search."""

    def __init__(self, search: Search, count: int) -> None:
        """Take a search that has stopped between two states, and the number of threads."""
        self.search, self.count = search, count
        self.parts = [_Part(search) for _ in range(count + AHEAD)]
        self._waiting: SimpleQueue[_Part | None] = SimpleQueue()
        # Not those of a pool: one in a step that never ends must not keep the program from ending.
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        worker = Worker()
        while (part := self._waiting.get()) is not None:
            part.visit(worker)

    def close(self) -> None:
        """Let the threads end."""
        for _ in self._threads:
            self._waiting.put(None)

    def images(self) -> Mapping[Worker | None, _Words]:
        """Return the images of the search and of the parts that are being visited, by the threads that visit them."""
        visited = ((part.worker, part.p) for part in self.parts if not part.status.done())
        return {None: self.search.p} | {worker: p for worker, p in visited if worker is not None}

    def visited_by(self, worker: Worker | None) -> int:
        """Return the state that a thread visits: one of these, or the one that goes on with the search."""
        visited = (part.s for part in self.parts if part.worker is worker and not part.status.done())
        return int(next(visited, self.search.s)[stored.CUR])

    def advance(self) -> int:
        """Go on for some time, as `Search.advance` does, whose status it returns."""
        search = self.search
        left = int(search.s[stored.LEVEL_END] - search.s[stored.CUR])
        if left < LEAST_PART * 2:
            return search.advance(left + 1)  # to the next level
        return self._visit(min(int(search.s[stored.LEVEL_END]), int(search.s[stored.CUR]) + SLICE * self.count))

    def _visit(self, end: int) -> int:
        """Visit the states up to ``end``, of the present level."""
        search = self.search
        free, under_way = list(self.parts), deque[_Part]()
        at = int(search.s[stored.CUR])
        size = min((end - at) // (self.count * PARTS_OF_LEVEL), MOST_PART * 4 // search.choices)
        bytes_of_state = search.choices * (search.width + stored.ORIGIN) * 8
        size = max(min(size, search.memory // SHARE_OF_BATCHES // len(self.parts) // bytes_of_state), LEAST_PART)
        try:
            while at < end or under_way:
                while free and at < end:
                    part, begin = free.pop(), at
                    at = min(begin + size, end)
                    part.begin(begin, at, len(self.parts))
                    under_way.append(part)
                    self._waiting.put(part)
                part = under_way.popleft()
                status = part.status.result()
                free.append(part)
                if self._take(part) == stored.STATES_FULL:
                    return stored.STATES_FULL
                if status in _GOES_ON:
                    continue
                free += self._drop(under_way)
                search.s[stored.NEW_BLOCK] = part.s[stored.NEW_BLOCK]
                status = search.make_way(status)
                if status in (stored.STATES_FULL, stored.RULE_BROKEN, stored.LEARNED):
                    search.p[:] = part.p
                    return status
                at = int(search.s[stored.CUR])
        finally:
            self._drop(under_way)
        if any(part.p[P_LEARNED] for part in self.parts):
            for part in self.parts:
                search.p |= part.p
            return stored.LEARNED
        return stored.AGAIN

    @staticmethod
    def _drop(under_way: deque[_Part]) -> list[_Part]:
        """Wait for what is under way, and leave what it came to."""
        dropped = list(under_way)
        under_way.clear()
        for part in dropped:
            part.status.exception()
        return dropped

    def _take(self, part: _Part) -> int:
        """Look up what a part led to, and take over what it found; returns the status of the search."""
        search = self.search
        s, width = search.s, search.width
        count, done = int(part.s[stored.PENDING]), 0
        s[stored.STATUS] = stored.AGAIN
        while done < count:
            search.tell(s)
            kept = (search.states, search.table, search.parent, search.via, search.sleep)
            given = (part.batch[done * width :], part.origin[stored.ORIGIN * done :], count - done)
            done += int(compiled()["look_up"](s, *kept, *given))
            if s[stored.STATUS] == stored.STATES_FULL:
                break
            search.make_way(int(s[stored.STATUS]))
        search.merge(part.found)
        code = slice(int(search.p[P_CODE]), int(search.p[P_OPS]))
        search.p[code] |= part.p[code]
        search.p[P_SEEN] |= part.p[P_SEEN]
        search.p[P_FULL] |= part.p[P_FULL]
        s[stored.TRANSITIONS] += part.s[stored.TRANSITIONS]
        s[stored.CUR] = part.s[stored.CUR]
        return int(s[stored.STATUS])
