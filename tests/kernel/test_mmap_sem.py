"""mmap_sem, its readers in one word or in a word of each CPU: the same to whoever takes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shm_layout.layout import Layout
from shm_layout.machine import Machine
from shm_layout.placement import AS_POSTED, BIG_READER
from shm_layout.registers import R_MM, REGISTERS
from stress.kernel.boot import boot, boot_registers
from stress.kernel.rss.deferred import down_write_trylock
from stress.kernel.spinlock import down_read, down_write, down_write_queue, sem_is_free, up_read, up_write
from stress.step import DONE, NEXT, WAIT

CPUS, MMS = 3, 2
STEPS = (down_read, up_read, down_write_queue, down_write, up_write, down_write_trylock)


class Semaphore:
    """The steps on a machine of one placement."""

    def __init__(self, placement):
        layout = Layout(Machine(cpus=CPUS, mms=MMS, anon=2, frames=4), placement)
        self.m = [0] * layout.words
        boot(layout, self.m)
        self.registers = [[0] * REGISTERS for _ in range(CPUS)]
        for cpu, r in enumerate(self.registers):
            boot_registers(layout, r, cpu)

    def take(self, step, cpu, mm):
        self.registers[cpu][R_MM] = mm
        return step(self.m, self.registers[cpu])

    def free(self):
        return [sem_is_free(self.m, mm) for mm in range(MMS)]


class Truth:
    """What mmap_sem of one mm is: who holds it how, and who has announced to write."""

    def __init__(self):
        self.readers, self.next, self.writer = set(), None, None

    def may(self, step, cpu):
        """Whether a CPU that keeps to the rules can take this step now."""
        idle = cpu not in self.readers and cpu not in {self.next, self.writer}
        wanted = {up_read: cpu in self.readers, down_write: cpu == self.next, up_write: cpu == self.writer}
        return wanted.get(step, idle)

    def take(self, step, cpu):
        """The outcome that the step must have; the truth that is left."""
        announced = self.next is not None or self.writer is not None
        if step is down_read and not announced:
            self.readers.add(cpu)
        elif step is up_read:
            self.readers.remove(cpu)
        elif step is down_write_queue and not announced:
            self.next = cpu
        elif step is down_write and not self.readers:
            self.next, self.writer = None, cpu
        elif step is up_write:
            self.writer = None
        elif step is down_write_trylock and not announced and not self.readers:
            self.writer = cpu
        else:
            return DONE if step is down_write_trylock else WAIT
        return NEXT


@pytest.mark.parametrize("placement", [AS_POSTED, BIG_READER], ids=lambda p: p.name)
@given(
    turns=st.lists(
        st.tuples(st.sampled_from(STEPS), st.integers(0, CPUS - 1), st.integers(0, MMS - 1)), min_size=5, max_size=60
    )
)
def test_who_waits_and_who_gets_it(placement, turns):
    semaphore = Semaphore(placement)
    truths = [Truth() for _ in range(MMS)]
    for step, cpu, mm in turns:
        if truths[mm].may(step, cpu):
            assert semaphore.take(step, cpu, mm) == truths[mm].take(step, cpu)
            assert semaphore.free() == [not (t.readers or t.next is not None or t.writer is not None) for t in truths]


def test_a_writer_waits_for_the_readers_of_every_cpu():
    semaphore = Semaphore(BIG_READER)
    assert semaphore.take(down_read, 2, 0) == NEXT
    assert semaphore.take(down_write_queue, 0, 0) == NEXT
    assert semaphore.take(down_write, 0, 0) == WAIT
    assert semaphore.take(down_read, 1, 0) == WAIT
    assert semaphore.take(up_read, 2, 0) == NEXT
    assert semaphore.take(down_write, 0, 0) == NEXT
