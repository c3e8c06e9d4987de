"""The worst case on purpose: pages that are counted where a reader does not look, up to the bound if that can be.

A bound that no load comes near is worth little. What is kept back depends on the way of counting:

- per CPU: on each CPU in turn, touch pages of each kind until its count is handed in, then one batch less one;
- per thread: each thread takes faults until its counts are handed in, then as many as it may keep: reads of a file, of
  which each maps a window, of shared memory, and writes of anonymous pages; one kind after the other, for they share
  the number of faults.

The peak is set back before, so that VmHWM and ru_maxrss can be compared with the walk at the peak, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stress.live.load import request
from stress.live.load.crew import Channel
from stress.live.reading.accounting import Counting, Way
from stress.live.reading.machine import fault_around_bytes, page_size
from stress.live.reading.process import Process
from stress.system.cpus import allowed_cpus

KINDS = (request.ANON, request.FILE_SHARED, request.SHMEM)
"""For each of the three counters a kind of mapping."""
PHASES: dict[Counting, tuple[tuple[int, ...], ...]] = {
    Counting.PERCPU: (KINDS,),
    Counting.CACHED: ((request.FILE,), (request.SHMEM,), (request.ANON,)),
    Counting.EXACT: ((),),
}
"""For each way of counting the kinds of mapping that are used at a time, one after the other."""
CHUNKS = 32
"""A batch is touched in this many parts until it is seen to be handed in."""


class Supply:
    """Pages of one kind that a thread has not touched yet: as many mappings as it takes, of the same size."""

    def __init__(
        self, channel: Channel, slot: int, kind: int, pages: int, *, step: int = 1, most: int | None = None
    ) -> None:
        """Use `slot` of a thread for mappings of `pages` pages, of which every `step`-th is touched.

        A step above 1 is a window that a read fault maps: such pages are read, others written. most: touches at most.
        """
        self._channel = channel
        self._slot = slot
        self._kind = kind
        self._pages = pages
        self._step = step
        self._most = most
        self._areas: list[int] = []
        self._touched = 0
        self._next = pages // step
        """The next touch within the newest mapping."""

    def has(self, count: int) -> bool:
        """Whether so many more can be touched."""
        return self._most is None or self._touched + count <= self._most

    def touch(self, count: int) -> None:
        """Touch the next pages, of new mappings where the newest is used up."""
        self._touched += count
        size = page_size()
        while count:
            if self._next == self._pages // self._step:
                reply = self._channel.ask(request.MAP, self._slot, self._kind, self._pages * size, 0)
                self._areas.append(reply[1])
                self._next = 0
            now = min(count, self._pages // self._step - self._next)
            self._channel.ask(request.TOUCH, self._slot, self._next, now, self._step * size, int(self._step == 1))
            self._next += now
            count -= now

    def release(self) -> None:
        """Unmap all of it."""
        for area in self._areas:
            self._channel.ask(request.RELEASE, area, self._pages * page_size())
        self._areas.clear()


def _hold(supply: Supply, read: Callable[[], int], batch: int, chunk: int) -> bool:
    """Touch until the figure changes, which says that counts were handed in, then all but a chunk of a batch."""
    before = read()
    for _ in range(2 * batch // chunk + 1):
        if not supply.has(batch):
            return False
        supply.touch(chunk)
        if read() != before:
            supply.touch(batch - chunk)
            return True
    return False


def hold_back(
    channels: Sequence[Channel], process: Process, way: Way, kinds: Sequence[int], *, pages: int, most: int
) -> tuple[list[Supply], bool]:
    """Have the threads of a process leave as many pages of some kinds as they can where `stat` does not look.

    channels: its threads, at rest, with nothing in their first three slots; way: how stat counts; kinds: one of its
    `PHASES`; pages: of each mapping, and of the files, which are in the page cache; most: anonymous pages to take.
    Returns what was touched, to be released, and whether all was held back that can be.
    """

    def read() -> int:
        return process.stat().rss

    if way.counting == Counting.PERCPU:
        one = channels[0]
        supplies = [
            Supply(one, slot, kind, pages, most=most if kind == request.ANON else None)
            for slot, kind in enumerate(kinds)
        ]
        held = []
        for cpu in allowed_cpus():
            one.ask(request.PIN, cpu)
            held += [_hold(supply, read, way.batch, max(1, way.batch // CHUNKS)) for supply in supplies]
        one.ask(request.PIN, -1)
        return supplies, all(held)
    window = max(1, fault_around_bytes() // page_size())
    supplies = [
        Supply(channel, slot, kind, pages, step=1 if kind == request.ANON else window, most=most)
        for slot, kind in enumerate(kinds)
        for channel in channels
    ]
    held = [_hold(supply, read, way.batch, 1) for supply in supplies]
    return supplies, all(held)


def unmap_all(channels: Sequence[Channel], slots: int) -> None:
    """Unmap every slot of some threads."""
    for channel in channels:
        for slot in range(slots):
            channel.ask(request.UNMAP, slot)
