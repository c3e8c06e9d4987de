"""From a name to a design: those that come with the program, and the user's own files."""

import os
import pickle
import subprocess
import sys
from textwrap import dedent

import pytest

from shm_layout.errors import UsageError
from shm_layout.structs import FIRST_WORD
from stress import designs
from stress.cluster.sent import Sent
from stress.explore import search
from stress.resolve import import_file, resolve_design
from stress.workload import Workload

MINE = """
    from stress.designs.v12 import DESIGN as V12
    from stress.kernel.tlb import update_mmu_cache
    from stress.step import NEXT, step

    @step
    def my_step(m, r):
        return NEXT

    MINE = V12.edit("mine", "just so", name="mine", fault=lambda p: p.replace(update_mmu_cache, my_step))
    OTHER = V12
    NUMBER = 3
"""


@pytest.fixture
def file(tmp_path):
    """Write a design file and give its path."""

    def write(text, name="my_design.py"):
        path = tmp_path / name
        path.write_text(dedent(text))
        return path

    return write


def message(name):
    with pytest.raises(UsageError) as raised:
        resolve_design(str(name))
    text = str(raised.value)
    assert "\n" not in text
    assert raised.value.exit_status == 2
    return text


@pytest.mark.parametrize("name", designs.names())
def test_every_design_that_is_listed_is_there(name):
    design = resolve_design(name)
    assert design.name == name
    assert design.year >= 2004
    assert all((design.source, design.summary, design.programs))


def test_parts_of_designs_are_no_designs():
    for name in ("parts", "operations", "counter_checks", *designs.OLD_PATHS):
        assert name not in designs.names()
        assert name in message(name)


def test_an_unknown_name_suggests_the_nearest():
    assert "did you mean" in message("page_table_lok").lower()
    assert "page_table_lock" in message("page_table_lok")
    assert "my_design.py:MINE" in message("nothing_like_any")


def test_a_design_of_the_users_own(file):
    path = file(MINE)
    mine = resolve_design(f"{path}:MINE")
    assert (mine.name, mine.base, mine.edits[0].name) == ("mine", "v12", "mine")
    assert "my_step" in mine.programs["fault"].names()
    assert resolve_design(f"{path}:MINE") is mine  # imported once
    assert pickle.loads(pickle.dumps(mine)) == mine


def test_a_file_may_be_named_relative_to_where_we_are(file, monkeypatch):
    path = file(MINE, "relative.py")
    monkeypatch.chdir(path.parent)
    assert resolve_design("relative.py:MINE").name == "mine"


def test_what_the_user_must_say(file):
    path = file(MINE, "many.py")
    assert f"{path}:MINE" in message(path)
    assert "no design NONE; it defines" in message(f"{path}:NONE")
    assert "MINE" in message(f"{path}:NONE")
    assert "no design NUMBER" in message(f"{path}:NUMBER")
    assert "it defines none" in message(f"{file('x = 1', 'empty.py')}:MINE")


def test_a_file_that_is_not_there(tmp_path):
    assert "no design file" in message(f"{tmp_path}/gone.py:MINE")
    assert f"{tmp_path} is no file" in message(f"{tmp_path}:MINE")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\ndef broken(:\n", "line 2, does not import: SyntaxError"),
        ("x = 1\n\nraise ValueError('two\\nlines')\n", "line 3, does not import: ValueError: two lines"),
        ("import nothing_of_that_name\n", "line 1, does not import: ModuleNotFoundError"),
        ("raise SystemExit\n", "line 1, does not import: SystemExit: no message"),
        (
            "from stress.designs.v12 import DESIGN\nDESIGN.edit(fault=lambda p: p.drop(len))\n",
            "line 2, does not import: TypeError: len is no step",
        ),
    ],
)
def test_a_file_that_does_not_import(file, text, expected):
    path = file(text, "broken.py")
    assert f"{path}, {expected}" in message(f"{path}:MINE")
    assert f"{path}, {expected}" in message(f"{path}:MINE")  # and is not remembered as imported


def test_an_exception_that_cannot_be_printed(file):
    path = file("class Bad(Exception):\n    def __str__(self):\n        raise ValueError\nraise Bad\n", "bad.py")
    assert f"{path}, line 4, does not import: Bad: no message" in message(f"{path}:MINE")


