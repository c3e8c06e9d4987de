"""Every way of counting against the page table, at rest, after random operations taken one at a time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shm_layout.counter_tree import tree_items, tree_orders, tree_width
from shm_layout.machine import Machine
from shm_layout.registers import (
    KEPT,
    R_AMOUNT,
    R_CURRENT,
    REGISTERS,
)
from stress import designs
from stress.checks import HOLDS
from stress.designs import tree
from stress.kernel.mm_types import MM_EXITING
from stress.kernel.pgtable import pte_anon, pte_at, pte_counted
from stress.kernel.rss import lazy, percpu
from stress.program import END, Program, assemble
from stress.sequential import PlainMachine

COUNTERS = (
    "atomic",
    "cached",
    "deferred",
    "deferred_16",
    "lazy",
    "list",
    "percpu",
    "ptlock_split",
    "tree",
)
HELD_BY_TASKS = ("cached", "deferred", "deferred_16")
CPUS = 3


class Driver(PlainMachine):
    """A machine on which operations run one after the other, and which remembers how many tasks an mm has had."""

    def __init__(self, design, arch="64", cpus=CPUS, batch=4, anon=6):
        machine = {"mms": 3, "anon": anon, "private_file": 2, "shared_file": 2, "frames": anon + 34, "swap": 6}
        super().__init__(design, Machine(cpus=cpus, arch=arch, batch=batch, ptrs_per_pte=4, **machine))
        self.machine = self.layout.machine
        self.most_threads = {0: cpus}

    def perform(self, cpu, operation, **arguments):
        shown = super().perform(operation, cpu, **arguments)
        self.most_threads = {mm: max(self.threads(mm), self.most_threads.get(mm, 0)) for mm in self.mms_in_use()}
        return shown

    def truth(self, mm):
        entries = [self.m[pte_at(self.m, mm, a)] for a in range(self.machine.ptes)]
        return sum(pte_counted(self.m, e) for e in entries), sum(pte_anon(self.m, e) for e in entries)

    def field(self, struct, instance, name):
        return self.m[self.layout.regions[struct].index(instance, name)]

    def mms_in_use(self):
        return [mm for mm in range(self.machine.mms) if self.field("mm_struct", mm, "mm_users") > MM_EXITING]

    def threads(self, mm):
        return self.field("mm_struct", mm, "mm_users") - MM_EXITING

    def held(self, mm, name):
        """What the tasks of an mm have counted and not folded."""
        tasks = []
        for cpu, r in enumerate(self.registers):
            tasks += range(cpu * self.machine.task_depth, r[R_CURRENT] + 1)
        mine = [t for t in tasks if self.field("task_struct", t, "mm") == mm]
        return sum(self.field("task_struct", t, name) for t in mine)


PAGES = st.integers(0, 9)
CPU = st.integers(0, CPUS - 1)
OPERATIONS = st.one_of(
    st.tuples(CPU, st.just("fault"), st.fixed_dictionaries({"address": PAGES, "write": st.integers(0, 1)})),
    st.tuples(CPU, st.just("fault"), st.fixed_dictionaries({"address": PAGES, "write": st.just(1)})),
    st.tuples(
        CPU,
        st.just("zap"),
        PAGES.flatmap(lambda a: st.fixed_dictionaries({"address": st.just(a), "end": st.integers(a + 1, 10)})),
    ),
    st.tuples(CPU, st.just("fork"), st.just({"address": 0, "end": 10})),
    st.tuples(CPU, st.sampled_from(["clone", "exit", "exec", "tick"]), st.just({})),
    st.tuples(CPU, st.just("swap_out"), st.fixed_dictionaries({"arg": st.integers(0, 39)})),
    st.tuples(CPU, st.just("truncate"), st.fixed_dictionaries({"address": st.integers(6, 9)})),
    st.tuples(
        CPU,
        st.sampled_from(["access_process_vm", "use_mm"]),
        st.fixed_dictionaries({"address": PAGES, "write": st.integers(0, 1), "arg": st.integers(1, 3)}),
    ),
)


def play(driver, operations):
    for cpu, name, arguments in operations:
        if name in driver.design.programs:
            driver.perform(cpu, name, **arguments)


def check_at_rest(driver, design):
    """The exact sum is the page table's; what is shown is within the bound, shared within that of its two parts."""
    assert not driver.oops()
    for mm in driver.mms_in_use():
        true, anon = driver.truth(mm)
        shown, shared = driver.perform(0, "statm", arg=mm + 1)
        if design.name in HELD_BY_TASKS:
            assert driver.field("mm_struct", mm, "rss") + driver.held(mm, "rss") == true
            assert driver.field("mm_struct", mm, "anon_rss") + driver.held(mm, "anon_rss") == anon
        else:
            read = "precise" if "precise" in driver.design.programs else "statm"
            assert driver.perform(0, read, arg=mm + 1) == (true, true - anon)
        bound = design.bound.pages(driver.machine.cpus, driver.most_threads[mm], driver.machine.batch)
        if bound is not None:
            assert abs(shown - true) <= bound
            assert abs(shared - (true - anon)) <= 2 * bound
    assert [check(driver.m) for check in design.checks] == [HOLDS] * len(design.checks)


