"""Interchangeable CPUs: fewer states, the same ends and the same broken checks as without."""

import pytest

from stress import designs
from stress.explore import explore, symmetry
from stress.explore.image import P_SYMMETRY
from stress.explore.model import build
from stress.explore.reference import reference
from stress.explore.trace import trace
from stress.kernel.rss import task
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
def test_nothing_is_lost(name, text, monkeypatch):
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


def test_steps_that_name_other_cpus_forbid_it():
    workload = Workload.parse("fault 0 w | fault 0 w")
    assert build(designs.get("tree"), workload).p[P_SYMMETRY] == 0


def test_a_pass_at_rest_that_leaves_tasks_out_forbids_it():
    design = designs.get("v12_sound").edit(statm=lambda p: p.drop(task.next_task))
    workload = Workload.parse("fault 0 w | fault 0 w")
    assert build(designs.get("v12_sound"), workload).p[P_SYMMETRY] != 0
    assert build(design, workload).p[P_SYMMETRY] == 0
    violation = explore(design, workload).violation("rss_exact")
    trace(build(design, workload), violation)  # raises unless it leads to the same end
