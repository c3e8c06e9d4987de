"""From every state an end can be reached, or the nearest from which none can is told: designs that run in circles."""

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from litmus import X, Y, set_x, set_x2, set_y

from shm_layout.atomic import cmpxchg, read_once, write_once
from shm_layout.errors import UsageError
from stress import designs
from stress.cli import main
from stress.design import Design
from stress.explore import Bounds, explore
from stress.explore.counterexample.trace import Player, trace
from stress.explore.model.model import build
from stress.explore.reference import reference
from stress.explore.result import Violation
from stress.explore.searching import endless, state
from stress.explore.searching import search as searching
from stress.labels import label
from stress.program import At, Program
from stress.step import DONE, NEXT, WAIT, step
from stress.workload import Workload

ROUND = label("round", back=True)
"""Back to the beginning of a program that has no end of its own."""


@step(waits=True)
def up(m, r):
    return ROUND if cmpxchg(m, m[X], 0, 1) == 0 else WAIT


@step(waits=True)
def down(m, r):
    return ROUND if cmpxchg(m, m[X], 1, 0) == 1 else WAIT


@step
def until_y(m, r):
    return NEXT if read_once(m, m[Y]) == 1 else ROUND


@step
def leave_when_y(m, r):
    return DONE if read_once(m, m[Y]) == 1 else NEXT


@step
def clear_x(m, r):
    write_once(m, m[X], 0)
    return NEXT


@step
def once_x2(m, r):
    return ROUND if read_once(m, m[X]) == 2 else NEXT


@step
def leave_when_x2(m, r):
    return DONE if read_once(m, m[X]) == 2 else NEXT


@step(waits=True)
def until_not_x1(m, r):
    return WAIT if read_once(m, m[X]) == 1 else NEXT


PROGRAMS = {
    "up": Program(At(ROUND), up),
    "down": Program(At(ROUND), down),
    "up_escape": Program(At(ROUND), leave_when_y, up),
    "down_escape": Program(At(ROUND), leave_when_y, down),
    "spin_y": Program(At(ROUND), until_y),
    "set_y": Program(set_y),
    "set_x2": Program(set_x2),
    "clear_x": Program(clear_x),
    "trap": Program(At(ROUND), once_x2),
    "wait": Program(until_not_x1),
    "stuck": Program(leave_when_x2, set_x, until_not_x1),
}
DESIGN = Design(name="circles", year=2026, source="tests", summary="runs in circles", programs=PROGRAMS)


def both(text):
    workload = Workload.parse(text)
    return explore(DESIGN, workload), reference(DESIGN, workload), build(DESIGN, workload)


def test_two_cpus_that_undo_each_other_for_ever():
    result, truth, model = both("set_x2; clear_x; up | down")
    assert (result.complete, result.outcomes, truth.deadlock) == (True, 0, False)
    assert truth.endless > 0
    (violation,) = result.violations
    assert (violation.check, violation.at_rest, violation.length) == ("progress", True, 0)  # nothing leads out at all
    assert "can never finish: none of all" in trace(model, violation).wrong


def test_the_nearest_state_without_an_end():
    """The trap can be passed before x is 2; whether it was is settled by the first step of either CPU."""
    result, truth, model = both("trap | set_x2")
    assert truth.endless > 0
    assert result.outcomes == 1
    (violation,) = result.violations
    assert violation.schedule == (1,)
    found = trace(model, violation)
    assert [row.step for row in found.rows] == ["set_x2"]
    assert "can never finish" in found.wrong
    assert not Player(model).endless()


@pytest.mark.parametrize("text", ["spin_y | set_y", "trap | clear_x", "trap | set_x2; clear_x"])
def test_circles_that_can_be_left_are_fine(text):
    result, truth, _ = both(text)
    assert truth.endless == 0
    assert (result.complete, result.violations) == (True, ())


@settings(max_examples=60)
@given(st.lists(st.lists(st.sampled_from(sorted(PROGRAMS)), min_size=1, max_size=3), min_size=1, max_size=3))
def test_as_the_plain_explorer_says(columns):
    result, truth, model = both(" | ".join("; ".join(column) for column in columns))
    assert result.complete
    assert {v.check for v in result.violations} == truth.broken
    for violation in result.violations:
        assert trace(model, violation).violation == violation


