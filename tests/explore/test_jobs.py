"""A search that several threads share comes to what one thread comes to: states, verdicts, schedules."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
import rule_breakers
from hypothesis import given, settings
from hypothesis import strategies as st

from stress import designs
from stress.explore import Bounds, Result, explore, search
from stress.explore.model.rules import RuleError
from stress.explore.searching import jobs as shared
from stress.explore.searching import search as searching
from stress.explore.searching import state
from stress.explore.strategies import breadth_first
from stress.step import StepFunction
from stress.workload import Workload

TIMES = {"seconds", "bytes"}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let threads begin at once, with parts of few states."""
    monkeypatch.setattr(breadth_first, "JOBS_FROM", 0)
    monkeypatch.setattr(shared, "LEAST_PART", 3)


def told(result: Result) -> dict[str, Any]:
    """Return all that a result says but times and memory."""
    return {name: value for name, value in vars(result).items() if name not in TIMES}


CASES = {
    "holds": ("v12_sound", "fault 0 w; zap 0 | fault 0 w; swap_out frame=1", "sc"),
    "identical CPUs": ("v12_sound", "fault 0 w; zap 0 | fault 0 w; zap 0 | swap_out frame=1", "sc"),
    "a read": ("percpu", "fault 0 w; zap 0 | fault 1 w; statm | precise", "sc"),
    "breaks": ("v12", "fault 0 w; zap 0 | fault 0 w; swap_out frame=1", "sc"),
    "a read that breaks": ("v12", "fault 0 w | swap_out frame=1 | statm", "sc"),
    "tso": ("v12_sound", "fault 0 w | zap 0; fault 1 w", "tso"),
    "pso": ("v12", "fault 0 w | fault 0 w", "pso"),
    "started tasks": ("v12_sound", "fork; fault 0 w | fault 1 w; exit", "sc"),
    "a TLB": ("tlb_batch", "fault 0 w; zap 0 | user_write 0; swap_out frame=1", "sc"),
}


@pytest.mark.parametrize("jobs", [2, 3])
@pytest.mark.parametrize("case", CASES)
def test_the_result_does_not_depend_on_the_number_of_threads(case: str, jobs: int) -> None:
    name, text, memory = CASES[case]
    design, workload = designs.get(name), Workload.parse(text)
    bounds = Bounds(states=300_000)
    alone = explore(design, workload, memory=memory, finals=True, bounds=bounds)
    many = explore(design, workload, memory=memory, finals=True, jobs=jobs, bounds=bounds)
    assert alone.complete
    assert alone.states > 200
    assert told(many) == told(alone)


OPERATIONS = ["fault 0 w", "fault 1", "zap 0", "zap 0-1", "swap_out", "statm", "fault 1 w", "fork"]
COLUMN = st.lists(st.sampled_from(OPERATIONS), min_size=1, max_size=2).map("; ".join)


@given(st.sampled_from(["v12", "v11_sloppy", "page_table_lock", "lazy"]), st.lists(COLUMN, min_size=2, max_size=3))
@settings(max_examples=25)
def test_drawn_workloads_come_to_the_same(name: str, columns: list[str]) -> None:
    design, workload = designs.get(name), Workload.parse(" | ".join(columns))
    alone = explore(design, workload, bounds=Bounds(states=60_000))
    many = explore(design, workload, jobs=2, bounds=Bounds(states=60_000))
    if alone.complete:
        assert told(many) == told(alone)
    else:
        assert (many.complete, many.states, many.bound) == (False, alone.states, alone.bound)


def test_a_bound_on_preemptions_is_kept() -> None:
    design, workload = designs.get("v12"), Workload.parse("fault 0 w; zap 0 | fault 0 w; swap_out frame=1")
    alone, _ = search(design, workload, strategy="preemption", jobs=1)
    many, _ = search(design, workload, strategy="preemption", jobs=2)
    assert told(many) == told(alone)
    assert not many.complete


def test_the_first_violation_ends_both() -> None:
    design, workload = designs.get("v12"), Workload.parse("fault 0 w; zap 0 | fault 0 w; swap_out frame=1 | statm")
    alone = explore(design, workload, stop_first=True)
    many = explore(design, workload, stop_first=True, jobs=2)
    assert alone.violations
    assert told(many) == told(alone)


