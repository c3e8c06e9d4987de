"""The simulator against an independent slow one, against cases worked out by hand, and against a closed form."""

from dataclasses import replace

import pytest

from shm_layout.errors import UsageError
from stress import designs
from stress.design import Design
from stress.kernel import memory, spinlock
from stress.program import Program
from stress.scale.machine import Fault, Level, Line, Memory, Process, ScaleMachine, get_machine
from stress.scale.simulation import Given, near_share, simulate
from stress.step import WAIT, step
from tests.scale.slow import Slow

TOY = ScaleMachine(
    "toy",
    "for tests",
    4096,
    (Level("pair", 2, 100.0), Level("all", 4096, 300.0)),
    Line(own_ns=1.0, own_atomic_ns=5.0, memory_ns=50.0, read_busy_ns=20.0),
    Memory(2, near_gb_s=4.096, far_gb_s=1.024, node_gb_s=1e6, node_gib=1.0),
    Fault(entry_ns=200.0, exit_ns=100.0, page_bytes=4096, varies=0.0),
    Process(0.0, 0.0),
)
LOCK_ALONE = Design(
    "lock_alone",
    2026,
    "for tests",
    "a lock is taken and released, and nothing else",
    {"fault": Program(memory.mmap_current, spinlock.spin_lock, spinlock.spin_unlock)},
)


def run(design, cpus, each, *, machine=TOY, **more):
    given = Given(cpus, faults=cpus * each, started=False, **more)
    return simulate(designs.get(design) if isinstance(design, str) else design, machine, given)


def test_a_lock_that_one_cpu_takes_twice_costs_what_it_does_by_hand():
    """The line from memory, an own store, an own atomic, an own store; mmap_current reads the task's line."""
    found = run(LOCK_ALONE, 1, 2, work=False)
    assert found.ns == (50 + 50 + 1) + (1 + 5 + 1)
    assert (found.atomics, found.transfers, found.waits) == (2, 2, 0)


def test_a_lock_that_two_cpus_want_costs_what_it_does_by_hand():
    """What docs/scale.md goes through, access by access."""
    found = run(LOCK_ALONE, 2, 1, work=False)
    assert found.ns == 401
    assert (found.atomics, found.transfers, found.waits) == (2, 6, 1)
    assert (found.queue, found.spin) == (50 + 100, 350)


CASES = (
    ("v12", 1, 5, "anon-write", "posted"),
    ("v12", 3, 5, "anon-write", "posted"),
    ("v12_sound", 4, 4, "anon-read", "packed"),
    ("page_table_lock", 2, 6, "anon-write", "posted"),
    ("page_table_lock", 5, 4, "anon-write", "padded"),
    ("atomic", 3, 4, "anon-write", "big_reader"),
    ("ptlock_split", 4, 3, "anon-write", "separate"),
    ("v11_sloppy", 3, 4, "anon-write", "posted"),
)


@pytest.mark.parametrize(("design", "cpus", "each", "kind", "placement"), CASES)
@pytest.mark.parametrize("work", [True, False])
def test_counts_and_times_are_those_of_an_independent_simulator(design, cpus, each, kind, placement, work):  # noqa: PLR0917
    found = run(design, cpus, each, kind=kind, placement=placement, work=work)
    slow = Slow(designs.get(design), TOY, cpus, each, kind, placement, work).run()
    for what in ("faults", "transfers", "atomics", "waits"):
        assert getattr(found, what) == slow.count[what], what
    for what in ("work", "own", "line", "queue", "spin"):
        assert getattr(found, what) == pytest.approx(slow.ns[what], abs=0.01), what
    assert found.ns == pytest.approx(slow.end, abs=0.01)


def test_another_cost_of_a_line_is_noticed_by_the_comparison():
    found = run("v12", 3, 5)
    dearer = replace(TOY, levels=(Level("pair", 2, 101.0), TOY.levels[1]))
    assert found.ns != pytest.approx(Slow(designs.get("v12"), dearer, 3, 5).run().end, abs=0.01)


