"""What follows from a memory model beside its outcomes: saved files, strategies, bounds, reads, symmetry, refusals."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import store_buffers
from click.testing import CliRunner
from test_store_buffers import STEP

from shm_layout.atomic import fence, read_once, smp_mb, write_once
from shm_layout.errors import UsageError
from shm_layout.registers import R_USER
from stress import designs
from stress.cli import main
from stress.design import Design
from stress.explore import Bounds, explore, search
from stress.explore.counterexample.saved import load, save
from stress.explore.counterexample.trace import DRAIN, trace
from stress.explore.model.image import P_SYMMETRY
from stress.explore.model.model import build
from stress.kernel.barriers import smp_wmb, without_barriers
from stress.kernel.pte_access import SET_PTE
from stress.memory_model import MEMORY_MODELS, NAMES, memory_model
from stress.program import Program
from stress.step import NEXT, step
from stress.workload import Workload

PAGE = (Path(__file__).parents[2] / "docs" / "memory_models.md").read_text()
X, Y = store_buffers.X, store_buffers.Y
BUFFERED = Workload.parse("fault 0 w | fault 0 w | statm mm=0")


def nothing_read(m):
    """Breaks when no load of the two CPUs has seen a store: what sc does not allow."""
    return 1 if m[m[X]] == 10 and m[m[Y]] == 10 else -1


def shown(word, other):
    """A store, a load of the other word, and a store that shows what was loaded."""

    @step
    def set_word(m, r):
        write_once(m, m[word], 1)
        return NEXT

    @step
    def look(m, r):
        r[R_USER] = read_once(m, m[other])
        return NEXT

    @step
    def show(m, r):
        write_once(m, m[word], 10 + r[R_USER])
        return NEXT

    return set_word, look, show


SB = Design(
    name="sb",
    year=2009,
    source="tests",
    summary="store buffering",
    programs={"one": Program(*shown(X, Y)), "two": Program(*shown(Y, X))},
    checks=(nothing_read,),
)
ONE_TWO = Workload.parse("one | two")


def test_the_page_has_the_table():
    for model in MEMORY_MODELS.values():
        cells = (model.name, model.keeps, model.leaves, model.waits, model.nothing, model.source)
        assert f"| {' | '.join(cells)} |" in PAGE


def test_models_are_listed_from_the_strongest_on():
    assert [memory_model(name).number for name in NAMES] == [0, 1, 2]
    with pytest.raises(UsageError, match="did you mean tso"):
        memory_model("ts0")


@pytest.mark.parametrize("memory", ["tso", "pso"])
@pytest.mark.parametrize("strategy", ["breadth-first", "random", "pct", "preemption"])
def test_every_strategy_finds_what_a_buffer_breaks_and_replays_it(tmp_path, strategy, memory):
    result, model = search(SB, ONE_TWO, strategy=strategy, memory=memory)
    violation = result.violation("user")
    rows = trace(model, violation).rows
    assert sum(row.step == DRAIN for row in rows) == 4
    assert any("in its store buffer" in row.details[0] for row in rows)
    assert not search(SB, ONE_TWO, strategy=strategy)[0].violations


def test_a_saved_counterexample_names_its_model(tmp_path):
    violation = explore(designs.get("v12"), BUFFERED, memory="tso", bounds=Bounds(states=200_000)).violations[0]
    save(tmp_path / "found.json", "v12", designs.get("v12"), BUFFERED, violation, "tso")
    saved = load(tmp_path / "found.json")
    assert saved.model.memory_model.name == "tso"
    assert trace(saved.model, saved.violation).violation == violation
    replayed = CliRunner().invoke(main, ["replay", str(tmp_path / "found.json"), "--json"])
    assert json.loads(replayed.stdout)["memory"] == "tso"
    with pytest.raises(UsageError, match="found under memory model tso, not pso"):
        load(tmp_path / "found.json", memory="pso")
    save(tmp_path / "plain.json", "v12", designs.get("v12"), BUFFERED, replace(violation, schedule=()))
    assert "memory" not in json.loads((tmp_path / "plain.json").read_text())


def test_a_full_buffer_is_announced(monkeypatch):
    sound = explore(designs.get("page_table_lock"), Workload.parse("fork"), memory="tso")
    assert sound.complete
    assert sound.notes == ()
    monkeypatch.setattr("stress.explore.model.model.ENTRIES", 2)
    short = explore(designs.get("page_table_lock"), Workload.parse("fork"), memory="tso")
    assert (short.complete, short.bound, short.violations) == (False, "buffer", ())
    assert "store buffer, of 2 stores, was full" in short.notes[-1]
    told = CliRunner().invoke(main, ["explore", "page_table_lock", "fork", "--memory", "tso", "--json"])
    assert "was full" in json.loads(told.stdout)["notes"][0]


@pytest.mark.parametrize("memory", ["tso", "pso"])
@pytest.mark.parametrize("name", ["page_table_lock", "v12_sound", "cached", "percpu", "deferred"])
def test_reads_of_sound_designs_show_nothing_wrong(name, memory):
    for text in ("fault 0 w | statm mm=0; statm mm=0", "fault 0 w; statm; zap 0; statm | statm mm=0"):
        result = explore(designs.get(name), Workload.parse(text), memory=memory)
        assert result.complete
        assert result.violations == ()


def test_a_wrong_read_is_still_seen():
    result = explore(designs.get("v12"), BUFFERED, memory="pso", bounds=Bounds(states=300_000))
    assert {"read_regular", "read_pair"} & {violation.check for violation in result.violations}


@pytest.mark.parametrize("memory", ["tso", "pso"])
def test_symmetry_changes_neither_outcomes_nor_verdicts(monkeypatch, memory):
    design, workload = designs.get("percpu"), Workload.parse("fault 0 w; zap 0 | fault 0 w; zap 0")
    assert build(design, workload, memory).p[P_SYMMETRY]
    reduced = explore(design, workload, memory=memory, finals=True)
    monkeypatch.setattr("stress.explore.model.symmetry.section", lambda *_: [])
    whole = explore(design, workload, memory=memory, finals=True)
    assert reduced.states < whole.states
    assert (reduced.outcomes, reduced.finals) == (whole.outcomes, whole.finals)
    assert whole.finals >= explore(design, workload, finals=True).finals


def test_locked_workloads_have_at_most_three_times_the_states():
    for text in ("fault 0 w | fault 0 w", "fault 0 w; zap 0 | fault 0 w", "fault 0 w | swap_out frame=1"):
        counts = [
            explore(designs.get("page_table_lock"), Workload.parse(text), memory=memory).states for memory in NAMES
        ]
        assert counts[0] < counts[1] <= counts[2] <= 3 * counts[0]


@step
def fenced(m, r):
    fence()
    return NEXT


@step(private=True)
def in_order(m, r):
    smp_mb(m)
    return NEXT


@step(private=True)
def looks(m, r):
    r[R_USER] = read_once(m, m[X])
    return NEXT


def test_a_step_that_calls_fence_is_refused_where_it_is_not_seen():
    design = SB.edit("fenced", "", one=lambda p: p.after(p[0], fenced))
    assert explore(design, ONE_TWO).complete
    with pytest.raises(UsageError, match=r"step fenced calls fence\(\)"):
        explore(design, ONE_TWO, memory="tso")


def test_barriers_are_private_steps_that_add_no_state_under_sc():
    design = SB.edit("ordered", "", one=lambda p: p.after(p[0], in_order), two=lambda p: p.after(p[0], in_order))
    assert explore(design, ONE_TWO).states == explore(SB, ONE_TWO).states
    assert not explore(design, ONE_TWO, memory="pso").violations
    assert explore(SB, ONE_TWO, memory="pso").violations
    with pytest.raises(UsageError, match="is private and accesses"):
        explore(SB.edit("looks", "", one=lambda p: p.after(p[0], looks)), ONE_TWO, memory="tso")


def test_programs_without_barriers_are_what_they_were():
    program = Program(SET_PTE, smp_wmb, STEP["mb"])
    (entry, other) = without_barriers(program)
    assert (entry.name, len(entry.arch_pae), len(SET_PTE.arch_pae)) == ("set_pte", 2, 3)
    assert other is STEP["mb"]
