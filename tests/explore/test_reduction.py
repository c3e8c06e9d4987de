"""A search that passes over states comes to the verdicts, final states and shortest schedules of one that does not."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import rule_breakers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mixed_words import MIXED

from shm_layout.atomic import cmpxchg, read_once, write_once
from shm_layout.errors import UsageError
from shm_layout.registers import R_USER
from shm_layout.structs import at, variable
from shm_layout.words import Words
from stress import designs, findings
from stress.checks import HOLDS
from stress.design import Design
from stress.explore import Bounds, Result, explore, reduction, search
from stress.explore.counterexample.trace import trace
from stress.explore.model import alone
from stress.explore.model.image import P_ALONE
from stress.explore.model.model import Model, build
from stress.explore.reference import reference
from stress.explore.searching import state
from stress.explore.searching.search import Search
from stress.explore.strategies import breadth_first, reduced
from stress.machine_kind import WORDS
from stress.program import Program
from stress.resolve import import_file, resolve_design
from stress.step import NEXT, WAIT, step
from stress.workload import Workload

MUTANTS = import_file(Path(__file__).parents[2] / "benchmarks" / "mutant_designs.py").MUTANTS
FAMILIES = files("stress.examples") / "families"
OF_READS = {"rss_exact", "anon_rss_exact", "rss_bounded", "read_regular", "read_pair"}
LARGE = Bounds(states=60_000)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pass over states from the first one on."""
    monkeypatch.setattr(breadth_first, "REDUCED_FROM", 0)


def verdict(result: Result) -> dict[str, Any]:
    """Return all that no reduction may change, in a search that is complete."""
    assert result.complete
    lengths = {v.check: v.length for v in result.violations if not unproven(result, v.check)}
    checks = {v.check for v in result.violations}
    return {"checks": checks, "lengths": lengths, "finals": result.finals, "reads": result.reads, "taken": result.taken}


def unproven(result: Result, check: str) -> bool:
    return f"not proven shortest: the schedule that breaks {check}" in result.notes


def compare(design: Design, workload: Workload, *, symmetry: bool = True) -> tuple[Result, Result] | None:
    """Explore with and without reduction; None where that is too large, or not reduced."""
    whole = explore(design, workload, finals=True, reduction=False, symmetry=symmetry, bounds=LARGE)
    if not whole.complete:
        return None
    passed = explore(design, workload, finals=True, symmetry=symmetry, bounds=LARGE)
    mine, its = verdict(passed), verdict(whole)
    its["lengths"] = {check: length for check, length in its["lengths"].items() if not unproven(passed, check)}
    assert mine == its
    assert passed.states <= whole.states
    return (passed, whole) if passed.reduced else None


CASES = {
    "holds": ("v12_sound", "fault 0 w; zap 0 | fault 1 w; swap_out", "64"),
    "a read": ("v12_sound", "fault 0 w; zap 0 | fault 0 w; statm", "64"),
    "breaks": ("v12", "fault 0 w; zap 0 | fault 0 w; swap_out frame=1", "pae"),
    "a read that breaks": ("v12", "fault 0 w | swap_out frame=1 | statm", "64"),
    "precise": ("percpu", "fault 0 w; zap 0 | fault 1 w | precise", "64"),
    "a table of locks": ("ptlock_split", "fault 0 w; zap 0 | fault 1 w; zap 1", "64"),
    "tasks": ("v12_reviewed", "clone; fault 0 w; exit | fault 1 w; statm", "64"),
    "fork": ("page_table_lock", "fault 0 w || fork; fault 0 w | zap 0", "pae"),
    "VMAs": ("vma_lock", "fault 0 w || fault 0 w; zap 0 | fork", "64"),
    "a TLB": ("tlb_batch", "fault 0 w || user_write 0; zap 0 | swap_out frame=1", "64"),
    "page tables": ("thp", "fault 0; zap 0 | fault 2 w | fault 0", "64"),
    "huge pages": ("thp", "fault 0 w || change_prot_numa 0; fault 1 w | madvise_dontneed 0-1", "64"),
    "mremap": ("mremap", "fault 0 w || mremap 0-1; fault 0 w | swap_out; user_write 1", "pae"),
    "identical CPUs": ("v12_sound", "fault 0 w; zap 0 | fault 0 w; zap 0 | swap_out frame=1", "64"),
    "identical CPUs that break": ("v12", "fault 0 w | fault 0 w | swap_out frame=1", "pae"),
    "two pairs": ("percpu", "fault 0 w | fault 0 w | zap 0 | zap 0", "64"),
    "held for write": ("v12_sound", "fault 0 w; exec | fault 1 w; statm", "64"),
}


