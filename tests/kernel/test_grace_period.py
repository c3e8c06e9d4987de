"""A grace period waits for the readers that were there when it began, and for no other."""

from hypothesis import given
from hypothesis import strategies as st

from shm_layout.atomic import load, store
from shm_layout.layout import Layout
from shm_layout.machine import Machine
from shm_layout.registers import R_USER, REGISTERS
from shm_layout.structs import CPU_RCU, at, variable
from stress.design import Design
from stress.explore import explore
from stress.kernel.boot import boot, boot_registers
from stress.kernel.bug import USER, oops
from stress.kernel.rcupdate import BITS, still_reading
from stress.kernel.rss.task import rcu_read_lock, rcu_read_unlock
from stress.machine_kind import WORDS
from stress.program import Program
from stress.step import NEXT, WAIT, step
from stress.workload import Workload

READING = variable("test_reading", "which of its sections each CPU reads in, 0 none", count=3)
ENDED = variable("test_ended", "the grace period has ended")
UPDATER, FIRST, SECOND = range(3)


@step(waits=True)
def wait_until_both_read(m, r):
    """Both readers are in their first section."""
    return NEXT if load(m, at(m, READING, FIRST)) == load(m, at(m, READING, SECOND)) == 1 else WAIT


@step(waits=True, whole="the grace period")
def synchronize_rcu(m, r):
    """synchronize_rcu()"""
    r[R_USER] = still_reading(m, r, r[R_USER])
    return NEXT if r[R_USER] == 0 else WAIT


@step
def note_end(m, r):
    """ended = 1; check `user` breaks, to say that some schedule comes here."""
    store(m, at(m, ENDED, 0), 1)
    oops(r, USER)
    return NEXT


def reads(cpu, section):
    """A step by which a reader says in which section it is."""

    @step
    def read_on(m, r):
        store(m, at(m, READING, cpu), section)
        return NEXT

    return read_on


@step(waits=True)
def wait_for_second_section(m, r):
    """The other reader has left its first section, and is in its second."""
    return NEXT if load(m, at(m, READING, SECOND)) == 2 else WAIT


@step(waits=True)
def wait_for_end(m, r):
    """The grace period has ended."""
    return NEXT if load(m, at(m, ENDED, 0)) == 1 else WAIT


DESIGN = Design(
    "grace periods",
    2026,
    "",
    "a reader that goes on reading until a grace period has ended that began before it came in",
    {
        "test_update": Program(wait_until_both_read, synchronize_rcu, note_end),
        "test_long": Program(rcu_read_lock, reads(FIRST, 1), wait_for_second_section, rcu_read_unlock),
        "test_short": Program(rcu_read_lock, reads(SECOND, 1), rcu_read_unlock),
        "test_until": Program(rcu_read_lock, reads(SECOND, 2), wait_for_end, rcu_read_unlock),
    },
    machine=WORDS,
)


def can_end(text):
    """Whether the grace period ends in any schedule."""
    result = explore(DESIGN, Workload.parse(text).of_kind(WORDS))
    assert result.complete
    return "user" in {violation.check for violation in result.violations}


def test_it_may_end_while_others_read_that_came_later():
    """The short reader leaves before the long one does, and is back for good: it has been seen outside all the same."""
    assert can_end("test_update | test_long | test_short; test_until")


def test_it_does_not_end_while_one_reads_that_was_there():
    """The long reader was there, and nobody comes for whom it waits."""
    assert not can_end("test_update | test_long | test_short")


CPUS = st.sampled_from([2, 3, 5, BITS + 3])


@given(CPUS.flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.booleans())))))
def test_it_ends_once_all_that_were_there_have_been_seen_outside(drawn):
    """Held against a set of CPUs; where CPUs share a bit it may wait for longer, never end before."""
    cpus, moves = drawn
    layout = Layout(WORDS.of(Machine(cpus, 0, 0)))
    m = [0] * layout.words
    boot(layout, m)
    registers = [[0] * REGISTERS for _ in range(cpus)]
    for cpu, r in enumerate(registers):
        boot_registers(layout, r, cpu)
    inside = {cpu for cpu in range(1, cpus) if cpu % 2}
    for cpu in inside:
        rcu_read_lock(m, registers[cpu])
    there, waited = set(inside), still_reading(m, registers[0], 0)
    assert (waited == 0) == (not there)
    for cpu, comes_in in moves:
        if waited == 0:
            break
        (rcu_read_lock if comes_in else rcu_read_unlock)(m, registers[cpu])
        inside = inside | {cpu} if comes_in else inside - {cpu}
        assert load(m, at(m, CPU_RCU, cpu)) == comes_in
        there &= inside
        waited = still_reading(m, registers[0], waited)
        if cpus <= BITS:
            assert (waited == 0) == (not there)
        assert waited != 0 or not there
