"""`from stress import ...` gives what a design is written with, whatever was imported before, and loads no compiler."""

import subprocess
import sys

import pytest

import stress

HEAVY = {"numba", "numpy", "click", "hypothesis", "tabulate", "rich"}
USE = """
from stress import NEXT, At, Bound, Design, Goto, Program, Workload, explore, helper, label, step
assert callable(step) and callable(explore)

@step
def look(m, r):
    return NEXT

@step(private=True)
def think(m, r):
    return NEXT

from stress.declarations import STEPS
assert [STEPS[look].private, STEPS[think].private] == [False, True]
assert Program(look, think).names() == ["look", "think"]
mine = Design("mine", 2026, "here", "two steps", {"look": Program(look, think)})
assert str(Workload.parse("look 0 | look 0")) == "look 0 | look 0"
"""
BEFORE = [
    "",
    "import stress.step, stress.explore",
    "from stress.step import step; from stress.explore import explore, search",
    "from stress.explore.result import Bounds",
    "from stress.designs import get; get('v12_sound')",
]


def fresh(code):
    """Run code in a new interpreter, and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("before", BEFORE)
def test_the_face_is_the_same_whatever_was_imported_before(before):
    said = f"import sys\nprint(sorted({HEAVY!r} & set(sys.modules)))"
    assert fresh(f"{before}\n{USE}\n{said}") == "[]\n"


def test_importing_the_package_imports_nothing_else_of_it():
    code = "import sys, stress\nprint(sorted(name for name in sys.modules if name.startswith('stress.')))"
    assert fresh(code) == "[]\n"


def test_modules_of_the_face_keep_what_is_in_them():
    code = """
import stress
from stress.explore import Bounds, Result, explore, search
from stress.step import DONE, NEXT, WAIT, info, labels, outcomes, step
import stress.step as s, stress.explore as e
assert s.NEXT == NEXT and s.step is step and e.explore is explore and e.search is search
assert stress.step is s and stress.explore is e
"""
    assert fresh(code) == ""


def test_a_call_of_the_module_is_a_call_of_its_function(monkeypatch):
    import stress.explore

    monkeypatch.setattr(stress.explore, "explore", lambda *given, **options: (given, options))
    assert stress.explore("a design", "a workload", finals=True) == (("a design", "a workload"), {"finals": True})


def test_every_name_of_the_face_is_there_and_no_other():
    assert all(getattr(stress, name) is not None for name in stress.__all__)
    assert set(stress.__all__) <= set(dir(stress))
    with pytest.raises(AttributeError, match="no attribute 'steps'"):
        _ = stress.steps
    with pytest.raises(ImportError, match="cannot import name 'programme'"):
        exec("from stress import programme")
