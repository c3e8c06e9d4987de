"""Files and modules that the documents name are there."""

import importlib
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [str(page.relative_to(ROOT)) for page in sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))]
FOLDERS = ("stress", "shm_layout", "tests", "benchmarks", "scripts", "docs", ".ci")
FILE = re.compile(rf"(?<![\w/.])((?:{'|'.join(map(re.escape, FOLDERS))})/[\w./-]*\w)")
MODULE = re.compile(r"`((?:stress|shm_layout)(?:\.\w+)+)`")
TO_BE_WRITTEN = {"stress/commands/NAME.py", "stress/findings/fNN.py"}
"""Files that a reader is told to write."""


def is_there(name):
    """Whether this is a module, or what a module or a class in it defines."""
    module, names = name, []
    while True:
        try:
            found = find_spec(module)
        except ModuleNotFoundError:  # of a name below what is no package
            found = None
        if found is not None:
            break
        module, _, last = module.rpartition(".")
        names.insert(0, last)
    thing = importlib.import_module(module)
    for each in names:
        if not hasattr(thing, each):
            return False
        thing = getattr(thing, each)
    return True


@pytest.mark.parametrize("page", PAGES)
def test_named_files_and_modules_are_there(page):
    text = (ROOT / page).read_text()
    named = set(FILE.findall(text)) - TO_BE_WRITTEN
    assert [file for file in sorted(named) if not (ROOT / file).exists()] == []
    assert [name for name in sorted(set(MODULE.findall(text))) if not is_there(name)] == []


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("stress.checks", True),
        ("stress.checks.CHECKS", True),
        ("stress.program.Program.swap", True),
        ("stress.checks.NOTHING", False),
        ("stress.nowhere.checks", False),
    ],
)
def test_a_name_is_found_where_it_is_defined(name, there):
    assert is_there(name) is there
