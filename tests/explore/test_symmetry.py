"""Interchangeable CPUs: fewer states, the same ends and the same broken checks as without."""

import inspect
import time
from dataclasses import replace
from itertools import permutations
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stress import designs
from stress.design import Bound
from stress.explore import Bounds, explore
from stress.explore.counterexample.trace import trace
from stress.explore.model import symmetry
from stress.explore.model.image import P_SYMMETRY
from stress.explore.model.model import build
from stress.explore.reference import reference
from stress.explore.searching import state
from stress.explore.searching.search import Search
from stress.explore.strategies.breadth_first import breadth_first
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
def test_symmetry_loses_no_outcome(name, text, monkeypatch):
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


@given(st.lists(st.integers(0, 3), max_size=6))
def test_orders_are_all_distinct_orders(kinds):
    found = [tuple(order) for order in symmetry.orders(kinds)]
    assert found == sorted(set(permutations(kinds)))


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=5), min_size=1, max_size=2))
def test_images_are_counted_as_there_are_orders(kinds):
    """``kinds``: for each class the contents of its CPUs."""
    equal = [kind[: place + 1].count(content) for kind in kinds for place, content in enumerate(kind)]
    first = [sum(map(len, kinds[:number])) for number in range(len(kinds))]
    grouped = [list(range(begin, begin + len(kind))) for begin, kind in zip(first, kinds, strict=True)]
    listed = prod(len(set(permutations(kind))) for kind in kinds)
    assert symmetry.image_count(equal, grouped) == listed
    assert len(list(symmetry._orders_of_all(kinds))) == listed


@pytest.mark.parametrize("text", IDENTICAL)
def test_outcomes_are_as_many_as_are_listed(text):
    workload = Workload.parse(text, arch="pae", mmu=True)
    for name in ("v12", "percpu"):
        result = explore(designs.get(name), workload, finals=True)
        assert result.outcomes == len(result.finals)
        assert explore(designs.get(name), workload).outcomes == result.outcomes


@pytest.mark.parametrize("preemptions", [0, 1, 2])
def test_outcomes_within_few_preemptions_are_those_of_their_schedules(preemptions):
    """Who moved last is no outcome: counted by hashes, and listed."""
    model = build(designs.get("v12"), Workload.parse("fault 0 w; zap 0 | fault 0 w | fault 0"))
    counted = breadth_first(model, Bounds(), -1, preemptions=preemptions)
    listed = breadth_first(model, Bounds(), -1, preemptions=preemptions, finals=True)
    assert counted.outcomes == listed.outcomes == len(listed.finals)


def test_the_images_of_nine_cpus_are_counted_and_not_made():
    """There are 9! arrangements of each; the search itself takes a second."""
    workload = Workload.parse(" | ".join(["fault 0"] * 9))
    began = time.monotonic()
    result = explore(designs.get("v12_sound"), workload, bounds=Bounds(memory=200 << 20, seconds=5))
    assert time.monotonic() - began < 60  # compiling is none of its seconds
    assert result.seconds < 15
    assert (result.complete, result.outcomes) == (True, 1)  # all have the zero page


def test_final_states_beyond_the_bounds_are_not_listed():
    workload = Workload.parse(" | ".join(["fault 0 w; zap 0"] * 3))
    whole = explore(designs.get("v12_sound"), workload)
    bounds = Bounds(memory=whole.bytes + 1)
    result = explore(designs.get("v12_sound"), workload, bounds=bounds, finals=True)
    assert (result.complete, result.bound, result.finals) == (False, "memory", None)
    assert result.outcomes == whole.outcomes
    assert "were not listed" in result.notes[0]


@pytest.mark.parametrize("finals", [False, True])
def test_time_that_is_up_after_the_search_is_said(monkeypatch, finals):
    """The clock goes on by itself: all that looks at it after the search is late."""
    workload = Workload.parse(IDENTICAL[0])
    explore(designs.get("v12"), workload)
    monkeypatch.setattr("stress.explore.searching.search.MOST_WORDS", 1)  # one final state at a time
    advance, late = Search.advance, []

    def last(self, *budget):
        status = advance(self, *budget)
        late.extend([1000.0] * (status == state.DONE))
        return status

    now = time.perf_counter
    monkeypatch.setattr(Search, "advance", last)
    monkeypatch.setattr("stress.explore.strategies.breadth_first.time.perf_counter", lambda: now() + sum(late))
    result = explore(designs.get("v12"), workload, bounds=Bounds(seconds=100), finals=finals, checks=["mapcount"])
    assert (result.complete, result.bound, result.finals) == (False, "seconds", None)
    assert "outcomes are those of 1 of" in result.notes[0]
