"""References of pages that a design holds by itself: declared, they are found; undeclared, they are a leak."""

import pickle
from dataclasses import fields, replace

import pytest

from shm_layout.atomic import load
from shm_layout.registers import R_ENTRY, R_OLD_PAGE, R_USER
from shm_layout.structs import NR_CPUS, PAGE_CONTENT, PAGE_MAPCOUNT, at, cpu_struct
from stress import designs
from stress.design import NO_BOUND, Design, Edit
from stress.designs.tree import TREE
from stress.explore import explore
from stress.explore.counterexample.trace import trace
from stress.explore.model.model import build
from stress.explore.reference import reference
from stress.kernel import memory, pte_access, spinlock
from stress.kernel.bug import USER, oops
from stress.kernel.page_alloc import get_page, put_page
from stress.kernel.pgtable import ZERO_PAGE, pte_page, pte_present
from stress.kernel.rmap import page_anon
from stress.labels import COPY, OUT_UNLOCK
from stress.machine_kind import PAGE_TABLES
from stress.program import At, Program
from stress.step import DONE, NEXT, step
from stress.testing import close_pools, worker_pool
from stress.workers.records import Call
from stress.workload import Workload

CPU_PIPE = cpu_struct.word("test_pipe", "vmsplice, read_pipe", "frame in the CPU's pipe, 0 for none")


@step
def can_share_by_mapcount(m, r):
    """Reuse of a page that nobody else maps, whoever holds it."""
    frame = r[R_OLD_PAGE]
    if frame == ZERO_PAGE or not page_anon(m, frame):
        return COPY
    return NEXT if load(m, at(m, PAGE_MAPCOUNT, frame)) == 1 else COPY


@step
def pin_page(m, r):
    """get_page, into a pipe in R_USER: the frame and what was in it."""
    if not pte_present(r[R_ENTRY]) or pte_page(m, r[R_ENTRY]) <= 0:
        return OUT_UNLOCK
    frame = pte_page(m, r[R_ENTRY])
    get_page(m, frame)
    r[R_USER] = frame * (1 << 32) + load(m, at(m, PAGE_CONTENT, frame))
    return NEXT


@step
def read_pipe(m, r):
    """What went into the pipe comes out; the reference is dropped."""
    if r[R_USER] == 0:
        return DONE
    frame = r[R_USER] >> 32
    if load(m, at(m, PAGE_CONTENT, frame)) != r[R_USER] & 0xFFFFFFFF:
        oops(r, USER)
    put_page(m, r, frame)
    r[R_USER] = 0
    return NEXT


@step
def pin_in_memory(m, r):
    """The same into a pipe in the memory, which every CPU has."""
    if not pte_present(r[R_ENTRY]) or pte_page(m, r[R_ENTRY]) <= 0:
        return OUT_UNLOCK
    get_page(m, pte_page(m, r[R_ENTRY]))
    m[at(m, CPU_PIPE, r[0])] = pte_page(m, r[R_ENTRY])
    return NEXT


def held_by_registers(m, r, w):
    """The page in a CPU's pipe."""
    if r[R_USER] != 0:
        w[r[R_USER] >> 32] += 1


def held_by_memory(m, w):
    """The pages in the pipes of all CPUs."""
    for cpu in range(m[NR_CPUS]):
        frame = m[at(m, CPU_PIPE, cpu)]
        if frame != 0:
            w[frame] += 1


def held_twice(m, w):
    """A holder that claims what nobody holds."""
    w[1] += 1


def vmsplice(pin):
    lock = (memory.mmap_current, spinlock.down_read, spinlock.spin_lock)
    return Program(lock, pte_access.READ_PTE, pin, At(OUT_UNLOCK), spinlock.spin_unlock, spinlock.up_read)


BARE = replace(
    designs.get("page_table_lock").with_programs(vmsplice=vmsplice(pin_page), read_pipe=Program(read_pipe)),
    name="piped",
)
BY_COUNT = replace(BARE, holders=(held_by_registers,))
BY_MAPCOUNT = BY_COUNT.edit(name="by_mapcount", fault=lambda p: p.replace(memory.can_share_page, can_share_by_mapcount))
IN_MEMORY = replace(
    designs.get("page_table_lock").with_programs(vmsplice=vmsplice(pin_in_memory)),
    name="piped_in_memory",
    holders=(held_by_memory,),
)
SPLICED = "fault 0 w || fork; vmsplice 0; zap 0; read_pipe | fault 0 w; fault 0 w"
LEFT = "fault 0 w || vmsplice 0 | fault 0 w; zap 0"
CASES = {
    "undeclared": (BARE, SPLICED, {"page_refs"}),
    "declared": (BY_COUNT, SPLICED, set()),
    "declared and reused by mapcount": (BY_MAPCOUNT, SPLICED, {"user"}),
    "kept to the end": (BY_COUNT, LEFT, set()),
    "in memory": (IN_MEMORY, LEFT, set()),
    "in memory, undeclared": (replace(IN_MEMORY, holders=()), LEFT, {"page_refs"}),
    "both, one claims too much": (replace(BY_COUNT, holders=(held_by_registers, held_twice)), LEFT, {"page_refs"}),
}


@pytest.mark.parametrize("case", CASES)
def test_pages_that_a_design_holds_are_references(case):
    design, workload, broken = CASES[case]
    result = explore(design, Workload.parse(workload, anon=1))
    assert {v.check for v in result.violations} == broken
    assert result.complete
    for violation in result.violations:
        assert trace(build(design, result.workload), violation).wrong


@pytest.mark.parametrize("case", ["undeclared", "kept to the end", "in memory", "both, one claims too much"])
def test_the_plain_explorer_knows_holders(case):
    design, _, broken = CASES[case]
    assert reference(design, Workload.parse("vmsplice 0 | fault 0 w", anon=1)).broken == broken


@pytest.mark.parametrize("case", ["kept to the end", "in memory"])
def test_workers_know_holders(case):
    design, _, _ = CASES[case]
    for holders, broken in ((design.holders, set()), ((), {"page_refs"})):
        pool = worker_pool(replace(design, holders=holders), operations=("fault", "vmsplice"))
        pool.perform({0: [Call("fault", address=0, write=True)]})
        pool.perform({1: [Call("vmsplice", address=0, end=1)]})
        assert {v.name for v in pool.verdicts() if not v.ok} == broken
    close_pools()


def test_a_holder_of_other_arguments_is_refused():
    with pytest.raises(ValueError, match=r"holder .* is no function of \(m, w\) or \(m, r, w\)"):
        replace(BARE, holders=(len,))


def test_a_pickled_design_has_all_its_fields():
    kept = {"base": "page_table_lock", "edits": (Edit("a", "b"),), "bound": NO_BOUND, "counter": TREE}
    more = {**kept, "machine": replace(PAGE_TABLES, most_cpus=4), "exact_reads": ("statm",)}
    design = replace(IN_MEMORY, checks=(held_by_registers,), **more)
    again = pickle.loads(pickle.dumps(design))
    for field in fields(Design):
        assert getattr(again, field.name) == getattr(design, field.name) != field.default
