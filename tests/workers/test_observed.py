"""The verdicts are made from what was seen of a pool alone: no pool is needed to have them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shm_layout.layout import Layout
from shm_layout.machine import Machine
from stress import designs
from stress.checks import CHECKS, HOLDS, check_functions
from stress.workers.observed import BrokenReads, MmAtRest, Observed, WorkerSaw
from stress.workers.records import Shown, Truth
from stress.workers.verdicts import judge

SOUND = designs.get("v12_sound")
PERCPU = designs.get("percpu")
MACHINE = Machine(cpus=2, mms=2, anon=2, frames=9, ghost=True, mmu=True)
FINE = MmAtRest(True, False, Truth(3, 2), Shown(3, 1, 2), Shown(3, 1, 2))
REST = Observed(
    design=SOUND,
    layout=Layout(MACHINE),
    exact=True,
    bound=0,
    reads=5,
    pairs=5,
    worst=0,
    broken_reads={},
    workers=(WorkerSaw(0, ""),) * 2,
    stuck="",
    places=(HOLDS,) * len(check_functions(SOUND)),
    mms=(FINE, FINE),
)


def broken(seen):
    return {verdict.name: verdict.detail for verdict in judge(seen) if not verdict.ok}


def test_all_checks_hold_where_nothing_was_broken():
    verdicts = judge(REST)
    assert all(verdict.ok for verdict in verdicts)
    assert {"rss_exact", "anon_rss_exact", "read_regular", "progress"} <= {verdict.name for verdict in verdicts}
    assert "user" not in {verdict.name for verdict in verdicts}


@pytest.mark.parametrize("check", [c for c in CHECKS.values() if c.oops], ids=lambda c: c.name)
def test_a_step_that_saw_a_check_broken_breaks_it(check):
    seen = replace(REST, workers=(WorkerSaw(0, ""), WorkerSaw(check.oops, " in fault of page 1")))
    assert broken(seen) == {check.name: "a step of 1 worker saw it; worker 1's first in fault of page 1"}


@pytest.mark.parametrize("which", range(len(REST.places)))
def test_a_check_that_does_not_hold_at_rest_is_broken(which):
    name, _ = check_functions(SOUND)[which]
    seen = replace(REST, layout=Layout(replace(REST.layout.machine, pmd=True)))
    places = [HOLDS] * len(REST.places)
    places[which] = 0
    assert set(broken(replace(seen, places=tuple(places)))) == {name}


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 4), min_size=2, max_size=2))
def test_counters_that_must_be_exact_are(figures):
    mms = [MmAtRest(True, False, Truth(r, a), Shown(shown, 0, anon)) for r, a, shown, anon in figures]
    found = broken(replace(REST, mms=tuple(mms)))
    assert ("rss_exact" in found) == any(r != shown for r, _, shown, _ in figures)
    assert ("anon_rss_exact" in found) == any(a != anon for _, a, _, anon in figures)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 3), st.booleans(), st.booleans())
def test_counters_that_may_be_off_are_within_the_bound(true, shown, bound, in_use, on_cpus):
    """A free mm that no CPU holds counts of has none held back, unless counts may be lost to a race."""
    one = MmAtRest(in_use, on_cpus, Truth(true, true), None, Shown(shown, 0, shown))
    seen = replace(REST, design=PERCPU, exact=False, bound=bound, places=(), mms=(one, replace(FINE, exact=None)))
    allowed = bound if in_use or on_cpus else 0
    assert ("rss_bounded" in broken(seen)) == (abs(true - shown) > allowed)


def test_a_read_of_what_was_never_true_is_broken_with_its_first():
    first = BrokenReads(7, 1, "statm", 9, 3, 5, 0, 1, 0)
    found = broken(replace(REST, broken_reads={"read_regular": first}))
    assert found == {
        "read_regular": "broken 7 times; worker 1's first: statm showed resident 9 of mm 0, true were 3 to 5 "
        "(operations under way may be late: 2 to 5)"
    }


def test_workers_that_are_stuck_are_not_judged_at_rest():
    seen = replace(REST, stuck="worker 0 in fault of page 1", places=(), mms=())
    names = {verdict.name: verdict.ok for verdict in judge(seen)}
    assert names == {"progress": False, "read_regular": True, "read_pair": True}


def test_a_read_that_does_not_end_leaves_out_what_it_would_have_said():
    mms = replace(FINE, exact=Shown(4, 1, 2)), replace(FINE, exact=None)
    assert set(broken(replace(REST, stuck="worker 0 in statm", mms=mms))) == {"progress", "rss_exact"}