@pytest.mark.parametrize("case", CASES)
def test_these_are_reduced_and_come_to_the_same(case: str) -> None:
    name, text, arch = CASES[case]
    both = compare(designs.get(name), Workload.parse(text, arch=arch))
    assert both is not None
    passed, whole = both
    assert passed.states < whole.states * 0.7
    assert passed.transitions < whole.transitions


@pytest.mark.parametrize("identifier", findings.ids())
def test_every_finding_has_the_same_verdict(identifier: str) -> None:
    finding = findings.get(identifier)
    for case in (finding.case, *(harmless for _, harmless in finding.harmless)):
        for design in (finding.posted(), finding.corrected()):
            compare(design, case.parse())


DRAWN = st.sampled_from(
    (
        "fault 0 w",
        "fault 0",
        "fault 1 w",
        "zap 0",
        "zap 1",
        "swap_out",
        "statm",
        "status",
        "fork",
        "exec",
        "clone",
        "exit",
    )
)
COLUMNS = st.lists(st.lists(DRAWN, min_size=1, max_size=2), min_size=2, max_size=3)
DESIGNS = st.sampled_from(designs.names()).map(designs.get) | st.sampled_from(MUTANTS).map(lambda m: m.design())


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    symmetry=st.booleans(),
    design=DESIGNS,
    setup=st.lists(DRAWN, max_size=2),
    columns=COLUMNS,
    arch=st.sampled_from(["64", "pae"]),
)
def test_drawn_workloads_come_to_the_same(
    *, symmetry: bool, design: Design, setup: list[str], columns: list[list[str]], arch: str
) -> None:
    text = " | ".join("; ".join(column) for column in columns)
    try:
        workload = Workload.parse(("; ".join(setup) + " || " if setup else "") + text, arch=arch)
        compare(design, workload, symmetry=symmetry)
    except UsageError:  # an operation that the design has not, a setup that waits
        return


@pytest.mark.parametrize("text", ["fault 0 w | swap_out frame=1", "fault 0 w || fault 0 w; zap 0 | swap_out"])
@pytest.mark.parametrize("name", ["v12", "v12_sound", "page_table_lock"])
def test_the_plain_explorer_says_the_same(name: str, text: str) -> None:
    design, workload = designs.get(name), Workload.parse(text)
    result = explore(design, workload, finals=True)
    truth = reference(design, workload)
    assert result.complete
    assert result.reduced
    assert result.finals == truth.finals
    assert {v.check for v in result.violations} - OF_READS == truth.broken


GATE = variable("test_gate", "a lock")
BEGAN = variable("test_began", "whether a third has begun")
FIRST, SECOND, SHOWN = (variable(f"test_{name}", "a word") for name in ("first", "second", "shown"))


@step(waits=True)
def shut(m: Words, r: Words) -> int:
    """Take the lock."""
    return NEXT if cmpxchg(m, at(m, GATE, 0), 0, 1) == 0 else WAIT


@step
def glance(m: Words, r: Words) -> int:
    """Look at what was shown, so that whoever shows it is in the way."""
    r[R_USER] = read_once(m, at(m, SHOWN, 0))
    return NEXT


@step
def give(m: Words, r: Words) -> int:
    """first = 1"""
    write_once(m, at(m, FIRST, 0), 1)
    return NEXT


@step
def get(m: Words, r: Words) -> int:
    """Look at first"""
    r[R_USER] = read_once(m, at(m, FIRST, 0))
    return NEXT


@step
def pass_on(m: Words, r: Words) -> int:
    """second = what first was"""
    write_once(m, at(m, SECOND, 0), r[R_USER])
    return NEXT


@step
def look(m: Words, r: Words) -> int:
    """Look at second"""
    r[R_USER] = read_once(m, at(m, SECOND, 0))
    return NEXT


@step
def show(m: Words, r: Words) -> int:
    """shown = what second was"""
    write_once(m, at(m, SHOWN, 0), r[R_USER])
    return NEXT


