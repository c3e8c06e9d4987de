"""Workers that are kept, and what users of `stress.testing` see: fixtures, a design of their own, messages."""

import math
import os
import signal
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest
from hypothesis import settings
from processes import ended

from shm_layout.layout import Layout
from stress import designs
from stress.design import NO_BOUND
from stress.kernel import rmap
from stress.operation import Operation
from stress.testing import CheckBroken, close_pools, small_machine, state_machine, stateful, worker_pool
from stress.testing.stateful import usual_settings
from stress.workers.errors import WorkerDied
from stress.workers.records import Call

pytestmark = pytest.mark.timeout(600)

DESIGN = designs.get("page_table_lock")
FEW = ("fault", "zap", "statm")
MINE = """
from stress import designs
from stress.kernel import rmap
BASE = designs.get("page_table_lock")
MINE = BASE.edit(name="mine", zap=lambda p: p.drop(rmap.page_remove_rmap))
FEW = ("fault", "zap", "statm")
"""
TEST_MINE = """
from my_design import BASE, FEW, MINE
from stress.testing import state_machine
TestMine = state_machine(MINE, operations=FEW)
TestBase = state_machine(BASE, operations=FEW)

def test_with_workers(workers, segment):
    assert segment().array.size > 0
    pool = workers(BASE, operations=FEW)
    assert len(set(pool.pids)) == 2
"""


def test_a_pool_is_used_again_in_its_first_state(workers):
    first = workers(DESIGN, operations=FEW)
    pids = first.pids
    first.perform({0: [Call("fault", address=3, write=True)], 1: [Call("fault", address=4, write=True)]})
    assert first.truth(0).resident == 2
    again = workers(DESIGN, operations=FEW)
    assert again.pids == pids
    assert again.truth(0).resident == 0


def test_another_machine_and_another_bound_are_other_pools(workers):
    pids = {workers(DESIGN, operations=FEW, anon=anon).pids for anon in (6, 7)}
    assert len(pids) == 2
    assert workers(replace(DESIGN, bound=NO_BOUND), operations=FEW, anon=7).pids not in pids


def test_a_pool_whose_worker_died_is_replaced(workers):
    pool = workers(DESIGN, operations=FEW)
    os.kill(pool.pids[1], signal.SIGKILL)
    with pytest.raises(WorkerDied):
        pool.run({"fault": 1}, seed=1, seconds=20)
    fresh = workers(DESIGN, operations=FEW)
    assert fresh.pids != pool.pids
    fresh.perform({1: [Call("fault", address=0, write=True)]})
    assert fresh.truth(0).resident == 1


def test_a_pool_whose_workers_were_left_running_is_replaced(workers):
    pool = workers(DESIGN, operations=FEW)
    pool.start({"fault": 1}, seed=1)  # as a test that fails before it has said finish
    fresh = workers(DESIGN, operations=FEW)
    assert fresh.pids != pool.pids
    fresh.perform({1: [Call("fault", address=0, write=True)]})
    assert [verdict for verdict in fresh.verdicts() if not verdict.ok] == []


def test_a_fork_server_that_died_is_replaced(workers):
    pool = workers(DESIGN, operations=FEW)
    os.kill(psutil.Process(pool.pids[0]).ppid(), signal.SIGKILL)
    assert ended(pool.pids)
    fresh = workers(DESIGN, operations=FEW)
    assert fresh.pids != pool.pids
    assert fresh.run({"fault": 1}, seed=1, operations=100).operations == 100


def test_close_pools_ends_the_workers(workers):
    pids = workers(DESIGN, operations=FEW).pids
    close_pools()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_segment_holds_the_first_state(segment):
    machine = small_machine(3, anon=9)
    made = segment(machine)
    layout = Layout(machine)
    task = layout.regions["task_struct"]
    assert [int(made.array[task.index(cpu * machine.task_depth, "mm")]) for cpu in range(3)] == [0, 0, 0]
    assert made.array[layout.regions["mm_struct"].index(0, "task_list")] == 1
    assert made.name != segment(machine).name


def test_a_failure_says_what_to_do_again(monkeypatch):
    """With one worker, and as much time to shrink as that takes, nothing but the examples that are drawn matters."""
    monkeypatch.setattr(stateful, "SHRINK_SECONDS", math.inf)
    mutant = DESIGN.edit(name="mutant_mapcount", zap=lambda p: p.drop(rmap.page_remove_rmap))
    drawn = settings(usual_settings(), database=None, derandomize=True)
    with pytest.raises(CheckBroken) as found:
        state_machine(mutant, workers=1, operations=FEW, settings=drawn)().runTest()
    assert "mapcount" in found.value.broken
    assert str(found.value).startswith("mutant_mapcount, arch 64, 1 worker: breaks mapcount: at rest: frame")
    # A page is faulted in and taken away again: no example is smaller.
    assert 1 <= len(found.value.steps) <= 2
    pool = worker_pool(mutant, workers=1, operations=FEW)
    for step in found.value.steps:
        eval(step, {"pool": pool, "Operation": Operation})
    assert [verdict.name for verdict in pool.verdicts() if not verdict.ok] == list(found.value.broken)


def test_an_operation_that_a_design_does_not_have():
    with pytest.raises(ValueError, match="page_table_lock has no operation precise"):
        state_machine(DESIGN, operations=("fault", "precise"))


def test_a_user_needs_three_lines(tmp_path):
    """A design of the user's own under pytest -n 2: what is broken fails, what is sound passes, nothing is left."""
    (tmp_path / "my_design.py").write_text(MINE)
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["stress.testing"]\n')
    (tmp_path / "test_mine.py").write_text(TEST_MINE)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider", "-rA", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in result.stdout, result.stdout
    assert "1 failed" in result.stdout
    assert "mine, arch 64, 2 workers: breaks" in result.stdout


def test_pytest_is_imported_for_a_fixture_alone():
    code = (
        "import sys, stress.testing as t; assert 'pytest' not in sys.modules; t.workers; assert 'pytest' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_operation_is_refused():
    with pytest.raises(ValueError, match="page_table_lock without any operation"):
        state_machine(DESIGN, operations=())


def test_the_profile_of_the_moment_is_heeded():
    before = settings.get_current_profile_name()
    # The one that Hypothesis takes by itself where CI is set draws the same each time, too.
    for same in (True, False, True):
        settings.register_profile("again", derandomize=same, database=None)
        settings.load_profile("again")
        try:
            assert state_machine(DESIGN, operations=FEW).settings.derandomize is same
        finally:
            settings.load_profile(before)
