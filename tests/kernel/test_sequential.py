"""Operations one after the other: what the steps leave behind is what the operations mean."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import Model

from shm_layout.machine import Machine
from stress import designs
from stress.checks import AT_REST, HOLDS
from stress.kernel import filemap, fork, memory, page_alloc, rmap, spinlock, tlb, vmscan
from stress.kernel.bug import OWNER
from stress.kernel.mm_types import MM_EXITING, MM_FREE
from stress.kernel.pgtable import ZERO_PAGE, pte_anon, pte_at, pte_page, pte_present
from stress.kernel.proc import NOT_SHOWN
from stress.kernel.rss.mm import dec_mm_anon_rss
from stress.labels import DO_ANONYMOUS_PAGE
from stress.operation import Operation
from stress.sequential import PlainMachine

SOUND = ("page_table_lock", "v12_sound")
ARCHES = ("64", "pae")
KINDS = (
    *("fault",) * 6,
    *("swap_out",) * 3,
    "zap",
    "fork",
    "clone",
    "exit",
    "exec",
    "truncate",
    "access_process_vm",
    "use_mm",
    "statm",
    "status",
    "stat",
)
READS = ("statm", "status", "stat")


def small_machine(arch="64"):
    """A machine that runs out of frames, swap slots, mms and tasks."""
    return Machine(
        cpus=2, mms=3, anon=3, private_file=2, shared_file=1, frames=8, swap=2, arch=arch, mmu=True, ghost=True
    )


def operation_of(machine, draw):
    """A CPU and an operation with arguments that its kind can have; ``draw(n)`` is a number from 0 to n - 1."""
    kind, cpu, length, number = KINDS[draw(len(KINDS))], draw(machine.cpus), draw(3), draw(24)
    address = draw(machine.ptes)
    end = min(address + 1 + length, machine.ptes)
    arg = number % (machine.mms + 1)
    if kind == "fork":
        address, end = 0, machine.ptes
    elif kind == "swap_out":
        arg = number % machine.frames
    elif kind == "truncate":
        address = machine.anon + address % (machine.ptes - machine.anon)
    return cpu, Operation(kind, address, end, draw(2) == 1, arg)


MACHINE = small_machine()
OPERATIONS = st.composite(lambda draw: operation_of(MACHINE, lambda n: draw(st.integers(0, n - 1))))()


def random_operations(seed, count):
    rng = random.Random(seed)
    return [operation_of(MACHINE, rng.randrange) for _ in range(count)]


class Pair:
    """The steps of a design and the model, side by side."""

    def __init__(self, design, arch):
        self.machine = small_machine(arch)
        self.plain = PlainMachine(design, self.machine)
        self.model = Model(self.machine)
        self.scratch = [0] * self.machine.frames

    def perform(self, operations):
        for cpu, op in operations:
            shown = self.plain.perform(
                op.name, cpu, address=op.address, end=op.end, write=op.write, arg=op.arg
            )
            target = self.model.target(cpu, op)
            self.model.perform(cpu, op)
            if op.name in READS and target in self.model.tables:
                resident, shared = self.model.shown(target)
                assert shown == (resident, shared if op.name == "statm" else NOT_SHOWN)
            self.check()

    def check(self):
        assert self.plain.oops() == 0
        for name, check in AT_REST.items():
            more = (self.scratch,) if name in ("mapcount", "page_refs") else ()
            assert check(self.plain.m, *more) == HOLDS, name
        mms = self.plain.layout.regions["mm_struct"]
        for mm in range(self.machine.mms):
            users = sum(stack.count(mm) for stack in self.model.stacks)
            assert self.plain.m[mms.index(mm, "mm_users")] == (MM_EXITING + users if users else MM_FREE)
            assert self.kinds(mm) == self.model.kinds(mm) if users else not self.kinds(mm)
            if users:
                assert self.plain.perform("statm", arg=mm + 1) == self.model.shown(mm)

    def kinds(self, mm):
        """What each pte of an mm is, as `Model.kinds` says it."""
        m = self.plain.m
        found = {}
        for address in range(self.machine.ptes):
            entry = m[pte_at(m, mm, address)]
            frame = pte_page(m, entry)
            if entry == 0:
                continue
            if not pte_present(entry):
                found[address] = ("swap", 0)
            elif frame == ZERO_PAGE:
                found[address] = ("zero", 0)
            else:
                found[address] = ("anon" if pte_anon(m, entry) else "file", frame)
        return found


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("name", SOUND)
@settings(max_examples=60)
@given(operations=st.lists(OPERATIONS, max_size=40))
def test_operations_do_what_they_mean(name, arch, operations):
    pair = Pair(designs.get(name), arch)
    pair.perform(operations)


@pytest.mark.parametrize("name", SOUND)
def test_frames_slots_mms_and_tasks_run_out(name):
    """The machine is small enough for every way in which an operation can be refused."""
    pair = Pair(designs.get(name), "64")
    pair.perform(random_operations(1, 1500))
    assert pair.model.refused == {"frame", "slot", "mm", "task"}


BROKEN = {
    "zap forgets the rmap": {"zap": lambda p: p.drop(rmap.page_remove_rmap)},
    "zap forgets the reference": {"zap": lambda p: p.drop(page_alloc.page_cache_release)},
    "zap does not flush": {"zap": lambda p: p.drop(tlb.flush_tlb_page)},
    "zap counts nothing": {"zap": lambda p: p.drop(memory.count_freed)},
    "zap keeps the swap slot": {"zap": lambda p: p.drop(memory.free_swap_and_cache)},
    "fork does not write-protect": {"fork": lambda p: p.drop(fork.ptep_set_wrprotect)},
    "fork takes no reference": {"fork": lambda p: p.drop(fork.get_page_mapped)},
    "fork does not flush": {"fork": lambda p: p.drop(tlb.flush_tlb_mm)},
    "fork takes no reference of the slot": {"fork": lambda p: p.drop(fork.swap_duplicate_entry)},
    "swap-out sets no reference of the slot": {"swap_out": lambda p: p.drop(vmscan.swap_duplicate_slot)},
    "swap-out counts no anonymous page": {"swap_out": lambda p: p.drop(dec_mm_anon_rss)},
    "a fault keeps the slot": {"fault": lambda p: p.drop(memory.swap_free_entry)},
    "a fault keeps mmap_sem": {"fault": lambda p: p.drop(spinlock.up_read)},
    "a fault sets no rmap": {"fault": lambda p: p.drop(rmap.page_add_anon_rmap, within=DO_ANONYMOUS_PAGE)},
    "copy-on-write keeps the old page": {"fault": lambda p: p.drop(rmap.page_remove_rmap_old)},
    "truncate keeps the page": {"truncate": lambda p: p.drop(filemap.truncate_complete_page)},
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_design_is_seen(fault):
    pair = Pair(designs.get("page_table_lock").edit(name="broken", **BROKEN[fault]), "64")
    with pytest.raises((AssertionError, RuntimeError)):
        pair.perform(random_operations(2, 1500))


# V12 as posted: faults that need no concurrency


def v12(**more):
    return PlainMachine(designs.get("v12"), Machine(cpus=1, mms=2, anon=4, shared_file=4, frames=20, swap=2, **more))


@given(anon=st.sets(st.integers(0, 3)), file=st.sets(st.integers(4, 7)))
def test_v12_statm_leaves_out_what_tasks_counted(anon, file):
    plain = v12()
    for address in anon | file:
        plain.perform("fault", address=address, write=True)
    assert plain.perform("statm") == (len(file), len(file))
    assert plain.perform("status")[0] == len(anon) + len(file)


@given(anon=st.sets(st.integers(0, 3)), file=st.sets(st.integers(4, 7)), clones=st.integers(0, 2))
def test_v12_clone_counts_anonymous_pages_again(anon, file, clones):
    plain = v12()
    for address in anon | file:
        plain.perform("fault", address=address, write=True)
    for _ in range(clones):
        plain.perform("clone")
    assert plain.perform("statm")[1] == max(len(file) - clones * len(anon), 0)


@given(anon=st.sets(st.integers(0, 3)))
def test_v12_exec_takes_the_counts_along(anon):
    plain = v12()
    for address in anon:
        plain.perform("fault", address=address, write=True)
    plain.perform("exec")
    assert plain.perform("status")[0] == len(anon)  # of an mm that has no page


@pytest.mark.parametrize("operation", ["access_process_vm", "use_mm"])
def test_v12_counts_on_current_whatever_the_mm(operation):
    plain = v12()
    plain.perform("fork", end=8)
    plain.perform(operation, address=0, write=True, arg=1)
    assert plain.oops() == OWNER
    assert plain.perform("status", arg=1)[0] == 0  # of the mm that has the page


def test_v12_on_pae_maps_no_page_above_4g():
    above, below = v12(arch="pae"), v12(arch="pae", above_4g=False)
    for plain in (above, below):
        plain.perform("fault", address=0, write=True)
    frames = [pte_page(plain.m, plain.m[pte_at(plain.m, 0, 0)]) for plain in (above, below)]
    assert frames == [-1, 1]