@pytest.mark.parametrize("cpus", [2, 4, 8, 32, 128])
def test_v12_is_as_fast_as_its_closed_form_says(cpus):
    """max(T + 2c, 2cN): down_read and up_read move one line, from anywhere to anywhere at one cost c."""
    c = 100.0
    flat = replace(TOY, levels=(Level("all", 4096, c),), line=Line(0.0, 0.0, 0.0, 20.0))
    flat = replace(flat, fault=replace(flat.fault, varies=0.2))
    private = flat.fault.entry_ns + flat.fault.exit_ns + 4096 / flat.memory.near_gb_s
    found = simulate(designs.get("v12"), flat, Given(cpus, faults=max(4000, 64 * cpus)))
    assert found.ns_per_fault == pytest.approx(max(private + 2 * c, 2 * c * cpus), rel=0.06)


def test_all_that_the_cpus_do_is_accounted_for():
    found = run("page_table_lock", 8, 16)
    assert sum(found.shares().values()) == pytest.approx(1)
    assert found.shares()["locks"] > 0.1
    assert run("v12", 1, 16).shares()["work"] > 0.9


def test_a_seed_gives_the_same_run_and_another_seed_another():
    machine = get_machine("2004")
    first, again, other = (
        simulate(designs.get("v12_sound"), machine, Given(16, faults=512, seed=seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_a_sample_is_as_fast_as_the_whole():
    sample, whole = (
        simulate(designs.get("v12_sound"), get_machine("2004"), Given(64, faults=faults)).per_second
        for faults in (8_192, 65_536)
    )
    assert sample == pytest.approx(whole, rel=0.02)


def test_far_memory_is_slower_and_nodes_fill():
    assert near_share(TOY, 0.5, 1) == 1
    assert near_share(TOY, 4.0, 1) == near_share(TOY, 4.0, 2) == 0.25
    assert near_share(TOY, 4.0, 4) == 0.5
    near, far = (run("v12", 1, 100, gib=gib).ns_per_fault for gib in (1.0, 4.0))
    assert far - near == pytest.approx(0.75 * 3000, rel=0.05)


def test_memory_that_all_clear_at_once_saturates():
    shared = replace(TOY, memory=replace(TOY.memory, cpus=4096, node_gb_s=8.192))
    two, eight = (run("ptlock_split", n, 64, machine=shared, placement="big_reader") for n in (2, 8))
    assert eight.per_second < 1.2 * 8.192e9 / 4096
    assert eight.work > 2 * two.work


@pytest.mark.parametrize("kind", ["anon-read", "cow", "file", "swap-in", "mixed"])
def test_every_kind_of_fault_is_simulated(kind):
    found = run("v12_sound", 4, 20, kind=kind)
    assert found.faults == 80
    assert found.work > 80 * 299


@step(waits=True)
def wait_for_ever(m, r):
    return WAIT


@pytest.mark.parametrize("name", ["v14", "thp", "mremap"])
def test_a_design_is_simulated_on_a_machine_of_its_kind(name):
    """With pmd entries, or with VMAs: their words are not there on a machine of another kind."""
    assert simulate(designs.get(name), TOY, Given(4, faults=64)).per_second > 0


def test_faults_under_a_vma_find_it():
    """Where no VMA is there they take mmap_sem, which nobody gets here."""
    design = designs.get("vma_refcnt").edit("a", "b", fault=lambda p: p.replace(spinlock.down_read, wait_for_ever))
    assert simulate(design, TOY, Given(4, faults=64)).per_second > 0


def test_a_reader_of_proc_slows_faults_down_where_it_takes_their_lock():
    alone, read = (
        simulate(designs.get("page_table_lock"), TOY, Given(4, faults=400, readers=n, work=False)) for n in (0, 4)
    )
    assert read.reads > 0
    assert read.read_ns > 0
    assert alone.reads == 0
    assert read.per_second < alone.per_second


def test_4096_cpus_are_simulated():
    found = simulate(designs.get("v12_sound"), TOY, Given(4096, faults=4096))
    assert found.faults == 4096


def test_more_cpus_than_the_machine_has_are_refused():
    with pytest.raises(UsageError, match="has 1 to 512"):
        simulate(designs.get("v12"), get_machine("2004"), Given(513))
