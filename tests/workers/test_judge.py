"""Judging reads while others are at work: in plain Python, every schedule drawn by Hypothesis."""

from hypothesis import given
from hypothesis import strategies as st

from shm_layout.registers import R_RESIDENT, R_SHARED, REGISTERS
from stress.kernel.account import CLEARED, FILE_CLEARED, FILE_SET, SET
from stress.workers.loop import block, read_checks
from stress.workers.loop.helpers import begin, end

WORKERS = 3
STRIDE = block.ACCOUNT + 8
BASE = 64


class Row:
    """Words of a longer list from an index on, as compiled code has them by pointer."""

    def __init__(self, words, first):
        self.words, self.first = words, first

    def __getitem__(self, index):
        return self.words[self.first + index]

    def __setitem__(self, index, value):
        self.words[self.first + index] = value


class World:
    """Three workers and an exact pair of counters; worker 0 reads."""

    def __init__(self, bound=0):
        self.m = [0] * (BASE + WORKERS * STRIDE)
        self.blocks = [Row(self.m, BASE + w * STRIDE) for w in range(WORKERS)]
        for b in self.blocks:
            b[block.BLOCKS], b[block.STRIDE], b[block.WORKERS], b[block.BOUND] = BASE, STRIDE, WORKERS, bound
            b[block.SHARED] = 0
        self.rss = self.file = 0

    def operation(self, worker, set_, clear, file, truth_first):
        """One operation as steps: begin, count and note in either order, end."""
        b = self.blocks[worker]
        r = [0] * REGISTERS
        account = block.ACCOUNT

        def note():
            b[account + SET] += set_
            b[account + CLEARED] += clear
            if file:
                b[account + FILE_SET] += set_
                b[account + FILE_CLEARED] += clear

        def count():
            self.rss += set_ - clear
            self.file += (set_ - clear) if file else 0

        yield lambda: begin(b, r, 1, 0, set_, clear)
        yield from (note, count) if truth_first else (count, note)
        yield lambda: end(self.m, b, r, 1, 0)

    def read(self, off=0):
        """A read that is off by so much, as steps."""
        b = self.blocks[0]
        r = [0] * REGISTERS
        shown = {}
        yield lambda: read_checks.before_read(self.m, b, 0)
        yield lambda: shown.update(rss=self.rss + off, file=self.file + off)

        def after():
            r[R_RESIDENT], r[R_SHARED] = shown["rss"], shown["file"]
            read_checks.after_read(self.m, b, r, 0, 11, b[block.BOUND])

        yield after

    def broken(self):
        return self.blocks[0][block.REGULAR], self.blocks[0][block.PAIR]


operations = st.tuples(st.sampled_from([(1, 0), (0, 1), (0, 3)]), st.booleans(), st.booleans())


def run(world, choose, streams):
    while streams:
        stream = choose(streams)
        step = next(stream, None)
        if step is None:
            streams.remove(stream)
        else:
            step()


@given(st.data(), st.lists(operations, max_size=6), st.lists(operations, max_size=6), st.integers(1, 4))
def test_exact_counters_are_never_blamed(data, first, second, reads):
    world = World()
    for b in world.blocks:  # enough to clear
        b[block.ACCOUNT + SET] = b[block.ACCOUNT + FILE_SET] = 20
    world.rss = world.file = 20 * WORKERS

    def work(worker, todo):
        for (set_, clear), file, truth_first in todo:
            yield from world.operation(worker, set_, clear, file, truth_first)

    def reader():
        for _ in range(reads):
            yield from world.read()

    streams = [work(1, first), work(2, second), reader()]
    run(world, lambda s: data.draw(st.sampled_from(s)), streams)
    assert world.broken() == (0, 0)
    assert world.blocks[0][block.READS] == reads
    assert world.blocks[0][block.WORST] == 0


@given(st.lists(operations, max_size=6), st.integers(-9, 9), st.integers(0, 4))
def test_a_wrong_count_is_seen_when_nothing_is_under_way(done, off, bound):
    world = World(bound)
    world.blocks[1][block.ACCOUNT + SET] = world.blocks[1][block.ACCOUNT + FILE_SET] = world.rss = world.file = 30
    for (set_, clear), file, truth_first in done:
        for step in world.operation(1, set_, clear, file, truth_first):
            step()
    for step in world.read(off):
        step()
    expected = int(abs(off) > bound)
    apart = int(abs(off) > 2 * bound)  # two counters may be off
    assert world.broken() == (expected, apart)
    assert world.blocks[0][block.WORST] == abs(off)
    if expected:
        record = [world.blocks[0][block.REGULAR + n] for n in range(6)]
        assert record == [1, world.rss + off, world.rss, world.rss, 0, 11]


def test_without_a_bound_only_negative_counts_are_wrong():
    world = World(bound=-1)
    for off in (5, -1):
        for step in world.read(off):
            step()
    assert world.broken() == (1, 1)
