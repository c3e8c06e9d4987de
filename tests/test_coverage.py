"""What no schedule took is named: by the explorer, in a hunt, by workers."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from hypothesis import strategies as st
from hypothesis.database import InMemoryExampleDatabase

from shm_layout.errors import UsageError
from stress import designs
from stress.cli import main
from stress.coverage import Coverage, changed
from stress.explore import explore, search
from stress.explore.hunt.hunt import Hunt
from stress.kernel.swap import lru_cache_add_active
from stress.program import assemble
from stress.step import NEXT, possible_outcomes
from stress.workers.loop import block
from stress.workers.loop.source import covered_places
from stress.workload import Workload

FAR = '''"""A fault with a branch for pages beyond 7."""

from shm_layout.registers import R_ADDRESS
from stress.designs import get
from stress.kernel.spinlock import down_read, down_write
from stress.program import At
from stress.step import NEXT, label, step

FAR = label("far")
HERE = label("here")


@step(private=True)
def if_far(m, r):
    return FAR if r[R_ADDRESS] > 7 else NEXT


@step(private=True)
def only_here(m, r):
    return HERE


@step(private=True)
def far_away(m, r):
    return NEXT


ZAPS = get("v12_sound").edit(
    name="zaps", zap=lambda p: p.after(down_write, if_far, only_here, At(FAR), far_away, At(HERE))
)
MINE = get("v12_sound").edit(
    name="mine", fault=lambda p: p.after(down_read, if_far, only_here, At(FAR), far_away, At(HERE))
)
'''
LINE = "no schedule took far_away in fault"


@pytest.fixture
def far(tmp_path):
    file = tmp_path / "far.py"
    file.write_text(FAR)
    return f"{file}:MINE"


def invoke(*words):
    return CliRunner().invoke(main, words)


@pytest.mark.parametrize("strategy", [(), ("--strategy", "pct", "--runs", "20")])
def test_a_step_that_no_workload_reaches_is_named(far, strategy):
    done = invoke("explore", far, "fault 0 w | zap 0", *strategy)
    assert done.exit_code == 0
    assert LINE in done.stdout
    assert LINE not in invoke("explore", far, "fault 8 w | zap 8", "--pages", "9", *strategy).stdout


def test_the_list_and_the_json_say_the_same(far):
    shown = invoke("explore", far, "fault 0 w | zap 0", "--coverage").stdout.splitlines()
    found = json.loads(invoke("explore", far, "fault 0 w | zap 0", "--coverage", "--json").stdout)["coverage"]
    rows = [line.split() for line in shown if line.startswith(("fault ", "zap "))]
    assert rows == [
        [one["operation"], str(one["number"]), one["step"], one["branch"] or "-"] for one in found["missed"]
    ]
    assert {"operation": "fault", "number": 3, "step": "if_far", "branch": "far"} in found["missed"]
    assert found["taken"] + sum(one["branch"] is None for one in found["missed"]) == found["steps"]


def test_a_hunt_joins_what_its_workloads_took():
    design = designs.get("v12_sound")
    drawn = [Workload.parse(text) for text in ("fault 0 w", "fault 0 | zap 0")]
    hunt = Hunt(design, st.sampled_from(drawn), seconds=1, seed_=1, database=InMemoryExampleDatabase())
    hunt.run()
    parts = [explore(design, workload).taken for workload in drawn]
    found = hunt.coverage("64")
    assert set(found.operations) == {"fault", "zap"}
    assert found.taken["fault"] == parts[0]["fault"] | parts[1]["fault"]
    assert parts[0]["fault"] - parts[1]["fault"]


def test_a_hunt_names_what_it_did_not_take(far):
    line = ("hunt", far, "--jobs", "1", "--seconds", "1", "--coverage")
    assert "\ncoverage: " in invoke(*line).stdout
    assert json.loads(invoke(*line, "--json").stdout)["coverage"]["missed"]


def test_a_hunt_that_came_to_nothing_says_so():
    assert Coverage(designs.get("v12_sound"), "64", {}, ()).summary() == "coverage: no operation was performed"


def test_workers_note_what_they_take(far):
    run = ("run", "--design", far.replace("MINE", "ZAPS"), "--seconds", "0.5", "--mix", "zap=1", "--file-pages", "0")
    missed = {}
    for pages in ("8", "64"):
        found = json.loads(invoke(*run, "--coverage", "--json", "--pages", pages).stdout)["coverage"]
        missed[pages] = [(one["step"], one["branch"]) for one in found["missed"]]
    assert {("far_away", None), ("if_far", "far")} <= {*missed["8"]}
    assert not {"if_far", "far_away", "only_here"} & {step for step, _ in missed["64"]}
    assert "coverage: " not in invoke(*run).stdout


def test_what_is_taken_is_what_a_counterexample_shows():
    design, workload = designs.get("v12_sound"), Workload.parse("fault 0 w")
    taken = explore(design, workload).taken
    program = assemble(design.programs["fault"], "64")
    place, way = 0, []
    had = dict(taken["fault"])
    while place >= 0:  # alone there is one way through the program
        assert had[place] in possible_outcomes(program.steps[place])
        way.append(place)
        place = program.jump[place][had[place]]
    assert sorted(way) == sorted(had)
    assert len(had) == len(taken["fault"])


MANY = '''"""A fault with a branch to one of more labels than a word has bits."""

from shm_layout.registers import R_ADDRESS
from stress.designs import get
from stress.kernel.spinlock import down_read
from stress.labels import outcomes
from stress.program import At
from stress.step import NEXT, label, step

while outcomes() % 64:
    label(f"one of many, {outcomes()}")
FAR = label("the first of another word")


@step(private=True)
def if_far(m, r):
    return FAR if r[R_ADDRESS] > 7 else NEXT


MINE = get("v12_sound").edit(name="mine", fault=lambda p: p.after(down_read, if_far, At(FAR)))
'''


def test_one_outcome_is_not_taken_for_another(tmp_path):
    """In a process of its own: labels that are declared stay."""
    (tmp_path / "many.py").write_text(MANY)
    command = [sys.executable, "-P", "-m", "stress", "explore", f"{tmp_path}/many.py:MINE", "--coverage", "--json"]
    for text, missed in (("fault 0 w", "the first of another word"), ("fault 8 w", "next")):
        done = subprocess.run([*command, "--pages", "9", text], capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)["coverage"]["missed"]
        assert [one["branch"] for one in found if one["step"] == "if_far"] == [missed]


def test_more_labels_than_there_may_be_are_refused():
    script = (
        "from stress.labels import MOST_OUTCOMES, label, outcomes\n"
        "while outcomes() < MOST_OUTCOMES: label(f'l{outcomes()}')\n"
        "label('l200')\nlabel('another')"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False)
    assert "ValueError: label 'another' is one too many: 253 labels at most" in done.stderr


def test_only_what_an_edit_put_in_is_its_own():
    design = designs.get("v12_sound").edit(
        name="late", fault=lambda p: p.after(lru_cache_add_active, lru_cache_add_active)
    )
    old = assemble(designs.get("v12_sound").programs["fault"], "64").steps
    new = assemble(design.programs["fault"], "64").steps
    assert len(changed(design, "fault", "64")) == len(new) - len(old) > 0
    assert changed(design, "zap", "64") == set()
    assert Coverage(design, "64", {}, ("fault",)).of_the_edit()
    assert Coverage(designs.get("v12_sound"), "64", {}, ("fault",)).line() == ""


def test_a_branch_that_is_never_gone_to_is_missed():
    design = designs.get("v12_sound")
    places = range(len(assemble(design.programs["zap"], "64").steps))
    found = Coverage(design, "64", {"zap": {(place, NEXT) for place in places}}, ("zap",))
    assert found.steps_missed == 0
    assert {one.branch for one in found.missed} >= {"skip", "swap_entry"}
    assert "of zap; " in found.summary()


def test_what_is_learned_again_keeps_what_was_taken():
    design, workload = designs.get("v12_sound"), Workload.parse("fault 0 w | statm")
    for strategy in ("breadth-first", "random"):
        result, _ = search(design, workload, strategy=strategy)
        assert {*result.taken} >= {"fault", "statm"}


def test_more_steps_than_there_is_room_for_are_refused(monkeypatch):
    design = designs.get("v12_sound")
    names = tuple(design.programs)
    assert covered_places(design, "pae", names)[names[0]] == 0
    monkeypatch.setattr(block, "COVERED_STEPS", 10)
    with pytest.raises(UsageError, match="--coverage has room for 10"):
        covered_places(design, "pae", names)
