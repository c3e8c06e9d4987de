"""Machine code of a user's functions is known by all that it was made from, in whichever module that lies."""

import importlib.util
import os
import subprocess
import sys
import textwrap

import pytest

from stress.compiling.fingerprint import fingerprint

OTHER = """
import numba
import numpy as np
TABLE = (0, (0, 5))
NUMBER = 0
ARRAY = np.array([0, 7])
UNUSED = 0

@numba.njit
def compiled(x):
    return x * DEEP

DEEP = 0

def plain(x):
    return [x for _ in range(2)][0] * 1

def made(x):
    def inner(y, z=3):
        return x + y + z
    return inner
"""
MINE = """
import OTHER as other
from OTHER import ARRAY, TABLE, compiled

cell = other.made(10)

def mine(m, r):
    return TABLE[1][0] + other.NUMBER + ARRAY[0] + compiled(1) + other.plain(2) + cell(3)
"""
CHANGES = {
    "a tuple within a tuple": ("TABLE = (0, (0, 5))", "TABLE = (0, (1, 5))"),
    "a member of a module": ("NUMBER = 0", "NUMBER = 1"),
    "an array": ("[0, 7]", "[1, 7]"),
    "the type of an array": ("np.array([0, 7])", "np.array([0, 7], np.int32)"),
    "a number that a compiled function takes": ("DEEP = 0", "DEEP = 1"),
    "a plain function": ("* 1", "* 2"),
    "a default": ("z=3", "z=4"),
}


def load(folder, name, text):
    path = folder / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    exec(compile(text, str(path), "exec"), vars(module))  # not from a .pyc of the same second
    return module


@pytest.fixture
def of(tmp_path):
    """The fingerprint of `mine`, where the other module was loaded with that text; its file reads the same."""
    names = f"other_{tmp_path.name}", f"mine_{tmp_path.name}"

    def fingerprint_of(text):
        load(tmp_path, names[0], text)
        mine = load(tmp_path, names[1], MINE.replace("OTHER", names[0])).mine
        (tmp_path / f"{names[0]}.py").write_text(OTHER)
        return fingerprint([mine], frozenset())

    yield fingerprint_of
    for name in names:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_function_reaches_counts(of, change):
    old, new = CHANGES[change]
    assert OTHER.count(old) == 1
    assert of(OTHER) != of(OTHER.replace(old, new))


def test_what_it_does_not_reach_does_not(of):
    assert of(OTHER) == of(OTHER.replace("UNUSED = 0", "UNUSED = 1"))


def test_a_cell_counts():
    def made(value):
        return lambda m, r: value

    assert fingerprint([made(1)], frozenset()) != fingerprint([made(2)], frozenset())
    assert fingerprint([made(1)], frozenset()) == fingerprint([made(1)], frozenset())


def test_it_is_the_same_in_every_process(tmp_path):
    (tmp_path / "other.py").write_text(OTHER.replace("* DEEP", "* (DEEP if x in {1, 'a', 'b', 'c'} else 1)"))
    (tmp_path / "mine.py").write_text(MINE.replace("OTHER", "other"))
    code = (
        "import mine; from stress.compiling.fingerprint import fingerprint; print(fingerprint("
        "[mine.mine], frozenset()))"
    )
    told = set()
    for seed in range(4):
        environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(tmp_path)}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        told.add(done.stdout)
    assert len(told) == 1


def test_a_module_that_a_design_takes_its_numbers_from(tmp_path):
    """A design file that imports another one: what that says now is what is explored."""
    (tmp_path / "mine.py").write_text(
        textwrap.dedent("""
            import os, sys
            sys.path.insert(0, os.path.dirname(__file__))
            import amounts
            from shm_layout.atomic import fetch_add
            from shm_layout.registers import R_MM
            from shm_layout.structs import MM_RSS, MM_STRIDE
            from stress.designs import get
            from stress.step import NEXT, step

            @step
            def adds(m, r):
                \"\"\"rss grows by so much.\"\"\"
                fetch_add(m, m[MM_RSS] + r[R_MM] * m[MM_STRIDE], amounts.ADDED)
                return NEXT

            MINE = get("v12_sound").edit("adds", "no reason", name="mine", statm=lambda p: p.before(p[0], adds))
        """)
    )
    command = [sys.executable, "-m", "stress", "explore", str(tmp_path / "mine.py:MINE"), "statm", "--json"]
    for added in (0, 1, 0):
        (tmp_path / "amounts.py").write_text(f"ADDED = {added}\n")
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}  # files of one size and one second are one .pyc
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == (1 if added else 0), done.stderr