def test_a_state_without_an_end_that_is_nearer_than_a_deadlock():
    """Nobody leads CPU 0 out of the trap once CPU 1 must leave; the deadlock takes three steps of CPU 1, too."""
    result, truth, model = both("set_x2; trap | stuck")
    assert truth.deadlock
    assert truth.endless > 0
    (violation,) = result.violations
    assert (violation.check, violation.schedule) == ("progress", (0,))
    assert "can never finish" in trace(model, violation).wrong


def test_a_deadlock_that_is_nearer_than_any_state_without_an_end():
    result, truth, model = both("stuck | wait; clear_x; clear_x; set_x2; trap")
    assert truth.deadlock
    assert truth.endless > 0
    (violation,) = result.violations
    assert (violation.check, violation.schedule) == ("progress", (0, 0))
    assert "deadlock" in trace(model, violation).wrong


def test_no_nearer_state_is_without_an_end():
    result, _, model = both("trap; set_y | clear_x; set_x2 | up_escape")
    (violation,) = result.violations
    for length in range(violation.length):
        player = Player(model)
        for cpu in violation.schedule[:length]:
            player.move(cpu)
        assert not player.endless()


@pytest.mark.parametrize("name", ["v12_sound", "page_table_lock"])
def test_every_state_by_itself_agrees_with_the_walks(name):
    """What the marks leave out is no shortcut: looked at one by one, all states reach an end."""
    model = build(designs.get(name), Workload.parse("fault 0 w; zap 0 | fault 0 w", arch="pae"))
    search = searching.Search(model, Bounds(), -1, stop_first=False)
    while search.advance() != state.DONE:
        pass
    assert len(search.not_onward()) < search.found_states / 10
    assert endless.Onward(search, lambda: True).first_endless(range(search.found_states)) == -1


def test_a_schedule_that_can_be_finished_is_refused():
    _, _, model = both("spin_y | set_y")
    with pytest.raises(UsageError, match="holds at the end"):
        trace(model, Violation("progress", (0,), True))


def test_time_that_is_up_leaves_the_search_incomplete(monkeypatch):
    monkeypatch.setattr(endless.Onward, "first_endless", lambda self, roots: (_ for _ in ()).throw(endless.OutOfTime))
    result, _, _ = both("trap | set_x2")
    assert (result.complete, result.bound, result.violations) == (False, "seconds", ())


def test_saved_and_replayed(tmp_path):
    module, saved = tmp_path / "circles.py", tmp_path / "found.json"
    module.write_text(
        "from shm_layout.atomic import cmpxchg\n"
        "from shm_layout.structs import zone_struct\n"
        "from stress.design import Design\n"
        "from stress.program import At, Program\n"
        "from stress.step import NEXT, WAIT, label, step\n"
        "WORD = zone_struct.word('circles_word', 'circles', 'a word')\n"
        "ROUND = label('circle', back=True)\n"
        "@step(waits=True)\n"
        "def up(m, r):\n"
        "    return ROUND if cmpxchg(m, m[WORD], 0, 1) == 0 else WAIT\n"
        "@step(waits=True)\n"
        "def down(m, r):\n"
        "    return ROUND if cmpxchg(m, m[WORD], 1, 0) == 1 else WAIT\n"
        "PROGRAMS = {'up': Program(At(ROUND), up), 'down': Program(At(ROUND), down)}\n"
        "MINE = Design(name='mine', year=2026, source='tests', summary='circles', programs=PROGRAMS)\n"
    )
    run = CliRunner().invoke(main, ["explore", f"{module}:MINE", "up | down", "--save", str(saved)])
    assert (run.exit_code, "progress" in run.output) == (1, True)
    again = CliRunner().invoke(main, ["replay", str(saved), "--allow-code"])
    assert again.exit_code == 1
    assert "can never finish: none of all" in again.output


def test_a_bound_on_memory_holds_for_what_is_looked_at_after_the_search():
    model = build(DESIGN, Workload.parse("trap | set_x2"))
    search = searching.Search(model, Bounds(), -1, stop_first=False)
    while search.advance() != state.DONE:
        pass
    search.memory = search.bytes() + 1
    with pytest.raises(endless.OutOfRoom):
        search.look_for_endless(lambda: True)
    assert endless.OutOfRoom.bound == "memory"


def test_a_replay_looks_at_fewer_states_where_each_is_large(monkeypatch):
    model = build(DESIGN, Workload.parse("set_x2; clear_x; up | down"))
    monkeypatch.setattr("stress.explore.counterexample.trace.ENDLESS_WORDS", 3 * len(model.memory))
    player = Player(model)
    assert player.endless()
    assert "of the first" in player.followed
