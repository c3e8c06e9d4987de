"""The ways of counting: by version, as seen on simulated kernels, and the bounds that they imply."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stress.design import percpu_batch
from stress.live import probe
from stress.live.load import request
from stress.live.reading.accounting import (
    CACHED_FAULTS,
    Counting,
    Way,
    bound,
    by_version,
    decide,
    disagreements,
    era_of,
)


class Kernel:
    """A simulated kernel that counts one process's pages; each subclass a way of doing it."""

    def __init__(self, batch):
        self.batch, self.central, self.cpu, self.kept = batch, 1000, 0, {}

    def holder(self):
        raise NotImplementedError

    def fault(self):
        kept = self.kept.get(self.holder(), 0) + 1
        if kept >= self.batch:
            self.central, kept = self.central + kept, 0
        self.kept[self.holder()] = kept

    def ask(self, op, *words):
        if op == request.TOUCH:
            self.fault()
        elif op == request.PIN:
            self.cpu = words[0]

    def stat(self):
        return self

    status = stat

    @property
    def rss(self):
        return self.central

    def statm(self):
        return self.central + sum(self.kept.values()), 0


class PerCpu(Kernel):
    def holder(self):
        return self.cpu


class PerThread(Kernel):
    """check_sync_rss_stat() of Linux 2.6.34 to 6.1, of a thread that only faults."""

    events = 0

    def __init__(self, threshold=64):
        super().__init__(None)
        self.threshold = threshold

    def fault(self):
        if self.events > self.threshold:
            self.central, self.kept, self.events = self.central + self.kept.get(0, 0), {}, 0
        else:
            self.events += 1
        self.kept[0] = self.kept.get(0, 0) + 1


class Exact(Kernel):
    def fault(self):
        self.central += 1


@pytest.fixture
def simulated(monkeypatch):
    def look(kernel, cpus):
        monkeypatch.setattr(probe, "wait_at_rest", lambda processes: None)
        monkeypatch.setattr(probe, "allowed_cpus", lambda: list(range(min(cpus, 8))))
        monkeypatch.setattr(probe, "online_cpus", lambda: cpus)
        return probe.seen(kernel, kernel)

    return look


@pytest.mark.parametrize("cpus", [2, 3, 8, 64, 512])
def test_what_a_cpu_keeps_back_is_seen(simulated, cpus):
    found = simulated(PerCpu(percpu_batch(cpus)), cpus)
    assert found["stat"] == found["status"] == Way(Counting.PERCPU, percpu_batch(cpus))
    assert found["statm"] == Way(Counting.EXACT)


@pytest.mark.parametrize("cpus", [2, 3, 8, 64, 512])
def test_what_a_thread_keeps_back_is_seen(simulated, cpus):
    found = simulated(PerThread(), cpus)
    assert found["stat"] == found["status"] == Way(Counting.CACHED, CACHED_FAULTS)


def test_a_jump_alone_does_not_tell(simulated):
    # A batch of 66 with 33 CPUs jumps just like a thread's 66 faults.
    assert simulated(PerCpu(66), 33)["stat"] == Way(Counting.PERCPU, 66)
    assert simulated(PerThread(), 33)["stat"] == Way(Counting.CACHED, 66)


def test_one_cpu_is_told_by_the_batch(simulated):
    assert simulated(PerCpu(32), 1)["stat"] == Way(Counting.PERCPU, 32)
    assert simulated(PerThread(), 1)["stat"] == Way(Counting.CACHED, CACHED_FAULTS)


def test_an_exact_kernel_is_seen(simulated):
    assert set(simulated(Exact(1), 4).values()) == {Way(Counting.EXACT)}


def test_a_batch_too_large_to_see_is_not_guessed(simulated):
    assert simulated(PerCpu(10**6), 2)["stat"] is None


@pytest.mark.parametrize(
    ("version", "stat", "statm"),
    [
        ((2, 6, 33), Counting.EXACT, Counting.EXACT),
        ((2, 6, 34), Counting.CACHED, Counting.CACHED),
        ((6, 1, 150), Counting.CACHED, Counting.CACHED),
        ((6, 2, 0), Counting.PERCPU, Counting.PERCPU),
        ((6, 12, 38), Counting.PERCPU, Counting.PERCPU),
        ((6, 12, 39), Counting.PERCPU, Counting.EXACT),
        ((6, 13, 12), Counting.PERCPU, Counting.PERCPU),
        ((6, 15, 6), Counting.PERCPU, Counting.PERCPU),
        ((6, 15, 7), Counting.PERCPU, Counting.EXACT),
        ((6, 16, 0), Counting.PERCPU, Counting.EXACT),
        ((6, 18, 44), Counting.PERCPU, Counting.EXACT),
        ((7, 0, 0), Counting.PERCPU, Counting.EXACT),
    ],
)
def test_versions_of_the_kernel_tell_how_it_counts(version, stat, statm):
    ways = by_version(version, 2)
    assert ways["stat"].counting == stat
    assert ways["statm"].counting == ways["status"].counting == ways["psutil"].counting == statm
    assert ways["smaps_rollup"].counting == Counting.EXACT
    assert era_of(version).sums == (statm == Counting.EXACT)


def test_bounds_of_known_machines():
    assert bound(Way(Counting.PERCPU, percpu_batch(2)), 3, 2, 9, 4096).pages == 31 * 2 * 3
    # 2 sockets of 96 cores, 2 threads each: about 1 GiB, as the series of January 2026 says.
    big = bound(Way(Counting.PERCPU, percpu_batch(384)), 1, 384, 1, 4096)
    assert 1.0 < big.pages * 4096 / 2**30 < 1.2
    assert bound(Way(Counting.EXACT), 3, 2, 9, 4096).pages == 0
    # With 64 KiB pages a file fault maps one page.
    assert bound(Way(Counting.CACHED, 65), 3, 2, 9, 65536).pages == 65 * 9
    assert bound(Way(Counting.CACHED, 65), 3, 2, 9, 4096).pages == 65 * 9 * 16


@settings(max_examples=200)
@given(
    st.integers(1, 6),
    st.integers(2, 9),
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.sampled_from([-1, 1])), max_size=400),
)
def test_no_history_of_percpu_counters_is_beyond_the_bound(cpus, batch, counters, events):
    central, local, true = [0] * counters, [[0] * cpus for _ in range(counters)], [0] * counters
    for cpu, counter, amount in events:
        c, k = cpu % cpus, counter % counters
        true[k] += amount
        local[k][c] += amount
        if abs(local[k][c]) >= batch:
            central[k], local[k][c] = central[k] + local[k][c], 0
    error = abs(sum(true) - sum(central))
    assert error <= bound(Way(Counting.PERCPU, batch), counters, cpus, 1, 4096).pages


def test_what_was_seen_decides_over_the_version():
    version = by_version((6, 8, 0), 2)
    assert version["statm"] == Way(Counting.PERCPU, 32)
    seen = {"stat": Way(Counting.PERCPU, 32), "statm": Way(Counting.EXACT), "status": None}
    ways = decide(version, seen)
    assert ways["statm"] == ways["psutil"] == Way(Counting.EXACT)
    assert ways["status"] == version["status"]
    (sentence,) = disagreements(version, seen)
    assert sentence.startswith("statm: this version counts per CPU, batch 32, seen was exact")
