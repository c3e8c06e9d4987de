"""A difference is shown only where the runs allow it, and a busy machine is said to be one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stress.report.spread import NO, NOT_HERE, YES, Spread
from stress.system import load

RUNS = st.lists(st.floats(1, 1e9), min_size=1, max_size=9)


@given(RUNS)
def test_the_figures_of_a_spread_are_those_of_its_runs(runs):
    found = Spread.of(runs).as_json()
    assert found["runs"] == len(runs)
    assert min(runs) * 0.999 <= found["min"] <= found["median"] <= found["max"] <= max(runs) * 1.001


@given(RUNS, RUNS)
def test_what_is_shown_of_two_figures_is_the_opposite_of_the_two_exchanged(one, other):
    a, b = Spread.of(one), Spread.of(other)
    opposite = {YES: NO, NO: YES, NOT_HERE: NOT_HERE}
    assert a.above(b) == opposite[b.above(a)]
    assert a.above(a) == NOT_HERE


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        ([5, 6, 7], [1, 2, 3], YES),
        ([1, 2, 3], [5, 6, 7], NO),
        ([1, 5, 9], [2, 5, 8], NOT_HERE),
        ([5, 6], [1, 2, 3], NOT_HERE),
        ([5] * 9 + [0], [1] * 9 + [2], YES),
    ],
)
def test_a_difference_is_shown_where_runs_do_not_overlap(one, other, shown):
    assert Spread.of(one).above(Spread.of(other)) == shown


def stat(tmp_path, **fields):
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    (tmp_path / "stat").write_text("cpu  " + " ".join(str(fields.get(name, 0)) for name in names) + "\ncpu0 1\n")


@pytest.mark.parametrize(
    ("later", "busy", "said"),
    [
        ({"idle": 2000}, False, "quiet"),
        ({"idle": 1500, "steal": 500}, True, "50% of their time stolen"),
        ({"idle": 1500, "user": 500}, True, "50% taken by other processes"),
    ],
)
def test_time_that_others_took_is_seen(tmp_path, monkeypatch, later, busy, said):
    monkeypatch.setattr(load, "STAT", tmp_path / "stat")
    monkeypatch.setattr(load, "_own", lambda: 0.0)
    stat(tmp_path, idle=1000)
    watch = load.LoadWatch()
    stat(tmp_path, **{"idle": 1000, **later})
    found = watch.load()
    assert found.busy is busy
    assert said in str(found)


def test_where_nobody_says_nothing_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(load, "STAT", tmp_path / "none")
    found = load.LoadWatch().load()
    assert (found.steal, found.others, found.busy) == (None, None, False)
    assert "stolen" not in str(found)