def test_numbers_become_wide_between_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    design, workload = designs.get("v12_sound"), Workload.parse("fault 0 w; zap 0 | fault 0 w; swap_out frame=1")
    alone = explore(design, workload)
    became: list[int] = []
    whole = shared.Jobs.advance

    def advance(self: shared.Jobs) -> int:
        status = whole(self)
        if not became and self.search.s[state.FOUND] > 500:
            became.append(int(self.search.s[state.FOUND]))
            assert self.search._numbers_fit(1 << 16)
        return status

    monkeypatch.setattr(shared.Jobs, "advance", advance)
    assert told(explore(design, workload, jobs=2)) == told(alone)
    assert became


def test_threads_get_room_for_rows_between_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    design, workload = designs.get("v12_sound"), Workload.parse("fault 0 w; zap 0; statm | fault 1 w; zap 1; statm")
    alone = explore(design, workload)
    asked: list[int] = []
    whole = searching.Search.make_way

    def make_way(self: searching.Search, status: int) -> int:
        asked.append(status)
        return whole(self, status)

    monkeypatch.setattr(searching.Search, "make_way", make_way)
    assert told(explore(design, workload, jobs=3)) == told(alone)
    assert {state.BLOCK_CHANGED, state.TABLE_FULL} <= set(asked)


def test_a_step_that_never_ends_is_named() -> None:
    design = rule_breakers.after_rmap("endless", rule_breakers.endless_later)
    result = explore(design, Workload.parse("fault 0 w | fault 1 w"), jobs=2)
    assert result.bound == "never ends"
    found = result.violation("progress")
    assert found is not None
    assert len(found.schedule) > 5


def test_a_design_with_steps_of_its_own_comes_to_the_same() -> None:
    workload = Workload.parse("fault 0 w; zap 0 | fault 0 w")
    design = rule_breakers.after_rmap("nothing", rule_breakers.nothing)
    assert told(explore(design, workload, jobs=2)) == told(explore(design, workload))


@pytest.mark.parametrize("function", [rule_breakers.add_in_one, rule_breakers.write_constant])
def test_a_broken_rule_is_said_in_the_same_words(function: StepFunction) -> None:
    design = rule_breakers.after_rmap("breaks_rules", function)
    workload = Workload.parse("swap_out; fault 0 w | zap 1; fault 1 w")
    said = []
    for jobs in (1, 2):
        with pytest.raises(RuleError) as raised:
            explore(design, workload, jobs=jobs)
        said.append(str(raised.value))
    assert said[0] == said[1]


def test_a_search_that_is_interrupted_keeps_what_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = shared.Jobs.advance

    def advance(self: shared.Jobs) -> int:
        if self.search.found_states > 2000:
            raise KeyboardInterrupt
        return whole(self)

    monkeypatch.setattr(shared.Jobs, "advance", advance)
    design, workload = designs.get("v12_sound"), Workload.parse("fault 0 w; zap 0 | fault 1 w; swap_out | statm")
    result = explore(design, workload, jobs=2)
    assert (result.complete, result.bound) == (False, "interrupted")
    assert result.states > 2000


def test_threads_end_with_the_search() -> None:
    before = threading.active_count()
    explore(designs.get("v12_sound"), Workload.parse("fault 0 w; zap 0 | fault 0 w"), jobs=3)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.daemon:
            thread.join(5)
    assert threading.active_count() <= before


@pytest.mark.parametrize("strategy", ["random", "pct"])
@pytest.mark.parametrize(
    ("name", "text", "memory"),
    [
        ("v12", "fault 0 w; zap 0 | fault 0 w; swap_out | statm", "sc"),
        ("v12_sound", "fault 0 w; zap 0 | fault 1 w; swap_out | statm", "sc"),
        ("v12", "fault 0 w | swap_out frame=1", "tso"),
    ],
)
def test_schedules_at_random_do_not_depend_on_threads(strategy: str, name: str, text: str, memory: str) -> None:
    design, workload = designs.get(name), Workload.parse(text)
    results = [
        search(design, workload, strategy=strategy, memory=memory, seed=3, runs=1500, jobs=jobs)[0]
        for jobs in (1, 2, 3)
    ]
    assert {result.transitions for result in results} == {results[0].transitions}
    for result in results:
        assert replace(result, seconds=0) == replace(results[0], seconds=0)


def test_a_schedule_at_random_that_never_ends_is_told_by_any_thread() -> None:
    design = rule_breakers.after_rmap("endless", rule_breakers.endless_later)
    for jobs in (1, 2):
        given = {"strategy": "random", "runs": 2000, "jobs": jobs}
        result, _ = search(design, Workload.parse("fault 0 w; zap 0 | fault 1 w; zap 1"), **given)
        assert result.bound == "never ends"
        assert {violation.check for violation in result.violations} == {"progress"}