@step
def touch(m: Words, r: Words) -> int:
    """Begin, and let the others begin."""
    write_once(m, at(m, BEGAN, 0), 1)
    return NEXT


@step(waits=True)
def wait(m: Words, r: Words) -> int:
    """Begin after that."""
    return NEXT if read_once(m, at(m, BEGAN, 0)) != 0 else WAIT


@step
def open_(m: Words, r: Words) -> int:
    """Give the lock back."""
    write_once(m, at(m, GATE, 0), 0)
    return NEXT


MANY = variable("test_many", "more words than the log of a transition has room for", count=140)


@step(whole="a test")
def add_up(m: Words, r: Words) -> int:
    """Add all of them up."""
    total = 0
    for i in range(140):
        total += read_once(m, at(m, MANY, i))
    r[R_USER] = total
    return NEXT


@step
def raise_one(m: Words, r: Words) -> int:
    """many[0] = 1"""
    write_once(m, at(m, MANY, 0), 1)
    return NEXT


@step
def raise_another(m: Words, r: Words) -> int:
    """many[139] = 2"""
    write_once(m, at(m, MANY, 139), 2)
    return NEXT


CROWD = Design(
    "crowd",
    2026,
    "",
    "one adds up more words than a log has room for, another changes two of them",
    {"test_raise": Program(wait, raise_one, raise_another), "test_add_up": Program(touch, add_up, show)},
    machine=WORDS,
)


@pytest.mark.parametrize("learned", [True, False])
def test_what_overfills_the_log_depends_on_everything(*, learned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not learned:
        monkeypatch.setattr(reduced, "LEARNING_STATES", 1)
        monkeypatch.setattr(reduced, "LEARNING_RUNS", 0)
    workload = Workload.parse("test_raise | test_add_up | test_raise")
    both = compare(CROWD, workload)
    assert both is not None
    assert len(both[1].finals or ()) > 1


GATED = Design(
    "gated",
    2026,
    "",
    "what one gives under a lock another passes on under it, and a third sees without",
    {
        "test_give": Program(wait, shut, glance, give, open_),
        "test_pass": Program(shut, get, pass_on, open_),
        "test_see": Program(touch, look, show),
    },
    machine=WORDS,
)


def leave_out(words: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave words, as bits, out of all that is said of what CPUs can do."""
    future = reduction._Touched.future

    def without(self: Any, now: dict[int, int]) -> list[int]:
        return [bits & ~(words | words << self.half) for bits in future(self, now)]

    monkeypatch.setattr(reduction._Touched, "future", without)


@pytest.mark.parametrize("name", ["test_second", "test_gate"])
def test_a_word_too_few_in_what_others_can_do_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    workload = Workload.parse("test_give | test_pass | test_see")
    leave_out(1 << build(GATED, workload).layout.regions[name].index(0, "value"), monkeypatch)
    with pytest.raises(AssertionError):
        compare(GATED, workload)


def test_a_field_too_few_of_page_frames_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    design, workload = designs.get("v12"), Workload.parse("fault 0 w | swap_out frame=1 | statm")
    region = build(design, workload).layout.regions["page"]
    leave_out(sum(1 << region.index(i, "flags") for i in range(region.count)), monkeypatch)
    with pytest.raises(AssertionError):
        compare(design, workload)


def test_nobody_is_held_up_by_a_word_that_others_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of written wait words left empty: CPUs are taken for waiting that are not."""
    workload = Workload.parse("test_give | test_pass | test_see")
    assert compare(GATED, workload) is not None
    told = reduction.tell_alone

    def wrong(model: Model) -> None:
        told(model)
        p, a = model.p, model.p[P_ALONE]
        first, end = a + p[a + alone.A_WRITTEN], a + p[a + alone.A_NEVER]
        p[first:end] = [0] * (end - first)

    monkeypatch.setattr(reduced, "tell_alone", wrong)
    with pytest.raises(AssertionError):
        compare(GATED, workload)


def test_what_was_not_learned_before_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduced, "LEARNING_STATES", 1)
    monkeypatch.setattr(reduced, "LEARNING_RUNS", 0)
    began = []
    learn_more = reduced.learn_more
    monkeypatch.setattr(reduced, "learn_more", lambda model, p: (began.append(1), learn_more(model, p)))
    assert compare(designs.get("v12"), Workload.parse("fault 0 w; zap 0 | fault 0 w; swap_out")) is not None
    assert began


@pytest.mark.parametrize(
    "text", ["fault 0 w; zap 0 | fault 0 w; swap_out frame=1", "fault 0 w | fault 0 w | swap_out frame=1"]
)
def test_schedules_that_are_not_proven_shortest_lead_to_the_same_end(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reduced, "shortest", lambda *given: {})
    design, workload = designs.get("v12"), Workload.parse(text)
    result = explore(design, workload)
    assert result.violations
    model = build(design, workload)
    for violation in result.violations:
        assert unproven(result, violation.check)
        assert trace(model, violation).violation == violation


@pytest.mark.parametrize("reduced_from", [0, 300])
@pytest.mark.parametrize("jobs", [1, 2])
def test_what_never_ends_is_told_where_it_is(jobs: int, reduced_from: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breadth_first, "REDUCED_FROM", reduced_from)
    monkeypatch.setattr(breadth_first, "JOBS_FROM", 0)
    design = rule_breakers.after_rmap("endless", rule_breakers.endless_later)
    workload = Workload.parse("fault 0 w; zap 0 | fault 1 w; zap 1")
    passed, whole = (explore(design, workload, jobs=jobs, reduction=reduction) for reduction in (True, False))
    assert passed.bound == whole.bound == "never ends"
    assert passed.violations == whole.violations


def test_a_level_that_was_left_proves_nothing_of_its_length() -> None:
    model = build(designs.get("v12"), Workload.parse("fault 0 w; zap 0 | fault 0 w; swap_out frame=1"))
    search, status = Search(model, Bounds(), -1), state.AGAIN
    whole = {v.check: v.length for v in explore(model.design, model.workload, reduction=False).violations}
    left_out = 0
    while status != state.DONE:
        status = search.advance(1)
        left_out += len(search.violations()) - len(reduced.proven(search, status))
        for violation in reduced.proven(search, status):
            assert violation.length == whole[violation.check]
    assert left_out


def test_half_an_entry_is_no_swap_slot() -> None:
    """On pae the first half of a child's entry looks like a slot, which a store of the parent then looked up."""
    text = "stat; access_process_vm 1 w || madvise_dontneed 0; fault 0 w | fork; access_process_vm 0 w | user_write 1"
    assert compare(designs.get("vma_lock"), Workload.parse(text, arch="pae")) is not None


def test_threads_come_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breadth_first, "JOBS_FROM", 0)
    design, workload = designs.get("v12"), Workload.parse("fault 0 w; zap 0 | fault 0 w; swap_out frame=1 | statm")
    one, two = (explore(design, workload, finals=True, jobs=jobs) for jobs in (1, 2))
    assert one.reduced
    assert replace(one, seconds=0, bytes=0) == replace(two, seconds=0, bytes=0)


