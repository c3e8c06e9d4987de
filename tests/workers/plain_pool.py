"""A pool without processes: the generated loop of a worker as plain Python, in threads that take turns by a seed.

What real workers show once in a million reads under load, a schedule drawn here shows at once, and again.
"""

import random
import threading
from functools import wraps

from shm_layout.structs import STOP
from stress.workers.loop import block, helpers, read_checks
from stress.workers.loop.source import source
from stress.workers.pool import Pool
from stress.workers.server.client import ForkServer

ENTRY = {block.RUN: "batch", block.PERFORM: "script", block.SCAN: "scan", block.CHECK: "check"}
MOST_TURNS = 2_000_000


class NoServer(ForkServer):
    """Nobody to be told anything."""

    def __init__(self):
        """Start nothing."""

    def died(self):
        return {}


class Turns:
    """Threads of which one runs at a time, chosen at each turn."""

    def __init__(self, seed, stay):
        self.random, self.stay = random.Random(seed), stay
        self.taken = 0
        self.seen = {}
        """By worker: the functions that it came to in the last run."""
        self.first = None
        """Who begins, when it has something to do."""
        self.hold = {}
        """By worker: functions before which it lets the others go on."""
        self.go = {}
        self.over = threading.Semaphore(0)
        self.errors = []

    def run(self, jobs):
        """Run these callables until all have returned."""
        threads = {name: threading.Thread(target=self._thread, args=(name, job)) for name, job in jobs.items()}
        self.taken = 0
        self.seen = {name: set() for name in jobs}
        self.go = {name: threading.Semaphore(0) for name in jobs}
        self.me = {thread: name for name, thread in threads.items()}
        for thread in threads.values():
            thread.start()
        self.go.get(self.first, self._choose()).release()
        self.over.acquire()
        for thread in threads.values():
            thread.join()
        if self.errors:
            raise self.errors[0]

    def _choose(self, but=None):
        return self.go[self.random.choice(sorted(self.go.keys() - {but}) or [but])]

    def _thread(self, name, job):
        self.go[name].acquire()
        try:
            job()
        except BaseException as error:
            self.errors.append(error)
        del self.go[name]
        (self._choose() if self.go else self.over).release()

    def turn(self, before="", *, wait=False):
        """Somebody may go on now, ``before`` a function; ``wait``: another than who asks, when there is another."""
        name = self.me.get(threading.current_thread()) if self.go else None
        self.seen.setdefault(name, set()).add(before)
        wait = wait or before in self.hold.get(name, ())
        self.taken += 1
        assert self.taken < MOST_TURNS, "no progress"
        if name is None or (not wait and self.random.random() < self.stay):
            return
        mine, chosen = self.go[name], self._choose(but=name if wait else None)
        if chosen is not mine:
            chosen.release()
            mine.acquire()


class PlainPool(Pool):
    """A pool that performs commands at once, one step of one worker at a time.

    ``patch``: pytest's monkeypatch, by which what the judge reads of others becomes a turn, too.
    """

    def __init__(self, design, machine, workers, *, operations, seed, patch, stay=0.6):
        self.turns = Turns(seed, stay)
        for module, name in (
            (read_checks, "load"),
            (helpers, "store"),
            (read_checks, "before_read"),
            (read_checks, "after_read"),
        ):
            patch.setattr(module, name, self._with_turn(getattr(module, name)))
        patch.setattr(helpers, "nap", lambda: self.turns.turn(wait=True))
        super().__init__(design, machine, workers, operations=operations, server=NoServer())

    def _with_turn(self, function):
        @wraps(function)
        def taking_turns(*arguments):
            self.turns.turn(function.__name__)
            return function(*arguments)

        return taking_turns

    def _keep_waiting(self, m, r, spins, pc):
        self.turns.turn(wait=True)
        return m[STOP] == 0

    def _start(self):
        self.reset()
        text, functions = source(self.design, self.machine.arch, self.operations)
        names = {name: self._with_turn(function) for name, function in functions.items()}
        plain = {"words": lambda array, at: array[at:], "ticks": lambda: 0, "place_of": int}
        plain |= dict.fromkeys(("njit", "inner"), lambda f: f)
        self._entries = names | plain | {"keep_waiting": self._keep_waiting}
        exec(text, self._entries)
        self._go = [threading.Semaphore(0) for _ in range(self.workers)]

    def _command(self, command, workers):
        super()._command(command, workers)
        entry = self._entries[ENTRY[command]]
        if command == block.CHECK:
            b = self._blocks[workers[0]]
            first = self.blocks.at(workers[0], 0)
            b[block.RESULT] = entry(self.memory, [0] * self.machine.frames, b[block.TARGET], first)
        else:
            places = {worker: self.blocks.at(worker, 0) for worker in workers}
            self.turns.run({w: lambda first=first: entry(self.memory, first) for w, first in places.items()})
        for worker in workers:
            self._blocks[worker, block.ANSWERED] = self._serial