@pytest.mark.parametrize("arch", ["64", "pae"])
@pytest.mark.parametrize("name", COUNTERS)
def test_counts_what_the_page_table_holds(name, arch):
    design = designs.get(name)

    @settings(max_examples=25)
    @given(st.lists(OPERATIONS, max_size=40))
    def run(operations):
        driver = Driver(design, arch)
        play(driver, operations)
        check_at_rest(driver, design)

    run()


@pytest.mark.parametrize("name", COUNTERS)
def test_a_machine_with_one_cpu_counts_as_any_other(name):
    driver = Driver(designs.get(name), cpus=1)
    play(driver, [(0, "fault", {"address": a, "write": 1}) for a in range(8)])
    check_at_rest(driver, driver.design)
    play(driver, [(0, "zap", {"address": 2, "end": 7}), (0, "fork", {"address": 0, "end": 10})])
    check_at_rest(driver, driver.design)


def test_an_mm_whose_second_task_has_left_counts_by_cpu():
    driver = Driver(designs.get("lazy"))
    for cpu, name, arguments in [(0, "fault", {"address": 0, "write": 1}), (1, "exec", {}), (2, "exec", {})]:
        driver.perform(cpu, name, **arguments)
    assert driver.threads(0) == 1
    assert driver.perform(0, "statm") == (0, 0)
    assert driver.perform(0, "precise") == (1, 0)
    check_at_rest(driver, designs.get("lazy"))


def test_sloppy_counts_are_exact_as_long_as_nothing_meets():
    @settings(max_examples=25)
    @given(st.lists(OPERATIONS, max_size=40))
    def run(operations):
        driver = Driver(designs.get("v11_sloppy"))
        play(driver, operations)
        for mm in driver.mms_in_use():
            true, anon = driver.truth(mm)
            assert driver.perform(0, "statm", arg=mm + 1) == (true, true - anon)

    run()


def test_a_count_that_stays_local_after_its_fold_is_found():
    """The precise sum sees a fold that forgets to take the count off the CPU."""
    broken = designs.get("percpu").edit(
        name="broken", fault=lambda p: p.replace(percpu.fold_count, lazy.fold_count_atomic, percpu.fold_count)
    )
    driver = Driver(broken)
    for address in range(6):
        driver.perform(0, "fault", address=address, write=1)
    with pytest.raises(AssertionError):
        check_at_rest(driver, broken)


@pytest.mark.parametrize(("name", "most"), [("deferred_16", 16), ("cached", 64)])
def test_a_task_holds_as_much_as_it_may(name, most):
    """The bound is reached, so one that is smaller would not hold."""
    design = designs.get(name)
    driver = Driver(design, cpus=1, anon=100)
    worst = 0
    for address in range(100):
        driver.perform(0, "fault", address=address, write=1)
        worst = max(worst, abs(driver.perform(0, "statm")[0] - driver.truth(0)[0]))
    assert worst == most == design.bound.pages(1, 1, 4)


@pytest.mark.parametrize("name", ["percpu", "lazy"])
def test_every_cpu_holds_as_much_as_it_may(name):
    design = designs.get(name)
    driver = Driver(design, anon=20)
    for cpu in range(CPUS):
        for address in range(3 * cpu, 3 * cpu + 3):
            driver.perform(cpu, "fault", address=address, write=1)
    error = driver.truth(0)[0] - driver.perform(0, "statm")[0]
    assert error == 9 == design.bound.pages(CPUS, CPUS, 4)
    driver.perform(0, "fault", address=9, write=1)
    assert driver.truth(0)[0] - driver.perform(0, "statm")[0] == 6


def add_on(driver, counter, cpu, amount):
    """Let a CPU count on rss of mm 0 by a fragment that adds."""
    r = driver.registers[cpu]
    r[R_AMOUNT] = amount
    pc = 0
    while pc != END:
        pc = counter.jump[pc][counter.steps[pc](driver.m, r)]
    r[KEPT:] = [0] * (REGISTERS - KEPT)


