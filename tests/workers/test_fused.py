"""The compiled loop does what the steps do in plain Python, word for word."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shm_layout.structs import FIRST_WORD
from stress.kernel.boot import boot_registers
from stress.kernel.proc import NOT_SHOWN
from stress.sequential import PlainMachine
from stress.workers.loop import block
from stress.workers.records import Call

PAGES = 40

address = st.integers(0, PAGES - 1)
ranges = st.tuples(address, address).map(lambda pair: (min(pair), max(pair) + 1))
calls = st.one_of(
    st.builds(Call, st.just("fault"), address, write=st.booleans()),
    st.builds(lambda name, pages: Call(name, *pages), st.sampled_from(("zap", "fork")), ranges),
    st.builds(Call, st.sampled_from(("clone", "exit"))),
    st.builds(Call, st.sampled_from(("statm", "status", "stat")), arg=st.integers(0, 5)),
)


@pytest.mark.parametrize(
    ("design", "arch"), [("v12_sound", "64"), ("v12_sound", "pae"), ("v12", "pae"), ("page_table_lock", "pae")]
)
def test_one_worker_leaves_what_plain_python_leaves(make_pool, design, arch):
    pool = make_pool(design, 1, arch=arch)

    @settings(max_examples=40)
    @given(st.lists(calls, min_size=1, max_size=30))
    def same(script):
        pool.reset()
        boot_registers(pool.layout, pool.registers(0), 0)  # frames in the order of the plain machine
        shown = pool.perform({0: script})[0]
        plain = PlainMachine(pool.design, pool.machine)
        for call, seen in zip(script, shown, strict=True):
            resident, shared = plain.perform(
                call.name, address=call.address, end=call.end, write=call.write, arg=call.arg
            )
            if call.name in ("statm", "status", "stat") and seen.resident is not None:
                assert (seen.resident, seen.shared) == (resident, None if shared == NOT_SHOWN else shared)
        here = pool.memory[FIRST_WORD : pool.layout.words].tolist()
        there = plain.m[FIRST_WORD : pool.layout.words]
        differing = [
            pool.layout.describe(FIRST_WORD + i) for i, (a, b) in enumerate(zip(here, there, strict=True)) if a != b
        ]
        assert not differing
        assert pool.registers(0)[:8].tolist()[:2] == plain.registers[0][:2]

    same()


def test_truth_is_noted_at_every_change_of_a_pte(make_pool):
    """The pages that a worker notes as set and cleared are those of the page table, on either arch."""
    for arch in ("64", "pae"):
        pool = make_pool("v12_sound", arch=arch)
        pool.run({"fault": 6, "zap": 2, "fork": 1, "exit": 3}, seed=3, operations=20_000)
        for mm in range(pool.machine.mms):
            set_, cleared, file_set, file_cleared = pool.column(block.ACCOUNT + 4 * mm, 4).sum(axis=0).tolist()
            truth = pool.truth(mm)
            assert set_ - cleared == truth.resident
            assert file_set - file_cleared == truth.resident - truth.anon
        pool.close()