def test_a_link_to_itself(tmp_path):
    (tmp_path / "loop.py").symlink_to("loop.py")
    assert f"cannot read {tmp_path}/loop.py" in message(f"{tmp_path}/loop.py:MINE")


def test_a_folder_with_a_colon(tmp_path):
    (tmp_path / "a:b").mkdir()
    (tmp_path / "a:b" / "mine.py").write_text(dedent(MINE))
    assert resolve_design(f"{tmp_path}/a:b/mine.py:MINE").name == "mine"
    assert f"{tmp_path}/a:b/mine.py:MINE" in message(f"{tmp_path}/a:b/mine.py")


def test_what_a_file_prints_is_not_the_output(file, capsys):
    import_file(file("print('hello')\n", "prints.py"))
    assert capsys.readouterr() == ("", "hello\n")


def test_a_neighbour_of_the_file(file, monkeypatch):
    """Found after all other modules, whose name it may have."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    neighbour = f"neighbour_{os.getpid()}"
    path = file(f"import {neighbour}\nimport json\nfrom {neighbour} import MINE\njson.dumps(1)\n", "imports.py")
    (path.parent / f"{neighbour}.py").write_text(dedent(MINE))
    (path.parent / "json.py").write_text("")
    assert resolve_design(f"{path}:MINE").name == "mine"


def test_ctrl_c_while_a_file_is_imported(file):
    with pytest.raises(KeyboardInterrupt):
        import_file(file("raise KeyboardInterrupt\n", "interrupted.py"))


def test_resolving_needs_neither_numba_nor_numpy():
    code = (
        "import sys; from stress.resolve import resolve_design; resolve_design('v12');"
        "print([x for x in ('numba', 'numpy') if x in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_copied_file_is_the_same_and_a_changed_one_another(tmp_path):
    """Machine code kept on disk looks its module up by this name, wherever the file lies by then."""
    names = []
    for folder, text in (("a", "X = 1\n"), ("b", "X = 1\n"), ("c", "X = 2\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(text)
        names.append(import_file(tmp_path / folder / "mine.py").__name__)
    assert names[0] == names[1] != names[2]
    (tmp_path / "a" / "mine.py").write_text("X = 3\n")
    assert import_file(tmp_path / "a" / "mine.py").X == 3


HELPED = """
from helpers_of_folder import plus
from stress import Design, Program
from stress.machine_kind import WORDS

MINE = Design("mine", 2026, "", "adds", {"test_add": Program(plus)}, machine=WORDS)
"""
HELPERS = """
from shm_layout.atomic import fetch_add
from shm_layout.structs import at, variable
from stress import NEXT, helper, step

TOTAL = variable("test_total_of_folder", "a sum")

@helper
def add(m):
    fetch_add(m, at(m, TOTAL, 0), NUMBER)

@step
def plus(m, r):
    '''total += NUMBER'''
    add(m)
    return NEXT
"""


@pytest.mark.parametrize("same", [True, False], ids=["same", "changed"])
def test_files_of_several_folders_import_their_own_neighbours(tmp_path, same):
    """A copy of a design in another folder, with helpers of the same name beside it that say something else."""
    path = list(sys.path)
    for number, folder in enumerate(("a", "b.2", "c"), 1):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(HELPED + ("" if same else f"# {number}\n"))
        (tmp_path / folder / "helpers_of_folder.py").write_text(HELPERS.replace("NUMBER", str(number)))
    totals = []
    for folder in ("a", "b.2", "c", "b.2", "a"):
        result, model = search(
            resolve_design(f"{tmp_path}/{folder}/mine.py:MINE"), Workload.parse("test_add"), finals=True
        )
        index = model.layout.regions["test_total_of_folder"].index(0, "value")
        totals += [memory[index - FIRST_WORD] for memory, *_ in result.finals]
    assert totals == [1, 2, 3, 2, 1]
    assert sys.path == [*path, *(str(tmp_path / folder) for folder in ("a", "b.2", "c"))]
    for folder in ("a", "b.2", "c"):
        assert len(Sent.of(f"{tmp_path}/{folder}/mine.py:MINE").files) == 2
