"""Designs in modules of the user's own: the fork server finds them, numbers what they declare as the launcher does."""

import os
import subprocess
import sys
import textwrap

import pytest

COUNTS = """
from shm_layout.atomic import fetch_add
from shm_layout.structs import at, mm_struct, variable
from stress.design import Design
from stress.machine_kind import WORDS
from stress.program import At, Program
from stress.step import NEXT, label, step

FIELD = variable("counted_NAME", "what was counted")
OVER = label("over NAME")

@step
def count_NAME(m, r):
    "One more of these."
    fetch_add(m, at(m, FIELD, 0), BY)
    return OVER

@step
def never_NAME(m, r):
    "Jumped over."
    fetch_add(m, at(m, FIELD, 0), 1000)
    return NEXT

MINE = Design("NAME", 2026, "", "counts", {"count": Program(count_NAME, never_NAME, At(OVER))}, machine=WORDS)
"""
"""On words alone, which compiles in a second."""
OF_AN_MM = """
from stress.designs import get
from stress.kernel.rmap import page_add_anon_rmap

MM_FIELD = mm_struct.word("faults_NAME", "fault", "faults of pages that nobody had")

@step
def fault_NAME(m, r):
    "One more page that nobody had."
    fetch_add(m, at(m, MM_FIELD, 0), BY)
    return OVER

MINE = get("page_table_lock").edit(
    "count", "to know", name="NAME",
    fault=lambda p: p.after(page_add_anon_rmap, fault_NAME, never_NAME, At(OVER)),
)
"""
ASK = """
from shm_layout.errors import UsageError
from stress.testing import small_machine, worker_pool
from stress.workers.records import Call

def counted(design, arch="64"):
    pool = worker_pool(design, small_machine(arch=arch))
    pool.perform({0: [Call("count")] * 4})
    assert all(verdict.ok for verdict in pool.verdicts())
    return int(pool.memory[pool.layout.regions["counted_" + design.name].index(0, "value")])

def faults(design):
    pool = worker_pool(design, operations=("fault", "statm"))
    pool.perform({0: [Call("fault", address=k, write=True) for k in range(4)]})
    assert all(verdict.ok for verdict in pool.verdicts())
    return int(pool.memory[pool.layout.regions["mm_struct"].index(0, "faults_" + design.name)])
"""


def counts(name, by=1, more=""):
    return (COUNTS + more).replace("NAME", name).replace("BY", str(by))


def python(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # a file that is changed within a second is another one
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("first", ["first", "second"])
def test_two_designs_with_fields_and_labels_in_either_order(tmp_path, first):
    (tmp_path / "first.py").write_text(counts("first"))
    (tmp_path / "second.py").write_text(counts("second", by=10))
    (tmp_path / "ask.py").write_text(ASK)
    code = f"import {first}, first, second, ask; print(ask.counted(first.MINE), ask.counted(second.MINE))"
    assert python(tmp_path, "-c", code) == ["4", "40"]


def test_fields_that_another_process_does_not_have_are_refused(tmp_path):
    own = "import sys\nif sys.argv[-1] == 'here':\n    mm_struct.word('here_only', 'x', 'x')\n"
    (tmp_path / "mine.py").write_text(counts("mine").replace("OVER = ", f"{own}OVER = "))
    (tmp_path / "ask.py").write_text(ASK)
    code = "import mine, ask\ntry:\n    ask.counted(mine.MINE)\nexcept ask.UsageError as error:\n    print(error)"
    told = python(tmp_path, "-c", code, "here")
    assert told == []  # what the launcher has is declared in the server first
    there = "import sys\nif sys.argv[-1] != 'here':\n    mm_struct.word('there_only', 'x', 'x')\n"
    (tmp_path / "mine.py").write_text(counts("mine").replace("OVER = ", f"{there}OVER = "))
    told = python(tmp_path, "-c", code, "here")
    assert " ".join(told).startswith("the design's fields or labels are others in the process that serves")


def test_a_design_in_a_package_that_exports_it(tmp_path):
    package = tmp_path / "exports"
    package.mkdir()
    (package / "__init__.py").write_text("from .mine import MINE\n")
    # Its neighbour's package is imported first, and asks for what this module has not yet.
    (package / "mine.py").write_text("from .parts import PART\n" + counts("exported", more=OF_AN_MM))
    (package / "parts.py").write_text("PART = 0\n")
    (tmp_path / "ask.py").write_text(ASK)
    assert python(tmp_path, "-c", "import ask, exports; print(ask.faults(exports.MINE))") == ["4"]


def test_a_design_in_the_program_that_is_run(tmp_path):
    (tmp_path / "ask.py").write_text(ASK)
    end = 'if __name__ == "__main__":\n    import ask\n    print(ask.counted(MINE))\n'
    (tmp_path / "program.py").write_text(counts("program") + end)
    assert python(tmp_path, "program.py") == ["4"]


def test_a_design_that_lies_in_no_file(tmp_path):
    (tmp_path / "ask.py").write_text(ASK)
    code = textwrap.dedent("""
        import ask
        exec(compile(open("source.txt").read(), "<nowhere>", "exec"))
        try:
            ask.counted(MINE)
        except ask.UsageError as error:
            print(error)
    """)
    (tmp_path / "source.txt").write_text(counts("nowhere"))
    assert "find steps and checks in files" in " ".join(python(tmp_path, "-c", code))


def test_a_file_that_is_edited_while_it_is_in_use(tmp_path):
    """The pools of a session go by what was imported; the next session by what the file says then."""
    (tmp_path / "mine.py").write_text(counts("edited"))
    (tmp_path / "ask.py").write_text(ASK)
    code = textwrap.dedent(f"""
        import sys, ask, mine
        for arch in ("64", "pae"):
            print(ask.counted(mine.MINE, arch))
            if "edit" in sys.argv:
                open("mine.py", "w").write({counts("edited", by=100)!r})
    """)
    assert python(tmp_path, "-c", code, "edit")[0] == "4"
    assert python(tmp_path, "-c", code) == ["400", "400"]
