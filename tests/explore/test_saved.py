"""Counterexamples saved and run again; files that must be refused."""

import json
import subprocess
import sys

import pytest

from stress import designs
from stress.errors import UsageError
from stress.explore import explore
from stress.explore.model import build
from stress.explore.saved import load, save
from stress.explore.trace import trace
from stress.workload import Workload

WITHOUT_COMPILER = """
import sys
for name in ("numba", "numpy", "llvmlite"):
    sys.modules[name] = None  # importing it fails
from pathlib import Path
from stress.explore.saved import load
from stress.explore.trace import trace
saved = load(Path(sys.argv[1]))
found = trace(saved.model, saved.violation)
print(len(found.rows), found.rows[-1].step, found.rows[-1].details)
"""


@pytest.fixture
def saved(tmp_path):
    design, workload = designs.get("v12"), Workload.parse("fault 0 w | swap_out frame=1", arch="64")
    violation = explore(design, workload).violation("mapcount")
    path = tmp_path / "found.json"
    save(path, "v12", design, workload, violation)
    return path, violation, workload


def test_same_end_without_compiler_or_arrays(saved):
    path, violation, workload = saved
    run = [sys.executable, "-c", WITHOUT_COMPILER, str(path)]
    out = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    here = trace(build(designs.get("v12"), workload), violation)
    assert out.split(maxsplit=2) == [str(len(here.rows)), "page_remove_rmap", f"{here.rows[-1].details}\n"]
    assert here.rows[-1].details == ("page 1 mapcount: 0 -> -1",)
    assert here.rows[-1].broken == ("mapcount",)


def test_states_between_are_shown(saved):
    path, violation, _ = saved
    loaded = load(path)
    found = trace(loaded.model, loaded.violation, states=True)
    assert loaded.violation == violation
    assert len(found.states) == len(found.rows)
    assert "pte 0:0 = frame 1 wdy" in found.states[4]
    assert "mapcount -1" in found.states[-1]


@pytest.mark.parametrize(("key", "value"), [("schedule", [0, 0]), ("check", "owner"), ("design", "v12_sound")])
def test_an_edited_file_is_refused(saved, key, value):
    path, *_ = saved
    data = json.loads(path.read_text())
    data[key] = value
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError, match="changed since it was saved"):
        load(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pte_stress": "counterexample 0"}'])
def test_what_is_no_such_file_is_refused(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"other\.json"):
        load(path)
    with pytest.raises(UsageError, match="cannot read"):
        load(tmp_path / "missing.json")


def test_another_version_of_the_design_is_refused(tmp_path):
    module = tmp_path / "mine.py"
    source = "from stress import designs\nMINE = designs.get('v12')\n"
    module.write_text(source)
    workload = Workload.parse("fault 0 w | swap_out frame=1")
    design = designs.get("v12")
    reference = f"{module}:MINE"
    save(tmp_path / "a.json", reference, design, workload, explore(design, workload).violation("mapcount"))
    assert load(tmp_path / "a.json").violation.check == "mapcount"
    other = tmp_path / "other.py"
    other.write_text(source.replace("v12", "v12_sound"))
    save(tmp_path / "b.json", f"{other}:MINE", design, workload, explore(design, workload).violation("mapcount"))
    with pytest.raises(UsageError, match="another version of design"):
        load(tmp_path / "b.json")
