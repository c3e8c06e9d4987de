"""Random walk, PCT and bounded preemptions on a bug that is known; bounds of the exhaustive search."""

import pytest

from shm_layout.errors import UsageError
from stress import designs
from stress.explore import Bounds, explore, search
from stress.explore.counterexample.trace import trace
from stress.explore.strategies.pct import chance
from stress.workload import Workload

V12 = designs.get("v12")
RACE = Workload.parse("fault 0 w | swap_out frame=1")
"""Breaks mapcount when swap-out comes between lru_cache_add_active and page_add_anon_rmap (finding F11)."""
LARGE = Workload.parse("fault 0 w; zap 0; fault 0 w | fault 0 w; zap 0; fault 0 w | fault 0 w; zap 0")


@pytest.mark.parametrize(("strategy", "check"), [("random", "data_kept"), ("pct", "mapcount")])
def test_schedules_at_random_find_the_race(strategy, check):
    """The window of mapcount is three steps wide: PCT goes through it, a random walk leaves it too early."""
    result, model = search(V12, RACE, strategy=strategy, seed=7, runs=20_000)
    found = {v.check for v in result.violations}
    assert check in found
    assert not result.complete
    shortest = explore(V12, RACE)
    for violation in result.violations:
        trace(model, violation)  # raises unless it leads to the same end
        assert violation.length >= shortest.violation(violation.check).length


@pytest.mark.parametrize("strategy", ["random", "pct"])
def test_a_seed_gives_the_same_schedules(strategy):
    runs = [search(V12, RACE, strategy=strategy, seed=seed, runs=500)[0] for seed in (3, 3, 4)]
    assert runs[0].violations == runs[1].violations
    assert runs[0].transitions == runs[1].transitions
    assert runs[0].transitions != runs[2].transitions


def test_pct_says_what_it_promises():
    result, _ = search(V12, RACE, strategy="pct", seed=1, runs=100, depth=2)
    longest = result.depth
    assert f"{1 / (2 * longest):.2g}" in result.notes[0]
    assert chance(2, longest, 2) == pytest.approx(1 / (2 * longest))
    assert chance(3, 10, 3) == pytest.approx(1 / 300)


def test_preemptions_are_bounded():
    """F11 needs one preemption: into the fault, and the swap-out then runs to the end. Without any it cannot show."""
    none, some, many = (search(V12, RACE, strategy="preemption", preemptions=n)[0] for n in (0, 1, 40))
    everything = explore(V12, RACE)
    assert "mapcount" not in {v.check for v in none.violations}
    assert "mapcount" in {v.check for v in some.violations}
    assert {v.check for v in many.violations} == {v.check for v in everything.violations}
    assert none.outcomes <= some.outcomes <= many.outcomes == everything.outcomes
    assert (some.complete, some.bound) == (False, "preemptions")


def test_a_bound_that_is_reached_is_announced():
    whole = explore(V12, LARGE, bounds=Bounds(states=2_000_000))
    part = explore(V12, LARGE, bounds=Bounds(states=1000))
    assert (part.complete, part.bound, part.states) == (False, "states", 1000)
    assert explore(V12, LARGE, bounds=Bounds(seconds=1e-9)).bound == "seconds"
    assert explore(V12, LARGE, bounds=Bounds(memory=1 << 20)).bound == "memory"
    assert whole.states > 1000
    assert whole.complete == (whole.bound == "")


def test_stopping_at_the_first_violation_keeps_it_shortest():
    whole = explore(V12, RACE, checks=["mapcount", "data_kept"])
    first = explore(V12, RACE, checks=["mapcount", "data_kept"], stop_first=True)
    shortest = min(v.length for v in whole.violations)
    assert min(v.length for v in first.violations) == shortest
    assert first.states < whole.states
    assert not first.complete


@pytest.mark.parametrize(
    "wrong",
    [
        {"bounds": Bounds(states=0)},
        {"bounds": Bounds(seconds=-1)},
        {"checks": ["mapcuont"]},
        {"depth": 2},
        {"strategy": "pct", "depth": 0},
        {"strategy": "random", "runs": 0},
        {"strategy": "preemption", "preemptions": -1},
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(UsageError):
        search(V12, RACE, **wrong)
