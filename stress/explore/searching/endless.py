"""Find the states that lead to no end, among those that the compiled search leaves open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from stress.explore.searching.ends import ENDLESS, REACHES
from stress.explore.searching.state import AGAIN, SMALL, STATES_FULL, STATUS

WALKS = 10_000
"""Walks between two looks at the clock."""


class OutOfTime(Exception):
    """The time was up before it was known whether every state reaches an end."""

    bound = "seconds"


class OutOfRoom(OutOfTime):
    """There is no memory left, within the bound, for what it takes to know that."""

    bound = "memory"


BYTES = 13
"""What is known of a state, and its places in a path, in a queue and in front of another state."""
UNSEEN, FIRST = 0, -1
"""In the place of the state that another was reached from, whose number is counted from 1."""


class Onward:
    """What is known of the states of a finished search."""

    def __init__(self, search: Any, in_time: Callable[[], bool]) -> None:
        """Take ``search``, a `stress.explore.searching.search.Search` that is done; ``in_time``: whether to go on."""
        import numpy as np

        from stress.explore.searching.compiled import compiled

        self.search = search
        room = len(search.parent) if search.keeps_more else search.found_states
        self.in_time = in_time
        self.known = np.zeros(room, SMALL["known"])
        self.path, self.queue = np.empty(room, np.int32), np.empty(room, np.int32)
        self.came_from = np.zeros(room, np.int32)
        self.out = np.zeros(search.choices, np.int64)
        self._look()
        self.walk, self.behind = compiled()["walk"], compiled()["behind"]
        self.np = np

    def _look(self) -> None:
        """Take the arrays of the search as they are now."""
        self.search.tell(self.search.s)
        self.given = (*self.search.arguments(), self.search.parent, self.search.via)

    def _made_way(self) -> bool:
        """Give compiled code the room that it lacked; returns whether it lacked any. Raises `OutOfRoom`."""
        status = int(self.search.s[STATUS])
        if status == AGAIN:
            return False
        if status == STATES_FULL or self.search.make_way(status) == STATES_FULL:
            raise OutOfRoom
        self._look()
        return True

    def first_endless(self, roots: Sequence[int]) -> int:
        """Return the first of these states from which no end can be reached, -1 for none.

        Raises `OutOfTime`, `OutOfRoom`.
        """
        at = 0
        while at < len(roots):
            if not self.in_time():
                raise OutOfTime
            part = self.np.asarray(roots[at : at + WALKS], self.np.int64)
            ended = int(self.walk(*self.given, self.known, self.path, self.out, part, len(part)))
            at += ended
            if self._made_way():
                continue
            if ended < len(part):
                if not self._reaches(int(part[ended])):
                    return int(part[ended])
                at += 1
        return -1

    def _reaches(self, root: int) -> bool:
        """Return whether an end can be reached from a state: looks at all that can, until one is found."""
        if self.known[root] == ENDLESS:
            return False
        came_from, queue = self.came_from, self.queue
        came_from[root], queue[0] = FIRST, root
        looked, length = 0, 1
        try:
            while looked < length:
                state = int(queue[looked])
                looked += 1
                if not self.in_time():
                    raise OutOfTime
                count = int(self.behind(*self.given, self.out, state))
                while self._made_way():
                    count = int(self.behind(*self.given, self.out, state))
                following = self.out[:count].tolist()
                if count == 0 or any(self.known[n] == REACHES for n in following):
                    while state >= 0:
                        self.known[state] = REACHES
                        state = int(came_from[state]) - 1
                    return True
                for n in following:
                    if came_from[n] == UNSEEN and self.known[n] != ENDLESS:
                        came_from[n], queue[length] = state + 1, n
                        length += 1
            self.known[queue[:length]] = ENDLESS
            return False
        finally:
            came_from[queue[:length]] = UNSEEN


def nearest_endless(search: Any, first: int, in_time: Callable[[], bool]) -> int:
    """Return the nearest from which no end can be reached, among the first states of a finished search; -1 for none.

    Raises `OutOfTime`, `OutOfRoom`.
    """
    roots = search.not_onward()
    if len(roots) == 0:
        return -1
    if search.bytes() + BYTES * search.found_states > search.memory:
        raise OutOfRoom
    states = Onward(search, in_time)
    endless = states.first_endless(roots)
    return endless if endless < 0 else states.first_endless(range(min(endless + 1, first)))
