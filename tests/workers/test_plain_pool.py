"""What workers judge while others are at work, on schedules that are drawn, step by step: nobody is blamed wrongly."""

from dataclasses import replace
from itertools import product

import pytest
from plain_pool import PlainPool

from shm_layout.atomic import cmpxchg
from shm_layout.machine import Machine
from shm_layout.structs import HEADER_WORDS
from stress import designs
from stress.kernel import pte_access
from stress.kernel.account import ACCOUNT_WORDS
from stress.kernel.pgtable import PG_FILE, pte_at, pte_page
from stress.program import assemble
from stress.workers.loop import block
from stress.workers.records import Call

MIX = {"fault": 6, "statm": 3, "status": 1, "stat": 1, "fork": 2, "exit": 1, "clone": 1, "zap": 1, "swap_out": 1}
SEEDS = 40


def broken(name, arch, monkeypatch, **how):
    """The checks that some of the runs break."""
    machine = Machine(
        cpus=3, mms=4, anon=2, private_file=1, shared_file=1, frames=24, swap=6, arch=arch, batch=2, ptrs_per_pte=4
    )
    found = set()
    for seed in range(SEEDS):
        with PlainPool(designs.get(name), machine, 3, operations=tuple(MIX), seed=seed, patch=monkeypatch) as pool:
            assert pool.run(MIX, seed=seed, operations=60, **how).operations == 60
            found |= {verdict.name for verdict in pool.verdicts() if not verdict.ok}
        monkeypatch.undo()
    return found


@pytest.mark.parametrize("arch", ["64", "pae"])
@pytest.mark.parametrize("name", ["page_table_lock", "v12_sound", "cached", "lazy", "list", "ptlock_split", "tree"])
def test_reads_of_a_sound_design_are_never_blamed(name, arch, monkeypatch):
    assert not broken(name, arch, monkeypatch)


COPIED = [{1: [Call("fault", 0, write=True)]}, {2: [Call("fork", 0, 3)]}]
SWAPPED = [{1: [Call("fault", 0, write=True)]}, {1: [Call("swap_out", arg=frame) for frame in range(24)]}]
ONE_AT_A_TIME = {
    "anonymous": ([], Call("fault", 0, write=True)),
    "zero page": ([{1: [Call("fault", 0)]}], Call("fault", 0, write=True)),
    "file": ([], Call("fault", 2)),
    "copy of a page of the file": ([{1: [Call("fault", 2)]}], Call("fault", 2, write=True)),
    "copy of an anonymous page": (COPIED, Call("fault", 0, write=True)),
    "swapped in": (SWAPPED, Call("fault", 0)),
    "swapped in and written": (SWAPPED, Call("fault", 0, write=True)),
    "zap": ([{1: [Call("fault", page, write=True) for page in range(4)]}], Call("zap", 0, 4)),
    "swapped out": ([{1: [Call("fault", 0, write=True)]}], Call("swap_out")),
    "truncate": ([{1: [Call("fault", 2), Call("fault", 3)]}], Call("truncate", 2)),
}


def mapped(pool):
    """The frames of the pages of mm 0."""
    m = pool.memory
    return [int(pte_page(m, m[pte_at(m, 0, page)])) for page in range(pool.machine.ptes)]


@pytest.mark.parametrize("name", ["page_table_lock", "v12_sound", "atomic", "list", "ptlock_split"])
def test_a_read_that_an_operation_comes_between_is_not_blamed(name, monkeypatch):
    """The operation begins before any step of the read, rests before any of its own, and ends before the verdict."""
    design = designs.get(name)
    machine = Machine(cpus=3, mms=3, anon=2, private_file=1, shared_file=1, frames=24, swap=6)
    operations = ("fault", "zap", "fork", "swap_out", "truncate", "statm")
    steps = {step.__name__ for name in operations for step in assemble(design.programs[name], "64").steps}
    with PlainPool(design, machine, 3, operations=operations, seed=1, patch=monkeypatch, stay=1) as pool:
        pool.turns.first = 0

        def come_between(what, of_read, of_other):
            before, call = ONE_AT_A_TIME[what]
            pool.reset()
            for calls in before:
                pool.perform(calls)
            given = replace(call, arg=mapped(pool)[0]) if call.name == "swap_out" else call
            ptes = mapped(pool)
            pool.turns.hold = {0: (of_read, "after_read"), 1: (of_other,)}
            pool.perform({0: [Call("statm")], 1: [given]}, together=False)
            pool.turns.hold = {}
            assert mapped(pool) != ptes, f"{what} changed nothing"
            blamed = [pool.column(part)[0, 0] for part in (block.REGULAR, block.PAIR)]
            assert blamed == [0, 0], f"{what}, from {of_read} on, held before {of_other}"
            return [pool.turns.seen[worker] & steps for worker in (0, 1)]

        for what in ONE_AT_A_TIME:
            for of_read, of_other in product(*come_between(what, "", "")):
                come_between(what, of_read, of_other)


def test_a_page_is_accounted_by_what_it_was_when_it_was_mapped(monkeypatch):
    """Once the pte is there, others may zap it, free the page and take its frame for a page of the file."""
    machine = Machine(cpus=1, mms=1, anon=2, shared_file=1, frames=8)
    pool = PlainPool(designs.get("v12_sound"), machine, 1, operations=("fault",), seed=1, patch=monkeypatch)
    with pool:

        def overtaken(m, index, old, new):
            found = cmpxchg(m, index, old, new)
            if found == old and index == pte_at(m, 0, 0):
                m[pool.layout.regions["page"].index(int(pte_page(m, new)), "flags")] |= PG_FILE
            return found

        monkeypatch.setattr(pte_access, "cmpxchg", overtaken)
        pool.perform({0: [Call("fault", 0, write=True)]})
        assert pool.column(block.ACCOUNT, ACCOUNT_WORDS).tolist() == [[1, 0, 0, 0]]


def test_what_is_broken_is_seen(monkeypatch):
    assert broken("v12_reviewed", "64", monkeypatch) >= {"anon_rss_exact", "read_pair"}
    assert broken("v12", "pae", monkeypatch) >= {"rss_exact", "read_regular", "mapcount", "page_refs", "pfn_valid"}


def test_how_far_reads_were_off_is_said_where_a_counter_may_be(monkeypatch):
    machine = Machine(cpus=2, mms=2, anon=8, frames=16, batch=8)
    said = {}
    for name in ("percpu", "atomic"):
        with PlainPool(designs.get(name), machine, 2, operations=("fault", "statm"), seed=1, patch=monkeypatch) as pool:
            pool.run({"fault": 2, "statm": 1}, seed=1, operations=40)
            worst = pool.column(block.WORST).max()
            said[name] = {verdict.name: verdict.detail for verdict in pool.verdicts()}["read_regular"], worst
        monkeypatch.undo()
    text, worst = said["percpu"]
    assert 0 < worst <= 2 * 7
    assert text.endswith(f" reads compared, off by {worst} at most")
    assert said["atomic"][0].endswith(" reads compared")


def test_equal_seeds_are_equal_runs(monkeypatch):
    memories = []
    for _ in range(2):
        machine = Machine(cpus=2, mms=3, anon=4, frames=16)
        pool = PlainPool(designs.get("v12_sound"), machine, 2, operations=tuple(MIX), seed=1, patch=monkeypatch)
        with pool:
            pool.run(MIX, seed=1, operations=40)
            memories.append(pool.memory[HEADER_WORDS:].copy())
        monkeypatch.undo()
    assert (memories[0] == memories[1]).all()
