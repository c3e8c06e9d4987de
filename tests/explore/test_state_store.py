"""States are stored with numbers of 16 bits, of 32 once there are too many: nothing that is found depends on it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shm_layout.available import Room
from stress import designs
from stress.explore import Bounds, Result, explore
from stress.explore.model.model import build
from stress.explore.searching import search as searching
from stress.explore.searching import state
from stress.workload import Workload

DESIGN = designs.get("v12_sound")
WORKLOAD = Workload.parse("fault 0 w; zap 0 | fault 0 w; zap 0 | swap_out frame=1", arch="pae")


def found(result: Result) -> tuple[object, ...]:
    return result.states, result.transitions, result.depth, result.outcomes, result.finals


@pytest.fixture(scope="module")
def narrow() -> Result:
    return explore(DESIGN, WORKLOAD, finals=True)


def test_wide_numbers_change_nothing(narrow: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "FEW", searching.MANY)
    wide = explore(DESIGN, WORKLOAD, finals=True)
    assert found(wide) == found(narrow)
    assert wide.bytes > narrow.bytes


@pytest.mark.parametrize("at", [1, 700, 5000])
def test_numbers_may_become_wide_on_the_way(narrow: Result, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    whole: Callable[..., int] = searching.Search.advance
    became: list[int] = []

    def advance(search: searching.Search, budget: int = 0) -> int:
        status = whole(search, min(budget or 300, 300))
        if not became and search.s[state.FOUND] >= at:
            became.append(int(search.s[state.FOUND]))
            assert search._numbers_fit(1 << 16)
        return status

    monkeypatch.setattr(searching.Search, "advance", advance)
    assert found(explore(DESIGN, WORKLOAD, finals=True)) == found(narrow)
    assert became[0] >= at


@pytest.mark.parametrize(("memory", "fits"), [(10**9, True), (1000, False)])
def test_numbers_become_wide_when_rows_no_longer_fit(memory: int, fits: bool) -> None:
    search = searching.Search(build(DESIGN, WORKLOAD), Bounds(memory=memory), -1, stop_first=False)
    assert search._numbers_fit(1 << 15)
    assert search.bits == 16
    assert search._numbers_fit(1 << 16) == fits
    assert search.bits == (32 if fits else 16)


def test_half_of_what_the_cgroup_leaves_is_the_usual_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "memory_available", lambda: Room(1 << 20, "cgroup /x"))
    search = searching.Search(build(DESIGN, WORKLOAD), Bounds(), -1, stop_first=False)
    assert search.memory == 1 << 19


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(0, 2**16 - 1), min_size=5, max_size=5), min_size=1, max_size=20))
def test_widening_keeps_every_number(rows: list[list[int]]) -> None:
    search = searching.Search(
        build(DESIGN, Workload.parse("fault 0 | fault 1")), Bounds(states=1000), -1, stop_first=False
    )
    search.active = list(range(5 - search.cpus))
    search._make_room(len(rows))
    search.s[state.FOUND] = len(rows)
    search._numbers(0, len(rows))[:] = rows
    search._widen()
    assert search._numbers(0, len(rows)).tolist() == rows
