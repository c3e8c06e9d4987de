"""Faults that do the work of real ones: workers clear real pages, and the modelled machine is none the worse for it."""

import psutil
import pytest

from shm_layout.structs import WORK_BYTES, WORK_POOL, WORK_TICKS
from stress import designs
from stress.kernel.page_alloc import alloc_zeroed_page
from stress.system.fault_cost import clear_ns, trap_ns
from stress.workers import fault_kinds
from stress.workers.loop import page_work
from stress.workers.pool import Pool
from stress.workers.records import Call
from stress.workers.table import Row, with_shares
from stress.workers.work import LEAST_POOL, Work, set_work

PAGES = 256
KINDS = fault_kinds.KINDS["anon-write"]


@pytest.mark.parametrize("kind", ["anon-write", "cow"])
def test_a_worker_that_clears_pages_has_a_pool_of_its_own(server, kind):
    chosen = fault_kinds.KINDS[kind]
    machine = fault_kinds.machine_for(chosen, workers=1, pages=PAGES, arch="64")
    grown = []
    for design in (designs.get("v12_sound"), page_work.working(designs.get("v12_sound"), traps=True)):
        touching = fault_kinds.touching(design)
        with Pool(touching, machine, 1, operations=[fault_kinds.TOUCH], server=server) as pool:
            set_work(pool, Work("trap+clear", 100.0, 4096, LEAST_POOL))
            assert (pool.memory[WORK_BYTES], pool.memory[WORK_POOL]) == (4096, LEAST_POOL)
            assert pool.memory[WORK_TICKS] >= 0
            fault_kinds.prepare(pool, chosen)
            before = psutil.Process(pool.pids[0]).memory_info().rss
            pool.perform({0: [Call(fault_kinds.TOUCH, 0, PAGES, True)]})
            grown.append(psutil.Process(pool.pids[0]).memory_info().rss - before)
            assert pool.truth(0).resident == PAGES
            assert [v for v in pool.verdicts() if not v.ok] == []
    assert grown[0] < LEAST_POOL // 2
    assert grown[1] >= LEAST_POOL


def test_work_lies_where_the_kernel_does_it():
    plain, worked = (designs.get("v12"), page_work.working(designs.get("v12"), traps=True))
    fault = worked.programs["fault"]
    assert fault[0] is page_work.enter_and_leave
    assert fault[fault.index(alloc_zeroed_page) + 1] is page_work.clear_page
    assert page_work.enter_and_leave not in page_work.working(plain, traps=False).programs["fault"]
    assert worked.programs["zap"] == plain.programs["zap"]


def test_a_fault_of_this_kernel_and_a_page_cost_something():
    assert clear_ns(4096, 1 << 20) > 0
    assert clear_ns(16384, 1 << 20) > clear_ns(512, 1 << 20)
    assert trap_ns() >= 0


def test_shares_say_where_the_time_goes():
    def row(flt_cpu_s, fault_wsec=1.0):
        return Row(1, 1, 2, 1, 0, 1, flt_cpu_s, fault_wsec)

    found = with_shares(row(1 / 2000), row(1 / 300, 5.0), row(1 / 1500), row(1 / 100))
    assert (found.work, found.atomics, found.waiting) == pytest.approx((0.7, 0.05, 0.25))
    assert found.bare_fault_wsec == 5
    faster = with_shares(row(1 / 1000), row(1.0), row(1 / 1500), row(1 / 100))
    assert (faster.work, faster.atomics, faster.waiting) == pytest.approx((1, 0, 0))