def test_small_searches_keep_every_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    result = explore(designs.get("v12"), Workload.parse("fault 0 w | zap 0"))
    assert not result.reduced


def test_it_is_for_breadth_first_alone() -> None:
    with pytest.raises(UsageError, match="--no-reduction means nothing to strategy pct"):
        search(designs.get("v12"), Workload.parse("fault 0 w | zap 0"), strategy="pct", reduction=False)


OF_WORDS = st.lists(
    st.lists(st.sampled_from(sorted(MIXED.programs)), min_size=1, max_size=2), min_size=2, max_size=4
).map(lambda columns: " | ".join("; ".join(column) for column in columns))


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=OF_WORDS)
def test_drawn_workloads_on_words_come_to_the_same(text: str) -> None:
    compare(MIXED, Workload.parse(text))


@pytest.mark.parametrize("states", [1, 10, 20, 30, 40, 100, 1000])
def test_who_waits_by_its_registers_is_not_held_up(states: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However little was seen while learning: one that waited while turn was 1 says nothing of one whose turn it is."""
    monkeypatch.setattr(reduced, "LEARNING_STATES", states)
    monkeypatch.setattr(reduced, "LEARNING_RUNS", 0)
    assert compare(MIXED, Workload.parse("test_choose | test_choose | test_turns | test_set")) is not None


@pytest.mark.parametrize("states", [1, 3, 5, 10, 20, 40])
def test_what_a_step_that_waits_reads_is_learned(states: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it was never seen to go on: another may let it do so for a moment alone."""
    monkeypatch.setattr(reduced, "LEARNING_STATES", states)
    monkeypatch.setattr(reduced, "LEARNING_RUNS", 0)
    assert compare(MIXED, Workload.parse("test_wait | test_pulse")) is not None


def test_an_assertion_that_fails_on_the_way_is_a_broken_check() -> None:
    """The schedule is taken once more in plain Python, where the step raises what it raises."""
    both = compare(MIXED, Workload.parse("test_look | test_up; test_look | test_up_twice"))
    assert both is not None
    assert {v.check for v in both[0].violations} == {"user"}


def test_the_nearest_state_without_an_end_is_not_proven_where_steps_jump_back() -> None:
    workload = Workload.parse("test_locked_spin | test_locked_wait")
    both = compare(MIXED, workload)
    assert both is not None
    passed, whole = both
    assert {v.check for v in whole.violations} == {"progress"}
    assert unproven(passed, "progress")


def everything_depends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say of every place that nobody there goes before anybody else: CPUs only sleep."""

    def met(self: Any, touched: list[int], future: list[int]) -> list[int]:
        return [-1] * (len(touched) * ((len(future) >> 6) + 1))

    monkeypatch.setattr(reduction._Touched, "meet", met)


def sleeping_alone(design: Design, workload: Workload) -> tuple[Result, Result] | None:
    """Explore with CPUs that sleep and nothing else, and without any reduction; None where that is too large."""
    whole = explore(design, workload, finals=True, reduction=False, bounds=LARGE)
    if not whole.complete:
        return None
    passed = explore(design, workload, finals=True, bounds=LARGE)
    assert passed.reduced
    assert verdict(passed)["finals"] == verdict(whole)["finals"]
    return passed, whole


@pytest.mark.parametrize("case", CASES)
def test_where_cpus_only_sleep_all_states_are_found(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    everything_depends(monkeypatch)
    name, text, arch = CASES[case]
    both = sleeping_alone(designs.get(name), Workload.parse(text, arch=arch))
    assert both is not None
    passed, whole = both
    assert passed.states == whole.states
    assert passed.transitions < whole.transitions * 0.9


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=OF_WORDS)
def test_where_cpus_only_sleep_all_states_of_words_are_found(text: str) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        everything_depends(monkeypatch)
        both = sleeping_alone(MIXED, Workload.parse(text))
        assert both is None or both[0].states == both[1].states


def second_not_alone(m: Words) -> int:
    """At rest: second is not set before first."""
    return HOLDS if read_once(m, at(m, FIRST, 0)) >= read_once(m, at(m, SECOND, 0)) else 0


@step
def set_second(m: Words, r: Words) -> int:
    """second = 1"""
    write_once(m, at(m, SECOND, 0), 1)
    return NEXT


PAIR = Design(
    "pair",
    2026,
    "",
    "two words that nobody reads but a check at rest",
    {"test_first": Program(give), "test_second": Program(set_second)},
    checks=(second_not_alone,),
    machine=WORDS,
)


@pytest.mark.parametrize("text", ["test_first | test_second", "test_second | test_first"])
def test_states_at_rest_are_left_out_only_where_nobody_looks_at_them(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload = Workload.parse(text)
    compare(PAIR, workload)
    monkeypatch.setattr(reduction, "_looked_at_at_rest", lambda model, touched: False)
    assert explore(PAIR, workload).states == 3  # of 4, for one of both goes first
    assert explore(replace(PAIR, checks=()), workload).states == 3


def test_states_at_rest_that_are_left_out_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduction, "_looked_at_at_rest", lambda model, touched: False)
    texts = ("test_first | test_second", "test_second | test_first")
    assert any(not explore(PAIR, Workload.parse(text)).violations for text in texts)


@pytest.mark.parametrize(
    ("name", "text", "traces"),
    [
        ("lastzero", "add | add | add | add | add | add | look", 9 * 2**4),
        ("readers", "look | look | look | look | look | look | give", 2**6),
    ],
)
def test_families_have_as_many_final_states_as_traces(name: str, text: str, traces: int) -> None:
    design = resolve_design(f"{FAMILIES}/{name}.py:{name.upper()}")
    both = compare(design, Workload.parse(text))
    assert both is not None
    assert both[0].outcomes == traces
    assert both[0].states < 7 * traces
