"""Holding pages back on purpose, on simulated kernels: as many as the bound says."""

from types import SimpleNamespace

import pytest

from stress.design import percpu_batch
from stress.live import held_back
from stress.live.held_back import KINDS, PHASES, hold_back
from stress.live.load import request
from stress.live.reading.accounting import CACHED_FAULTS, Counting, Way

PAGES = 64
AROUND = 16


class Kernel:
    """What a process's counters hold centrally; `kept` is what is kept back, by whom and which counter."""

    def __init__(self):
        self.central, self.kept, self.areas = 1000, {}, 0

    def stat(self):
        return SimpleNamespace(rss=self.central)

    @property
    def missing(self):
        return sum(self.kept.values())


class Thread:
    """A thread that serves requests; each subclass counts in one way."""

    def __init__(self, kernel):
        self.kernel, self.slots, self.released = kernel, {}, 0

    def ask(self, op, *words):
        if op == request.MAP:
            slot, kind, size, _ = words
            assert size == PAGES * 4096
            self.kernel.areas += 1
            self.slots[slot] = kind
            return [0, self.kernel.areas]
        if op == request.TOUCH:
            slot, first, count, step, write = words
            assert (first + count - 1) * step < PAGES * 4096
            for _ in range(count):
                self.fault(self.slots[slot], 1 if write else AROUND)
        elif op == request.PIN:
            self.cpu = words[0]
        elif op == request.RELEASE:
            self.released += 1
        return [0, 0]


class PerCpu(Thread):
    batch = 0

    def fault(self, kind, pages):
        kept = self.kernel.kept.get((self.cpu, kind), 0) + pages
        if kept >= self.batch:
            self.kernel.central, kept = self.kernel.central + kept, 0
        self.kernel.kept[self.cpu, kind] = kept


class PerThread(Thread):
    """check_sync_rss_stat() of Linux 2.6.34 to 6.1."""

    events = 0

    def fault(self, kind, pages):
        if self.events > 64:
            self.kernel.central += self.kernel.kept.pop(self, 0)
            self.events = 0
        else:
            self.events += 1
        self.kernel.kept[self] = self.kernel.kept.get(self, 0) + pages


@pytest.mark.parametrize("cpus", [1, 2, 8, 64, 192])
def test_each_cpu_keeps_nearly_a_batch_of_each_counter(monkeypatch, cpus):
    batch = percpu_batch(cpus)
    monkeypatch.setattr(held_back, "allowed_cpus", lambda: list(range(cpus)))
    kernel = Kernel()
    thread = PerCpu(kernel)
    thread.batch = batch
    for cpu in range(cpus):  # what a load has left there
        kernel.kept |= {(cpu, kind): -cpu % batch for kind in KINDS}
    supplies, all_held = hold_back([thread], kernel, Way(Counting.PERCPU, batch), KINDS, pages=PAGES, most=10**6)
    bound = (batch - 1) * cpus * 3
    assert all_held
    assert bound * 0.95 <= kernel.missing <= bound
    for supply in supplies:
        supply.release()
    assert thread.released == kernel.areas


def test_too_few_anonymous_pages_hold_back_less(monkeypatch):
    monkeypatch.setattr(held_back, "allowed_cpus", lambda: [0, 1])
    kernel = Kernel()
    thread = PerCpu(kernel)
    thread.batch = 32
    _, all_held = hold_back([thread], kernel, Way(Counting.PERCPU, 32), KINDS, pages=PAGES, most=64)
    assert not all_held
    assert 31 * 2 * 2 <= kernel.missing < 31 * 2 * 3


@pytest.mark.parametrize("kinds", PHASES[Counting.CACHED])
def test_each_thread_keeps_all_faults_that_it_may(kinds):
    kernel = Kernel()
    threads = [PerThread(kernel) for _ in range(3)]
    for number, thread in enumerate(threads):
        thread.events = 20 * number
    way = Way(Counting.CACHED, CACHED_FAULTS)
    _, all_held = hold_back(threads, kernel, way, kinds, pages=PAGES, most=10**6)
    assert all_held
    pages = 1 if kinds == (request.ANON,) else AROUND
    assert kernel.missing == CACHED_FAULTS * pages * 3
