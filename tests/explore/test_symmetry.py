"""Interchangeable CPUs: fewer states, the same ends and the same broken checks as without."""

import inspect
from dataclasses import replace

import pytest

from stress import designs
from stress.design import Bound
from stress.explore import explore, symmetry
from stress.explore.image import P_SYMMETRY
from stress.explore.model import build
from stress.explore.reference import reference
from stress.explore.trace import trace
from stress.kernel import memory, spinlock
from stress.kernel.rss import amount, mm, percpu, task
from stress.labels import IN_BATCH, NEXT_CPU, NEXT_TASK, SKIP
from stress.program import At, Program
from stress.workload import Workload

IDENTICAL = (
    "fault 0 w | fault 0 w",
    "fault 0 w; zap 0 | fault 0 w; zap 0",
    "fault 0 w | swap_out frame=1 | fault 0 w",
    "swap_out; fault 0 | fault 0 w | swap_out; fault 0",
    "fault 0 w || swap_out; fault 0 | swap_out; fault 0 | swap_out; fault 0",
)
DIFFERENT = (
    "fault 0 w | fault 0",
    "fault 0 w; statm | fault 0 w; statm",
    "clone | clone",
    "fault 0 w || fault 0 | fault 0",
)


@pytest.mark.parametrize("name", ["v12", "v12_sound", "percpu", "cached"])
@pytest.mark.parametrize("text", IDENTICAL)
def test_nothing_is_lost(name, text, monkeypatch):
    design, workload = designs.get(name), Workload.parse(text, arch="pae", mmu=True)
    assert build(design, workload).p[P_SYMMETRY] != 0
    reduced = explore(design, workload, finals=True)
    monkeypatch.setattr(symmetry, "classes", lambda design, workload: list(range(len(workload.cpus))))
    whole = explore(design, workload, finals=True)
    assert reduced.complete
    assert reduced.states < whole.states
    assert reduced.finals == whole.finals
    assert reduced.outcomes == whole.outcomes
    assert [(v.check, v.length) for v in reduced.violations] == [(v.check, v.length) for v in whole.violations]
    for violation in reduced.violations:
        trace(build(design, workload), violation)  # raises unless it leads to the same end


def test_the_plain_explorer_agrees():
    design, workload = designs.get("v12"), Workload.parse(IDENTICAL[0])
    assert explore(design, workload, finals=True).finals == reference(design, workload).finals


@pytest.mark.parametrize("text", DIFFERENT)
def test_cpus_that_can_be_told_apart_stay_where_they_are(text):
    assert build(designs.get("v12"), Workload.parse(text)).p[P_SYMMETRY] == 0


@pytest.mark.parametrize("name", ["deferred_16", "lazy", "tree"])
def test_steps_that_name_other_cpus_forbid_it(name):
    workload = Workload.parse("fault 0 w | fault 0 w")
    assert build(designs.get(name), workload).p[P_SYMMETRY] == 0


def names_used(function):
    """Names in the code of a function and of the functions that it calls."""
    functions = [function]
    for each in functions:
        called = map(each.__globals__.get, each.__code__.co_names)
        functions += [f for f in called if inspect.isfunction(f) and f not in functions]
    return {name for each in functions for name in each.__code__.co_names}


def test_steps_of_cpus_that_change_places_keep_no_cpu_and_no_task_in_a_register():
    """R_SCAN of these steps is an mm, or a lock."""
    steps = symmetry._interchangeable_steps()
    assert {memory.user_access, task.inc_task_rss, percpu.percpu_counter_add} <= steps
    for function in steps:
        assert not names_used(function) & {"R_TASK", "R_LEVEL", "R_CHILD"}, function
    assert "R_TASK" in names_used(task.fold_rss)


def one_page(cpus, threads, batch):
    return 1


def early(*walk):
    """A zap that begins with this, before it takes any lock."""
    return lambda p: Program(p[0], walk, *p[1:])


FOLD = (mm.read_mm_rss, task.fold_rss)
DEFERRED = replace(designs.get("deferred"), bound=Bound("1", one_page))
FOLDS_FIRST = DEFERRED.edit(
    zap=lambda p: p.after(spinlock.spin_lock, (task.first_task, *FOLD * 3, At(SKIP))),
    fault=lambda p: p.drop(memory.user_access),
)
FOLDS_ALL = DEFERRED.edit(zap=early(task.first_task, At(NEXT_TASK), FOLD, task.next_task, At(SKIP)))
SUMS = designs.get("percpu").edit(
    zap=early(
        (amount.read_rss, percpu.sum_central, At(NEXT_CPU), percpu.sum_local),
        (percpu.percpu_counter_add, At(IN_BATCH)),
    )
)
WALKS = {
    "a violation was missed": (FOLDS_FIRST, "fault 0 w | fault 0 w | zap 1", [("rss_bounded", 25), ("user", 25)]),
    "outcomes were made up": (FOLDS_ALL, "zap 1 | fault 0 w | fault 0 w", [("user", 29)]),
    "sums over CPUs": (SUMS, "zap 1 | fault 0 w | fault 0 w", [("rss_exact", 23)]),
}


@pytest.mark.parametrize("walk", WALKS)
def test_steps_of_the_library_that_walk_tasks_or_cpus_forbid_it(walk):
    design, text, violations = WALKS[walk]
    workload = Workload.parse(text, anon=2, batch=2)
    result = explore(design, workload, finals=True)
    assert [(v.check, v.length) for v in result.violations] == violations
    assert result.finals == reference(design, workload).finals
    assert build(design, workload).p[P_SYMMETRY] == 0


def test_a_pass_at_rest_that_leaves_tasks_out_forbids_it():
    design = designs.get("v12_sound").edit(statm=lambda p: p.drop(task.next_task))
    workload = Workload.parse("fault 0 w | fault 0 w")
    assert build(designs.get("v12_sound"), workload).p[P_SYMMETRY] != 0
    assert build(design, workload).p[P_SYMMETRY] == 0
    violation = explore(design, workload).violation("rss_exact")
    trace(build(design, workload), violation)  # raises unless it leads to the same end