@settings(max_examples=50)
@given(st.integers(1, 40), st.lists(st.tuples(st.integers(0, 39), st.integers(-9, 9)), max_size=120))
def test_a_tree_shows_less_than_there_is_but_within_its_bound(cpus, amounts):
    add = assemble(Program(tree.ADD), "64")
    driver = Driver(tree.DESIGN, cpus=cpus)
    for cpu, amount in amounts:
        add_on(driver, add, cpu % cpus, amount)
    error = sum(amount for _, amount in amounts) - driver.field("mm_struct", 0, "rss")
    assert 0 <= error <= tree.DESIGN.bound.pages(cpus, 1, 4)


@pytest.mark.parametrize("cpus", [2, 3, 8, 20, 24, 64])
def test_the_most_that_a_tree_may_hold_back(cpus):
    """The declared bound counts a batch for each leaf on every level; less than that can be held back."""
    add = assemble(Program(tree.ADD), "64")
    batch = 4
    driver = Driver(tree.DESIGN, cpus=cpus, batch=batch)
    for amount, cpu in tree.fullest(cpus, batch):
        add_on(driver, add, cpu, amount)
    total = sum(amount for amount, _ in tree.fullest(cpus, batch))
    assert driver.field("mm_struct", 0, "rss") == 0
    assert total == tree.most_held(cpus, batch)
    assert total <= tree.DESIGN.bound.pages(cpus, 1, batch)
    add_on(driver, add, cpus - 1, batch)
    assert driver.field("mm_struct", 0, "rss") > 0


@pytest.mark.parametrize(("cpus", "nodes"), [(512, 64 + 8), (384, 64 + 8), (48, 16 + 4), (3, 2)])
def test_cpus_that_differ_in_their_high_bits_share_a_node(cpus, nodes):
    """A CPU counts on node cpu & (items - 1) of each level: with 384 CPUs on 64 and 8 nodes, not on 48 and 6."""
    add = assemble(Program(tree.ADD), "64")
    driver = Driver(tree.DESIGN, cpus=cpus, batch=4)
    for amount, cpu in tree.fullest(cpus, 4):
        add_on(driver, add, cpu, amount)
    region = driver.layout.regions["counter_node"]
    counts = [driver.m[region.index(node, "count")] for node in range(tree_items(cpus))]
    assert sum(count != 0 for count in counts) == nodes


def test_384_cpus_hide_as_much_as_was_said_of_the_series():
    assert tree.most_held(384, 32) == 40576
    assert tree.most_held(512, 32) == 512 * 31 + 64 * (256 - 32) + 8 * (2048 - 256)


def test_trees_have_the_items_of_the_series():
    """Items with the root: 73 for 512 CPUs, 149 for 1024."""
    assert [tree_items(cpus) + 1 for cpus in (2, 4, 16, 512, 1024)] == [1, 3, 7, 73, 149]
    for cpus in range(1, 1025):
        assert 1 << sum(tree_orders(cpus)) == tree_width(cpus) >= cpus
        assert tree_width(cpus) < 2 * cpus


def test_a_lazy_counter_is_exact_while_single():
    """Its task counts on one word, everybody else on another, and what is shown is their sum."""
    driver = Driver(designs.get("lazy"))
    driver.perform(0, "fork", address=0, end=10)
    for address in range(6):
        driver.perform(0, "fault", address=address, write=1)
        driver.perform(1, "access_process_vm", address=9 - address, write=1, arg=2)
        true, anon = driver.truth(1)
        assert driver.perform(2, "statm", arg=2) == (true, true - anon)
    driver.perform(0, "clone")
    assert driver.field("mm_struct", 1, "single") == 0
    assert driver.perform(2, "statm", arg=2)[0] == driver.truth(1)[0]


def test_a_fork_copies_under_one_lock_for_each_page_table():
    """Locks are free again after every operation, whatever range it walked."""
    driver = Driver(designs.get("ptlock_split"))
    for address in range(10):
        driver.perform(0, "fault", address=address, write=1)
    for operation, address, end in (("fork", 0, 10), ("zap", 3, 9), ("exit", 0, 0), ("zap", 0, 4)):
        driver.perform(0, operation, address=address, end=end)
        locks = driver.layout.regions["page_table"]
        assert locks.count == 9
        assert not any(driver.field("page_table", i, "ptl") for i in range(9))
